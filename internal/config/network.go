package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// address checks host:port to listen on.
func (p *parser) address(variable, text string) string {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil && strings.Count(text, ":") > 1:
		p.fail(variable, "%q is not an address; an IPv6 address needs brackets and a port: [::1]:8080", text)
	case err != nil:
		p.fail(variable, "%q is not an address; use host:port, like localhost:8080, or :8080 for every interface", text)
	case portErr != nil:
		p.fail(variable, "%q has no port from 0 to 65535; use one like localhost:8080", text)
	case host != "" && canonicalHost(host) == "":
		p.fail(variable, "%q has no valid host; use a name or an IP address of this machine", text)
	default:
		return net.JoinHostPort(host, strconv.FormatUint(n, 10))
	}
	return ""
}

// prefixes reads CIDRs and single addresses.
func (p *parser) prefixes(variable, text string) (prefixes []netip.Prefix) {
	for _, part := range list(text) {
		prefix, err := parsePrefix(part)
		switch {
		case err != nil:
			p.fail(variable, "%q is neither a CIDR like 10.0.0.0/8 nor an address like 10.0.0.7", part)
		case prefix.Bits() == 0:
			p.fail(variable, "%q would believe everybody about who they are; name the addresses of your proxies only", part)
		default:
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// parsePrefix returns prefixes of IPv4-mapped IPv6 addresses as the IPv4 ones they stand for, because peers are compared
// in that form.
func parsePrefix(text string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(text)
	bits := addr.BitLen()
	if err != nil {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		addr, bits = prefix.Addr(), prefix.Bits()
	}
	const mapped = 96 // the bits in front of the IPv4 address
	if addr.Is4In6() && bits >= mapped {
		addr, bits = addr.Unmap(), bits-mapped
	}
	return addr.WithZone("").Prefix(bits)
}

// webURL reads an http or https URL with a valid host and neither user, query nor fragment; nil after a mistake. The
// host comes back in lower case and without a default port, as browsers write it.
func (p *parser) webURL(variable, text, example string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		p.fail(variable, "contains a user name or a password; leave it out")
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		p.fail(variable, "%q is not a URL that starts with http:// or https://; use one like %s", text, example)
	case canonicalHost(u.Hostname()) == "":
		p.fail(variable, "%q has no valid host name; use one like %s", text, example)
	case !validPort(u.Port()):
		p.fail(variable, "%q has a port that is not from 1 to 65535", text)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		p.fail(variable, "%q has a query or a fragment; leave out everything from the ? or # on", text)
	default:
		return &url.URL{Scheme: u.Scheme, Host: browserHost(u), Path: strings.TrimSuffix(u.Path, "/"), RawPath: u.RawPath}
	}
	return nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func browserHost(u *url.URL) string {
	host, port := canonicalHost(u.Hostname()), u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

// publicURL reads the address of the dashboard, nil when unset or wrong.
func (p *parser) publicURL(variable, text string) *url.URL {
	if text == "" {
		return nil
	}
	u := p.webURL(variable, text, "https://hooks.example.com")
	switch {
	case u == nil:
	case u.RawPath != "" || u.Path != "" && u.Path != path.Clean(u.Path) || strings.ContainsFunc(u.Path, oddInPath):
		p.fail(variable, "%q has a path that is not plain; use letters, digits, - _ . ~ between single slashes", text)
	case u.Path == "/in" || strings.HasPrefix(u.Path, "/in/"):
		p.fail(variable, "%q starts with /in, where the capture URLs are; serve the dashboard under another path", text)
	default:
		return u
	}
	return nil
}

func oddInPath(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/-_.~", r)
}

// origin reads scheme and host, nil when unset or wrong.
func (p *parser) origin(variable, text string) *url.URL {
	if text == "" {
		return nil
	}
	u := p.webURL(variable, text, "https://in.example.com")
	if u != nil && u.Path != "" {
		p.fail(variable, "%q has a path; capture URLs start at /in/ there, so leave the path out", text)
		return nil
	}
	return u
}

// hostNames reads names and IP addresses without ports.
func (p *parser) hostNames(variable, text string) (names []string) {
	for _, part := range list(text) {
		name := canonicalHost(strings.Trim(part, "[]"))
		switch {
		case strings.Contains(part, "*"):
			p.fail(variable, "%q has a wildcard; write each name out", part)
		case strings.Contains(part, "/"):
			p.fail(variable, "%q is not a host name; leave out the scheme and the path", part)
		case name == "" && strings.Contains(part, ":"):
			p.fail(variable, "%q is not a host name; leave out the port, every port is meant", part)
		case name == "":
			p.fail(variable, "%q is not a host name; use one like hooks.example.com (a name with other letters as xn--…)", part)
		default:
			names = append(names, name)
		}
	}
	return names
}

// canonicalHost returns a host name or an IP address (no brackets, no port) in lower case and without the dot at its end,
// "" when it is neither.
func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.WithZone("").String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	const maxName, maxLabel, digits = 253, 63, "0123456789" // RFC 1035 section 2.3.4
	if len(host) > maxName {
		return ""
	}
	last := ""
	for last = range strings.SplitSeq(host, ".") {
		if last == "" || len(last) > maxLabel || strings.Trim(last, "abcdefghijklmnopqrstuvwxyz-_"+digits) != "" {
			return ""
		}
	}
	if strings.Trim(last, digits) == "" {
		return "" // browsers take it for a strange spelling of an IPv4 address
	}
	return host
}
