// Package netid says who is asking and whom: the client's address behind proxies, and the hosts that this site is.
//
// Everything in a request can be forged by whoever sends it, except the address of the socket's other end. A forwarding
// header is therefore believed only where that address belongs to a proxy of ours, and in it only what our proxies
// wrote: entries are read from the right, each proxy adds its peer at the end, and the first entry that is no proxy of
// ours is the client. X-Real-IP and X-Forwarded-Host are never read. The Host header is compared with the names that the
// operator gave, so that a page in a browser that reaches us under a foreign name (DNS rebinding) finds nothing.
package netid

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the reverse proxies in front of this server.
type Proxies struct {
	Trusted []netip.Prefix
	Header  string // the one header that is believed: "x-forwarded-for" or "forwarded"
}

// Peer returns the address of the socket's other end: unmapped, without a zone. It is invalid for a request that came
// from no socket.
func Peer(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(peer.Addr())
}

// plain returns addr in the form in which addresses are compared and shown.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Trusts reports whether addr is one of the proxies.
func (p Proxies) Trusts(addr netip.Addr) bool {
	for _, prefix := range p.Trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Client returns who sent the request: the right-most address in the forwarding header that is no proxy of ours, when
// the peer is one; else the peer. An entry that cannot be read ends the search at the proxy that wrote it down.
func (p Proxies) Client(r *http.Request) netip.Addr {
	client, _ := p.walk(r)
	return client
}

// HTTPS reports whether the client spoke TLS: to us, or to a proxy of ours that says so.
func (p Proxies) HTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if !p.Trusts(Peer(r)) {
		return false
	}
	if p.Header == "forwarded" {
		if _, proto := p.walk(r); proto != "" {
			return encrypted(proto)
		}
	}
	// The last value is the one that our own proxy wrote.
	last := rightmost(r.Header.Values("X-Forwarded-Proto"), lastOfList)
	value, _ := last()
	return encrypted(value)
}

// encrypted reports whether proto is a scheme over TLS. Traefik tells "wss" of a WebSocket's handshake.
func encrypted(proto string) bool {
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// walk follows the forwarding header from the peer to the client. proto is what the Forwarded header tells about the
// client's own connection, "" when it does not.
func (p Proxies) walk(r *http.Request) (client netip.Addr, proto string) {
	client = Peer(r)
	if !p.Trusts(client) {
		return client, ""
	}
	next := rightmost(r.Header.Values("X-Forwarded-For"), lastOfList)
	if p.Header == "forwarded" {
		next = rightmost(r.Header.Values("Forwarded"), lastElement)
	}
	for p.Trusts(client) {
		entry, ok := next()
		if !ok {
			return client, proto
		}
		node := entry
		if p.Header == "forwarded" {
			node, proto = parseElement(entry)
		}
		addr, ok := parseNode(node)
		if !ok {
			return client, proto
		}
		client = addr
	}
	return client, proto
}

// rightmost returns a function that gives the entries of a list header from the last to the first. Several lines are one
// list (RFC 9110 section 5.3); cut takes the last entry off a line.
func rightmost(lines []string, cut func(string) (rest, last string, more bool)) func() (string, bool) {
	i := len(lines) - 1
	rest, more := "", false
	return func() (last string, ok bool) {
		for !more {
			if i < 0 {
				return "", false
			}
			rest, more = lines[i], true
			i--
		}
		rest, last, more = cut(rest)
		return strings.Trim(last, " \t"), true
	}
}

// lastOfList cuts at the last comma.
func lastOfList(line string) (rest, last string, more bool) {
	i := strings.LastIndexByte(line, ',')
	return line[:max(i, 0)], line[i+1:], i >= 0
}

// lastElement cuts at the last comma outside quotes. It looks from the end, because what stands there was written by our
// proxy, and a quote that the client left open in front must not swallow it.
func lastElement(line string) (rest, last string, more bool) {
	quoted := false
	for i := len(line) - 1; i >= 0; i-- {
		switch {
		case line[i] == '"' && !escaped(line, i):
			quoted = !quoted
		case line[i] == ',' && !quoted:
			return line[:i], line[i+1:], true
		}
	}
	return "", line, false
}

// escaped reports whether an odd number of backslashes stands before line[i].
func escaped(line string, i int) bool {
	n := 0
	for i--; i >= 0 && line[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// parseElement reads one forwarded-element of RFC 7239 section 4: for=192.0.2.60;proto=http;by="[2001:db8::1]". Of a
// malformed one it returns nothing.
func parseElement(element string) (node, proto string) {
	for element != "" {
		name, rest, found := strings.Cut(element, "=")
		if !found {
			return "", ""
		}
		value, rest, ok := parseValue(rest)
		if !ok {
			return "", ""
		}
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "for":
			node = value
		case "proto":
			proto = value
		}
		rest = strings.TrimLeft(rest, " \t")
		if element, found = strings.CutPrefix(rest, ";"); !found && rest != "" {
			return "", ""
		}
	}
	return node, proto
}

// parseValue takes a token or a quoted-string (RFC 9110 section 5.6) off the front of text.
func parseValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, "; \t\"")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// parseNode reads an address with or without a port and brackets. Names that hide the address ("unknown", "_gazonk") are
// not ok.
func parseNode(node string) (netip.Addr, bool) {
	if inner, found := strings.CutPrefix(node, "["); found {
		if inner, found = strings.CutSuffix(inner, "]"); found {
			node = inner
		}
	}
	if addr, err := netip.ParseAddr(node); err == nil {
		return plain(addr), true
	}
	addrPort, err := netip.ParseAddrPort(node)
	return plain(addrPort.Addr()), err == nil
}

// Local reports whether the request came from this machine and through no proxy, as far as its headers tell.
func Local(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	return Peer(r).IsLoopback()
}
