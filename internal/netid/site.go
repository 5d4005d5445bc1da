package netid

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Site is how the operator says that this server is reached.
type Site struct {
	Public  *url.URL // the dashboard, perhaps with a sub-path; nil when unset
	Capture *url.URL // scheme and host of capture URLs when they have a host of their own; else nil
	Allowed []string // more names of the dashboard, without ports
	Proxies Proxies
}

// Known reports whether the request's Host is a name of the dashboard: that of Public, one of Allowed, and while Public
// is unset localhost, its sub-domains and IP addresses, none of which a foreign page can rebind. Ports do not matter.
func (s Site) Known(r *http.Request) bool {
	name, _ := splitHost(r.Host)
	switch {
	case name == "", s.IsCaptureHost(r):
		return false
	case s.Public != nil && name == hostName(s.Public):
		return true
	case slices.ContainsFunc(s.Allowed, func(allowed string) bool { return canonical(strings.Trim(allowed, "[]")) == name }):
		return true
	}
	return s.Public == nil && local(name)
}

// local reports whether name is localhost, below it, or an IP address.
func local(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// IsCaptureHost reports whether the request's Host is the one that capture URLs have to themselves.
func (s Site) IsCaptureHost(r *http.Request) bool {
	if s.Capture == nil {
		return false
	}
	name, _ := splitHost(r.Host)
	return name == hostName(s.Capture)
}

// Scheme returns "https" when the client's connection was encrypted: by TLS to us, as a trusted proxy tells, or because
// the Host is that of Public, whose scheme is known. Otherwise it is "http".
func (s Site) Scheme(r *http.Request) string {
	if s.Proxies.HTTPS(r) || s.isPublic(r) && s.Public.Scheme == "https" {
		return "https"
	}
	return "http"
}

// isPublic reports whether the Host is that of Public. A Host without a port is taken for it too: a proxy that passes on
// only the name (nginx's $host) drops the port.
func (s Site) isPublic(r *http.Request) bool {
	if s.Public == nil {
		return false
	}
	name, port := splitHost(r.Host)
	return name != "" && name == hostName(s.Public) && (port == "" || port == portOf(s.Public))
}

// Origin returns the origin, scheme://host, of pages of this site that are reached as the request was: the only one whose
// requests may change anything. It is written as browsers write it, in lower case and without a default port; a dot at
// the end of the name stays, to browsers that is another origin.
func (s Site) Origin(r *http.Request) string {
	scheme := s.Scheme(r)
	if s.isPublic(r) && !strings.HasSuffix(r.Host, ".") {
		return origin(scheme, s.Public.Host)
	}
	return origin(scheme, r.Host)
}

// SameOrigin reports whether the request's Origin header is Origin. It is false without one, and with one that browsers
// would not send.
func (s Site) SameOrigin(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) != 1 || !s.Known(r) {
		return false
	}
	scheme, host, found := strings.Cut(values[0], "://")
	if name, _ := splitHost(host); !found || name == "" {
		return false
	}
	return origin(strings.ToLower(scheme), host) == s.Origin(r)
}

func origin(scheme, host string) string {
	host = strings.ToLower(host)
	defaultPort := ":80"
	if scheme == "https" {
		defaultPort = ":443"
	}
	return scheme + "://" + strings.TrimSuffix(strings.TrimSuffix(host, defaultPort), ":")
}

// BasePath returns the path of Public, "" or like "/team": what stands before every path of the dashboard.
func (s Site) BasePath() string {
	if s.Public == nil {
		return ""
	}
	return strings.TrimSuffix(s.Public.Path, "/")
}

// Base returns what stands before a path of the dashboard in a full link: https://host/sub. It comes from Public, and only
// while that is unset from a known Host; for any other it is "", which makes links relative.
func (s Site) Base(r *http.Request) string {
	switch {
	case s.Public != nil:
		return origin(s.Public.Scheme, s.Public.Host) + s.BasePath()
	case s.Known(r):
		return s.Origin(r)
	}
	return ""
}

// CaptureBase returns what stands before /in/{slug} in the address of a capture URL.
func (s Site) CaptureBase(r *http.Request) string {
	if s.Capture != nil {
		return origin(s.Capture.Scheme, s.Capture.Host)
	}
	return s.Base(r)
}

// SlugOf returns the slug of the capture URL that an address leads to, "" when it leads away from this server as far as the names
// tell that we know: those of Public and Capture, and the one that the request was sent to.
func (s Site) SlugOf(r *http.Request, address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	here := []*url.URL{s.Public, s.Capture}
	if asked, err := url.Parse(s.Origin(r)); err == nil {
		here = append(here, asked)
	}
	if !slices.ContainsFunc(here, func(own *url.URL) bool { return own != nil && samePlace(own, u) }) {
		return ""
	}
	path, found := strings.CutPrefix(strings.TrimPrefix(u.Path, s.BasePath()), "/in/")
	if !found {
		return ""
	}
	slug, _, _ := strings.Cut(path, "/")
	return slug
}

// samePlace reports whether two addresses lead to the same port of a host. The ports of HTTP and HTTPS count as one, as do the
// names of this machine.
func samePlace(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := portOf(u); p != "443" {
			return p
		}
		return "80"
	}
	name := func(u *url.URL) string {
		name := hostName(u)
		if addr, err := netip.ParseAddr(name); err == nil && addr.Unmap().IsLoopback() {
			return "localhost"
		}
		return name
	}
	return name(a) != "" && name(a) == name(b) && port(a) == port(b)
}

// splitHost splits a Host header into the canonical name and the port, "" when it has none. A name of "" means that the
// header is not valid: RFC 3986 section 3.2.2, and only with what host names are made of.
func splitHost(host string) (name, port string) {
	name, port = host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", ""
	}
	inner, bracketed := strings.CutPrefix(name, "[")
	if bracketed {
		var closed bool
		if name, closed = strings.CutSuffix(inner, "]"); !closed {
			return "", ""
		}
	}
	if bracketed != strings.Contains(name, ":") {
		return "", "" // IPv6 addresses have brackets, and nothing else has
	}
	return canonical(name), port
}

// canonical returns a host name in lower case and without the dot at its end, an IP address in its shortest form, and ""
// for anything else. An address with a zone is nothing that a browser can ask for.
func canonical(name string) string {
	if addr, err := netip.ParseAddr(name); err == nil && addr.Zone() == "" {
		return addr.String()
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if strings.HasPrefix(name, ".") || strings.Contains(name, "..") ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return ""
	}
	return name
}

func hostName(u *url.URL) string { return canonical(u.Hostname()) }

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
