package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// bad and good are rows F01 and F02 of the hostile inputs, and what was learned later.
const (
	bad = `127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254
		100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
		239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1
		::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 100::1 2001::1 2001:db8::1 2002:7f00:1::1
		2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1
		ff02::1 192.31.196.1 192.52.193.1 192.175.48.1 2620:4f:8000::1 ::ffff:8.8.8.8%lo`
	good = `8.8.8.8 1.1.1.1 140.82.112.3 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 169.253.255.255 192.167.255.255
		223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001::1 ::ffff:8.8.8.8`
)

func allowing(t testing.TB, text string) AllowList {
	t.Helper()
	list, errs := ParseAllowList(text)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return list
}

// targetOf returns a URL for the address and the port.
func targetOf(addr netip.Addr, port string) string {
	host := addr.String()
	if addr.Is6() {
		host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
	}
	return "http://" + host + ":" + port + "/"
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	guard := New(Options{})
	for _, text := range strings.Fields(bad) {
		t.Run("F01 "+text, func(t *testing.T) {
			t.Parallel()
			addr := netip.MustParseAddr(text)
			if refused := guard.allow.judge("", addr, 443); refused == nil {
				t.Error("judge lets it through")
			}
			err := guard.Check(targetOf(addr, "8080"))
			if _, ok := errors.AsType[*Refused](err); !ok {
				t.Errorf("Check: %v", err)
			}
			answer, err := guard.Do(t.Context(), Request{Method: "GET", URL: targetOf(addr, "9")})
			if _, ok := errors.AsType[*Refused](err); !ok || answer.RemoteAddr != "" {
				t.Errorf("Do: %v, dialled %q", err, answer.RemoteAddr)
			}
		})
	}
	for _, text := range strings.Fields(good) {
		t.Run("F02 "+text, func(t *testing.T) {
			t.Parallel()
			addr := netip.MustParseAddr(text)
			if refused := guard.allow.judge("", addr, 443); refused != nil {
				t.Error(refused)
			}
			if err := guard.Check(targetOf(addr, "8080")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRanges holds the first and the last address of every closed block against its neighbours.
func TestRanges(t *testing.T) {
	t.Parallel()
	for _, b := range blocks {
		first, last := b.prefix.Addr(), lastOf(b.prefix)
		if special(first) == "" || special(last) == "" {
			t.Errorf("%s is open", b.prefix)
		}
		for _, neighbour := range []netip.Addr{first.Prev(), last.Next()} {
			kind := special(neighbour)
			inBlock := neighbour.Is6() && !unicast6.Contains(neighbour)
			for _, other := range blocks {
				inBlock = inBlock || other.prefix.Contains(neighbour)
			}
			if neighbour.IsValid() && (kind != "") != inBlock {
				t.Errorf("%s, beside %s, is %q", neighbour, b.prefix, kind)
			}
		}
	}
}

func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for i := prefix.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// everything opens what can be opened with entries for addresses.
const everything = "0.0.0.0/1,128.0.0.0/1,::/1,8000::/1"

func TestMetadataStaysClosed(t *testing.T) {
	t.Parallel()
	list := allowing(t, everything+",meta.internal,meta.internal:80")
	for _, text := range strings.Fields(`169.254.169.254 100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254 fd20:ce::254
		169.254.170.2 169.254.170.23 fd00:ec2::23
		::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b::168.63.129.16
		64:ff9b:1::a9fe:a9fe 64:ff9b:1:a9fe:a9:fe00:808:808 64:ff9b:1:a9:fe:a9fe:808:808 64:ff9b:1:0:a9:fea9:fe08:808
		2002:a9fe:a9fe::1 2001:0:808:808::5601:5601 2001:0:a9fe:a9fe::f7f7:f7f7`) {
		refused := list.judge("meta.internal", netip.MustParseAddr(text), 80)
		if refused == nil || !refused.Always || !strings.Contains(refused.Error(), "always refused") {
			t.Errorf("%s: %v", text, refused)
		}
	}
}

func TestAllowListOpens(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		list, host, addr string
		port             uint16
		open             bool
	}{
		{"10.0.0.0/8", "a.example", "10.1.2.3", 443, true},
		{"10.0.0.0/8", "a.example", "::ffff:10.1.2.3", 443, true},
		{"10.0.0.0/8", "a.example", "11.0.0.1", 443, true},
		{"10.0.0.0/8", "a.example", "192.168.0.1", 443, false},
		{"10.1.2.3", "10.1.2.3", "10.1.2.3", 8080, true},
		{"10.1.2.3", "10.1.2.3", "10.1.2.4", 8080, false},
		{"10.1.2.3:8080", "10.1.2.3", "10.1.2.3", 8080, true},
		{"10.1.2.3:8080", "10.1.2.3", "10.1.2.3", 8081, false},
		{"::ffff:10.1.2.3", "10.1.2.3", "10.1.2.3", 8080, true},
		{"[fd00::1]:8080", "fd00::1", "fd00::1", 8080, true},
		{"[fd00::1]:8080", "fd00::1", "fd00::1", 80, false},
		{"fd00::1", "fd00::1", "fd00::1", 80, true},
		{"fd00::1", "fd00::1", "fd00::1%eth0", 80, false},
		{"[fd00::1]", "fd00::1", "fd00::1", 80, true},
		{"Shop.Internal.", "shop.internal", "10.1.2.3", 80, true},
		{"shop.internal", "shop.internal", "127.0.0.1", 80, true},
		{"shop.internal", "other.internal", "10.1.2.3", 80, false},
		{"shop.internal", "a.shop.internal", "10.1.2.3", 80, false},
		{"shop.internal:8080", "shop.internal", "10.1.2.3", 8080, true},
		{"shop.internal:8080", "shop.internal", "10.1.2.3", 8081, false},

		{"", "a.example", "1.1.1.1", 22, false},
		{"", "a.example", "1.1.1.1", 25, false},
		{"", "a.example", "1.1.1.1", 0, false},
		{"", "a.example", "1.1.1.1", 23, true},
		{"1.1.1.1", "a.example", "1.1.1.1", 22, false},
		{"1.1.1.1:22", "a.example", "1.1.1.1", 22, true},
		{"1.1.1.1:22", "a.example", "1.1.1.1", 25, false},
		{"1.1.1.1:0", "a.example", "1.1.1.1", 0, true},
		{"10.0.0.0/8", "a.example", "10.1.2.3", 25, false},
		{"10.0.0.0/8,10.1.2.3:25", "a.example", "10.1.2.3", 25, true},
		{"mail.internal:25", "mail.internal", "10.1.2.3", 25, true},

		{"64:ff9b::/96", "a.example", "64:ff9b::8.8.8.8", 443, true}, // a network that has only IPv6
		{"64:ff9b::/96", "a.example", "64:ff9b::10.0.0.5", 443, false},
		{"64:ff9b::/96,10.0.0.5", "a.example", "64:ff9b::10.0.0.5", 443, true},
		{"64:ff9b::/96", "a.example", "64:ff9b::8.8.8.8", 25, false},
		{"2001::/32", "a.example", "2001:0:808:808::f5ff:fffa", 443, false}, // Teredo of 10.0.0.5
		{"::1", "localhost", "::1", 80, true},
	} {
		refused := allowing(t, row.list).judge(row.host, netip.MustParseAddr(row.addr), row.port)
		if (refused == nil) != row.open {
			t.Errorf("%q, %s at %s port %d: %v", row.list, row.host, row.addr, row.port, refused)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const setting = "; an operator can allow it with HOOKKEEPER_ALLOW_TARGETS"
	for _, row := range []struct{ row, list, target, want string }{
		{"plain", "", "http://10.0.0.5/", "refused: 10.0.0.5 is a private address" + setting},
		{"plain", "10.0.0.5:80", "http://10.0.0.5/", ""},
		{"plain", "10.0.0.5:80", "https://10.0.0.5/", "refused: 10.0.0.5 is a private address" + setting},
		{"plain", "", "https://hooks.example.com/x", ""},
		{"metadata", "169.254.0.0/16", "http://169.254.169.254/latest", "refused: 169.254.169.254 is a cloud metadata address, which is always refused"},
		{"address before port", "", "http://10.0.0.5:22/", "refused: 10.0.0.5 is a private address" + setting},
		{"embedded", "64:ff9b::/96", "http://[64:ff9b::a00:5]/", "refused: 64:ff9b::a00:5 leads to 10.0.0.5, a private address" + setting},

		{"F04", "", "http://127.1/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://2130706433/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://0x7f000001/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://0X7F.1/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://0177.0.0.1/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://0/", "0.0.0.0 is a reserved address"},
		{"F04", "", "http://127.0.0.1./", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://LOCALHOST./", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://localhost:3000/", "127.0.0.1 is a loopback address"},
		{"F04", "", "http://a.localhost/", "127.0.0.1 is a loopback address"},
		{"F04", "127.0.0.1:3000", "http://localhost:3000/", ""},
		{"F04", "[::1]:3000", "http://localhost:3000/", ""},
		{"F04", "localhost", "http://localhost:3000/", ""},
		{"F04", "", "http://134744072/", ""}, // 8.8.8.8; no lookup finds it
		{"F04", "", "http://1.2.3.4.5/", ""},
		{"F04", "", "http://256.0.0.1/", ""},
		{"F04", "", "http://0x.com/", ""},

		{"F06", "", "http://[::1]/", "::1 is a loopback address"},
		{"F06", "", "http://[::ffff:7f00:1]/", "127.0.0.1 is a loopback address"},
		{"F06", everything, "http://[fe80::1%25eth0]/", "fe80::1%eth0 is an address with a zone, which is always refused"},
		{"F06", everything, "http://[::1%25lo]/", "::1%lo is an address with a zone, which is always refused"},

		{"F07", "", "http://user:pass@127.0.0.1/", "must not contain a user name"},
		{"F07", "", "http://evil.com@127.0.0.1/", "must not contain a user name"},
		{"F07", "", `http://127.0.0.1:80\@evil.com/`, "is not a URL"},

		{"F08", "", "http:///x", "names no host"},
		{"F08", "", "http:", "names no host"},
		{"F08", "", "//h/", "must start with http"},
		{"F08", "", "HTTP://127.0.0.1", "127.0.0.1 is a loopback address"},
		{"F08", "", " http://a", "a space"},
		{"F08", "", "\thttp://a", "a control character"},
		{"F08", "", "http://a%0d%0aX:y", "is not a URL"},

		{"F09", "", "file:///etc/passwd", "must start with http"},
		{"F09", "", "gopher://a/", "must start with http"},
		{"F09", "", "ftp://a/", "must start with http"},
		{"F09", "", "data:text/html,x", "must start with http"},
		{"F09", "", "javascript:alert(1)", "must start with http"},
		{"F09", "", "unix:/run/docker.sock", "must start with http"},
		{"F09", "", "http+unix://%2Frun%2Fdocker.sock/", "is not a URL"},

		{"F10", "", "http://a.example:0/", "refused: a.example:0 is on port 0, which is no place for webhooks" + setting},
		{"F10", "", "http://a.example:22/", "a.example:22 is on port 22"},
		{"F10", "", "http://a.example:25/", "a.example:25 is on port 25"},
		{"F10", "", "http://1.1.1.1:25/", "1.1.1.1:25 is on port 25"},
		{"F10", "", "http://[2606:4700::1]:25/", "[2606:4700::1]:25 is on port 25"},
		{"F10", "10.0.0.5:22", "http://box.internal:22/", ""}, // it may resolve to that
		{"F10", "", "http://a.example:65536/", "port"},
		{"F10", "", "http://a.example:-1/", "is not a URL"},
		{"F10", "", "http://a.example:80a/", "is not a URL"},
	} {
		t.Run(row.row+" "+row.target, func(t *testing.T) {
			t.Parallel()
			err := New(Options{Allow: allowing(t, row.list)}).Check(row.target)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("with %q: %v, want %q", row.list, err, row.want)
			}
		})
	}
}

// FuzzTarget compares Check with what the standard library says about addresses.
func FuzzTarget(f *testing.F) {
	for _, text := range strings.Fields(bad + " " + good) {
		f.Add(targetOf(netip.MustParseAddr(text), "80"))
	}
	for _, host := range []string{"127.1", "0x7f.1", "017700000001", "localhost.", "①②⑦.⓪.⓪.①", "a.example:22", "a.example:0"} {
		f.Add("http://" + host)
	}
	guard := New(Options{})
	f.Fuzz(func(t *testing.T, target string) {
		if guard.Check(target) != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range literal(canonical(u.Hostname())) {
			addr = addr.Unmap()
			if guard.allow.judge("", addr, portOf(u)) != nil || !addr.IsGlobalUnicast() || addr.IsPrivate() || isMetadata(addr) {
				t.Errorf("%q reaches %s", target, addr)
			}
		}
		switch u.Port() {
		case "0", "22", "25":
			t.Errorf("%q: a closed port", target)
		}
	})
}
