package egress

import (
	"net/netip"
	"strconv"
	"strings"
)

// canonical returns a host name the way names are compared: in lower case, without the dot at its end.
func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// literal returns the addresses that a canonical host stands for in itself, without any lookup; none for a name that
// has to be looked up. The resolver here takes only the usual spelling; the others are read because a target like
// http://127.1/ has one meaning, and its author should hear at once that it is refused.
func literal(host string) []netip.Addr {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}
	}
	if addr, ok := looseIPv4(host); ok {
		return []netip.Addr{addr}
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return nil
}

// looseIPv4 reads the spellings that inet_aton(3) takes for an IPv4 address: one to four numbers, decimal, octal (017) or
// hexadecimal (0xf), of which the last fills all bytes that are left.
func looseIPv4(host string) (netip.Addr, bool) {
	parts := strings.Split(host, ".")
	last := len(parts) - 1
	if last > 3 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		bits := 8
		if i == last {
			bits = 8 * (4 - last)
		}
		n, ok := looseNumber(part, bits)
		if !ok {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

func looseNumber(text string, bits int) (uint64, bool) {
	digits, base := text, 10
	switch {
	case strings.HasPrefix(text, "0x"):
		digits, base = text[2:], 16
	case len(text) > 1 && text[0] == '0':
		digits, base = text[1:], 8
	}
	n, err := strconv.ParseUint(digits, base, bits)
	return n, err == nil
}
