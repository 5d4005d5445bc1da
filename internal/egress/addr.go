// Package egress is the only place that dials out. It decides on the address that is really dialled, so that neither a
// name that resolves to something else the second time nor an odd spelling of an address gets around it.
package egress

import "net/netip"

// kind says what an address is, in words for people; "" = a public one.
type kind string

const (
	public    kind = ""
	loopback  kind = "a loopback address"
	private   kind = "a private address"
	linkLocal kind = "a link-local address"
	metadata  kind = "an address of cloud metadata"
	reserved  kind = "a reserved address"
	zoned     kind = "an address of one network interface"
	embedded  kind = "an IPv6 address that stands for an IPv4 address"
)

// network is a range of addresses that are not public.
type network struct {
	netip.Prefix
	kind
}

func networks(k kind, prefixes ...string) (list []network) {
	for _, p := range prefixes {
		list = append(list, network{netip.MustParsePrefix(p), k})
	}
	return list
}

// notPublic lists what is not public in IPv4 and, within 2000::/3, in IPv6; all else of IPv6 is not public anyway. It follows
// the registries of special-purpose addresses (RFC 6890, https://www.iana.org/assignments/iana-ipv4-special-registry and
// …-ipv6-special-registry). Metadata stands first: its addresses lie in other ranges.
var notPublic = concat(
	networks(metadata, "169.254.169.254/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::254/128",
		"fd20:ce::254/128"),
	networks(loopback, "127.0.0.0/8", "::1/128"),
	networks(private, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
	networks(linkLocal, "169.254.0.0/16", "fe80::/10"),
	networks(reserved, "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
		"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"),
	networks(embedded, "2001::/23", "2002::/16", "64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96"),
)

var globalUnicast = netip.MustParsePrefix("2000::/3")

func concat(lists ...[]network) (all []network) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// kindOf judges an address. IPv4 in IPv6 form is the IPv4 address.
func kindOf(addr netip.Addr) kind {
	if addr.Zone() != "" {
		return zoned
	}
	addr = addr.Unmap()
	for _, n := range notPublic {
		if n.Contains(addr) {
			return n.kind
		}
	}
	if addr.Is6() && !globalUnicast.Contains(addr) || !addr.IsValid() {
		return reserved
	}
	return public
}

// inner returns the IPv4 address that an IPv6 address carries for a translator or a tunnel: NAT64 (RFC 6052, RFC 8215),
// 6to4 (RFC 3056), and the obsolete forms of RFC 4291 and RFC 2765. ok is false when it carries none.
func inner(addr netip.Addr) (v4 netip.Addr, ok bool) {
	if addr = addr.Unmap(); !addr.Is6() {
		return addr, false
	}
	b := addr.As16()
	for _, form := range []struct {
		prefix netip.Prefix
		at     int
	}{
		{netip.MustParsePrefix("64:ff9b::/96"), 12}, {netip.MustParsePrefix("64:ff9b:1::/48"), 12},
		{netip.MustParsePrefix("2002::/16"), 2}, {netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, {netip.MustParsePrefix("::/96"), 12},
	} {
		if form.prefix.Contains(addr) {
			return netip.AddrFrom4([4]byte(b[form.at : form.at+4])), true
		}
	}
	if netip.MustParsePrefix("2001::/32").Contains(addr) { // Teredo (RFC 4380) has it inverted
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	}
	return addr, false
}

// isMetadata reports whether an address reaches the metadata service of a cloud, in whatever form. Nothing can allow that.
func isMetadata(addr netip.Addr) bool {
	if v4, ok := inner(addr.WithZone("")); ok && kindOf(v4) == metadata {
		return true
	}
	return kindOf(addr.WithZone("")) == metadata
}
