package egress

import (
	"net/netip"
	"slices"
)

// block is a part of the address space with what an address in it is, as a part of a sentence.
type block struct {
	prefix netip.Prefix
	is     string
}

// blocks are closed. They are the special-purpose registries of IANA (iana-ipv4-special-registry,
// iana-ipv6-special-registry), without the difference whether a block is said to be globally reachable: nobody serves
// webhooks in one.
var blocks = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "a reserved address"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a shared address of a carrier's network"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address"},
	{netip.MustParsePrefix("192.0.2.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "a reserved address"},
	{netip.MustParsePrefix("192.52.193.0/24"), "a reserved address"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a reserved address"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("192.175.48.0/24"), "a reserved address"},
	{netip.MustParsePrefix("198.18.0.0/15"), "an address for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},

	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("2001::/23"), "a reserved address"},
	{netip.MustParsePrefix("2001:db8::/32"), "an address for documentation"},
	{netip.MustParsePrefix("2002::/16"), "a reserved address"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "a reserved address"},
	{netip.MustParsePrefix("3fff::/20"), "an address for documentation"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("fec0::/10"), "a private address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
}

// unicast6 is all of IPv6 that has been given out so far (iana-ipv6-unicast-address-assignments).
var unicast6 = netip.MustParsePrefix("2000::/3")

// special returns what kind of address this is when it is not public, "" when it is. The address is unmapped and has no
// zone.
func special(addr netip.Addr) string {
	for _, b := range blocks {
		if b.prefix.Contains(addr) {
			return b.is
		}
	}
	if addr.Is4() || unicast6.Contains(addr) {
		return ""
	}
	return "a reserved address"
}

// metadata are the services that give the credentials and the set-up of a machine or a container to whoever asks from
// there, as their clouds document them.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("169.254.170.2"),   // AWS: containers of ECS
	netip.MustParseAddr("169.254.170.23"),  // AWS: pods of EKS
	netip.MustParseAddr("fd00:ec2::23"),
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
}

func isMetadata(addr netip.Addr) bool { return slices.Contains(metadata, addr) }

// Where IPv6 carries IPv4.
var (
	compatible  = netip.MustParsePrefix("::/96")           // RFC 4291 section 2.5.5.1
	translated  = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 section 2.1
	nat64       = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 section 2.1
	localNAT64  = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	sixToFour   = netip.MustParsePrefix("2002::/16")       // RFC 3056 section 2
	teredo      = netip.MustParsePrefix("2001::/32")       // RFC 4380 section 4
	unspecified = netip.IPv6Unspecified()
	loopback    = netip.IPv6Loopback()
)

// carried returns the IPv4 addresses that a packet to the address may end at, the likeliest first: a gateway for NAT64,
// 6to4 or Teredo, which may be anywhere on the way, takes them out of it. Most addresses carry none.
func carried(addr netip.Addr) []netip.Addr {
	if !addr.Is6() || addr == unspecified || addr == loopback {
		return nil
	}
	b := addr.As16()
	at := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	switch {
	case nat64.Contains(addr), compatible.Contains(addr), translated.Contains(addr):
		return []netip.Addr{at(12, 13, 14, 15)}
	case localNAT64.Contains(addr): // of the lengths in RFC 6052 section 2.2 nobody knows which one a network uses
		return []netip.Addr{at(12, 13, 14, 15), at(9, 10, 11, 12), at(7, 9, 10, 11), at(6, 7, 9, 10)}
	case sixToFour.Contains(addr):
		return []netip.Addr{at(2, 3, 4, 5)}
	case teredo.Contains(addr): // the client's address is stored with its bits inverted
		client := netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		return []netip.Addr{client, at(4, 5, 6, 7)}
	}
	return nil
}
