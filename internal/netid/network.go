package netid

import "net/netip"

// Network returns what one customer of a provider has of the address space: an IPv4 address, or the first address of the
// /64 that an IPv6 address is in. Limits of an address count by it, because a /64 has more addresses than any limit.
func Network(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap(); !addr.Is6() {
		return addr
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr // only the zero Addr, which is no IPv6 address
	}
	return prefix.Addr()
}
