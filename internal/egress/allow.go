package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// AllowList is what the operator opens beside the public addresses, HOOKKEEPER_ALLOW_TARGETS. The zero AllowList opens
// nothing.
type AllowList struct{ entries []entry }

// entry opens an address range, or whatever addresses a host name resolves to; all ports or one.
type entry struct {
	prefix netip.Prefix // not valid in an entry for a name
	name   string       // canonical
	port   int          // anyPort for all, except the ones that need an entry of their own
}

const anyPort = -1

// ParseAllowList reads entries with commas between them: a range (10.0.0.0/8), an address or a host name, the last two
// also with a port (10.1.2.3:8080, [fd00::1]:8080, shop.internal:8080). It returns a list of the good entries, and for
// each of the others an error that quotes it and says what to write.
func ParseAllowList(text string) (AllowList, []error) {
	var (
		list AllowList
		errs []error
	)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		e, err := parseEntry(part)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q %w", part, err))
			continue
		}
		list.entries = append(list.entries, e)
	}
	return list, errs
}

func parseEntry(text string) (entry, error) {
	switch {
	case strings.Contains(text, "://"):
		return entry{}, errors.New("is a URL; leave out the scheme and the path")
	case strings.Contains(text, "*"):
		return entry{}, errors.New("has a wildcard; write each name out")
	case strings.Contains(text, "/"):
		return parseRange(text)
	}
	host, port, err := splitPort(text)
	if err != nil {
		return entry{}, err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addressEntry(addr, port)
	}
	return nameEntry(host, port)
}

func parseRange(text string) (entry, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil && strings.LastIndexByte(text, ':') > strings.IndexByte(text, '/'):
		return entry{}, errors.New("is a range with a port; write the addresses that need a port one by one, like 10.1.2.3:8080")
	case err != nil:
		return entry{}, errors.New("is not a range of addresses; use one like 10.0.0.0/8")
	case prefix.Addr().Is4In6():
		return entry{}, errors.New("is a range of IPv4 in IPv6; write it like 10.0.0.0/8")
	case prefix.Bits() == 0:
		return entry{}, errors.New("would open every address; name the networks that targets are in")
	case prefix.Masked() != prefix:
		return entry{}, fmt.Errorf("has bits behind the range; write %s, or an address without the slash", prefix.Masked())
	}
	return entry{prefix: prefix, port: anyPort}, nil
}

// splitPort takes the brackets off an IPv6 address, too.
func splitPort(text string) (host string, port int, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]"), anyPort, nil
	}
	if _, err := netip.ParseAddr(text); err == nil || !strings.Contains(text, ":") {
		return text, anyPort, nil
	}
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, errors.New("is no address; an IPv6 address with a port is written [fd00::1]:8080")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, errors.New("has no port from 0 to 65535; write one like shop.internal:8080, or none for every port")
	}
	return host, int(n), nil
}

func addressEntry(addr netip.Addr, port int) (entry, error) {
	if addr.Zone() != "" {
		return entry{}, errors.New("has a zone; addresses with one are always refused")
	}
	addr = addr.Unmap()
	if isMetadata(addr) {
		return entry{}, errors.New("is a cloud metadata address, which is always refused; leave it out")
	}
	return entry{prefix: netip.PrefixFrom(addr, addr.BitLen()), port: port}, nil
}

func nameEntry(host string, port int) (entry, error) {
	name := canonical(host)
	if addr, ok := looseIPv4(name); ok {
		return entry{}, fmt.Errorf("is an unusual spelling of an address; write %s", addr)
	}
	if !isHostName(name) {
		return entry{}, errors.New("is neither an address nor a host name; " +
			"use one like 10.1.2.3, fd00::1 or shop.internal (a name with other letters as xn--…)")
	}
	return entry{name: name, port: port}, nil
}

// isHostName reports whether name is made of what host names are made of, and does not end in a number: that would be a
// mistyped address.
func isHostName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz-_"
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(name, letters+"0123456789.") == "" && strings.ContainsAny(last, letters) &&
		!strings.HasPrefix(name, ".") && !strings.Contains(name, "..")
}

// opens reports whether an entry opens the address and the port for a URL with that canonical host.
func (l AllowList) opens(host string, addr netip.Addr, port uint16) bool {
	for _, e := range l.entries {
		if (e.port == anyPort || e.port == int(port)) && e.names(host, addr) {
			return true
		}
	}
	return false
}

// opensPort is opens for a port that is closed even on a public address: only entries with that port count.
func (l AllowList) opensPort(host string, addr netip.Addr, port uint16) bool {
	for _, e := range l.entries {
		if e.port == int(port) && e.names(host, addr) {
			return true
		}
	}
	return false
}

// hasPort reports whether any entry names the port.
func (l AllowList) hasPort(port uint16) bool {
	for _, e := range l.entries {
		if e.port == int(port) {
			return true
		}
	}
	return false
}

func (e entry) names(host string, addr netip.Addr) bool {
	if e.name != "" {
		return e.name == host
	}
	return e.prefix.Contains(addr)
}
