package egress

import (
	"net/netip"
	"strings"
	"testing"
)

// The rows F01 and F02 of the corpus.
const (
	bad = `127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254 100.64.0.1
		100.100.100.200 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
		255.255.255.255 168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
		64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 100::1 2001::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1
		fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1`
	good = `8.8.8.8 1.1.1.1 140.82.112.3 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 169.253.255.255 192.167.255.255
		223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001::1 ::ffff:8.8.8.8`
)

func addrs(t *testing.T, text string, n int) (list []netip.Addr) {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(word))
	}
	if len(list) != n {
		t.Fatalf("%d addresses, want %d", len(list), n)
	}
	return list
}

func TestKindOf(t *testing.T) {
	for _, addr := range addrs(t, bad, 46) {
		if kindOf(addr) == public {
			t.Errorf("%s counts as public", addr)
		}
	}
	for _, addr := range addrs(t, good, 14) {
		if k := kindOf(addr); k != public {
			t.Errorf("%s counts as %s", addr, k)
		}
	}
	if kindOf(netip.Addr{}) == public {
		t.Error("no address counts as public")
	}
}

// TestMetadataInDisguise: what carries a metadata address is one, and what carries another is not.
func TestMetadataInDisguise(t *testing.T) {
	for _, text := range strings.Fields(`169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe
		2002:a9fe:a9fe::1 ::169.254.169.254 ::ffff:0:a9fe:a9fe 2001:0:1::5601:5601 fd00:ec2::254 fd20:ce::254 100.100.100.200
		192.0.0.192 168.63.129.16 fd00:ec2::254%eth0`) {
		if !isMetadata(netip.MustParseAddr(text)) {
			t.Errorf("%s is no metadata", text)
		}
	}
	for _, text := range strings.Fields("169.254.169.253 10.0.0.1 8.8.8.8 64:ff9b::808:808 2002:808:808::1 fd00::1 2001:0:1::1") {
		if isMetadata(netip.MustParseAddr(text)) {
			t.Errorf("%s is metadata", text)
		}
	}
}

// FuzzKindOf: every form of an IPv4 address that is not public is not public.
func FuzzKindOf(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{8, 8, 8, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 4 {
			return
		}
		v4 := netip.AddrFrom4([4]byte(b))
		mapped := netip.AddrFrom16(v4.As16())
		if kindOf(mapped) != kindOf(v4) || isMetadata(mapped) != isMetadata(v4) {
			t.Errorf("%s is %q and %s is %q", v4, kindOf(v4), mapped, kindOf(mapped))
		}
		nat64 := netip.MustParseAddr("64:ff9b::").As16()
		copy(nat64[12:], b)
		if kindOf(netip.AddrFrom16(nat64)) == public || isMetadata(netip.AddrFrom16(nat64)) != isMetadata(v4) {
			t.Errorf("NAT64 of %s counts as public, or hides metadata", v4)
		}
	})
}
