package netid

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

var trusted = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
}

// request returns one from the peer with header lines "Name: value".
func request(peer string, lines ...string) *http.Request {
	r := &http.Request{RemoteAddr: peer, Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

const (
	proxy    = "10.0.0.1:4711"
	stranger = "203.0.113.9:4711"
)

func TestClientByXForwardedFor(t *testing.T) {
	xff := Proxies{Trusted: trusted, Header: "x-forwarded-for"}
	for _, test := range []struct {
		about, peer string
		lines       []string
		want        string
	}{
		{"a stranger's header is not believed", stranger, []string{"X-Forwarded-For: 6.6.6.6"}, "203.0.113.9"},
		{"5000 entries of a stranger", stranger, []string{"X-Forwarded-For: " + strings.Repeat("1.1.1.1,", 5000)}, "203.0.113.9"},
		{"no header", proxy, nil, "10.0.0.1"},
		{"one entry of a proxy", proxy, []string{"X-Forwarded-For: 6.6.6.6"}, "6.6.6.6"},
		{"the entry of the client itself is not believed", proxy, []string{"X-Forwarded-For: 1.1.1.1, 6.6.6.6"}, "6.6.6.6"},
		{"two proxies", proxy, []string{"X-Forwarded-For: 1.1.1.1, 6.6.6.6, 10.0.0.9"}, "6.6.6.6"},
		{"an unknown second proxy is the client", proxy, []string{"X-Forwarded-For: 6.6.6.6, 11.0.0.9"}, "11.0.0.9"},
		{"only proxies", proxy, []string{"X-Forwarded-For: 10.0.0.7,10.0.0.8"}, "10.0.0.7"},
		{"several lines are one list", proxy, []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 10.0.0.9"}, "6.6.6.6"},
		{"an unreadable last entry", proxy, []string{"X-Forwarded-For: 6.6.6.6, garbage"}, "10.0.0.1"},
		{"an empty last entry", proxy, []string{"X-Forwarded-For: 6.6.6.6,"}, "10.0.0.1"},
		{"an unreadable entry behind a proxy", proxy, []string{"X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.9"}, "10.0.0.9"},
		{"with a port", proxy, []string{"X-Forwarded-For: 6.6.6.6:55"}, "6.6.6.6"},
		{"IPv6", proxy, []string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with brackets and a port", proxy, []string{"X-Forwarded-For: [2001:db8::1]:55"}, "2001:db8::1"},
		{"IPv6 with brackets", proxy, []string{"X-Forwarded-For: [2001:db8::1]"}, "2001:db8::1"},
		{"an IPv4-mapped proxy", proxy, []string{"X-Forwarded-For: 6.6.6.6, ::ffff:10.0.0.9"}, "6.6.6.6"},
		{"an IPv4-mapped client", proxy, []string{"X-Forwarded-For: ::ffff:6.6.6.6"}, "6.6.6.6"},
		{"a zone in an entry", proxy, []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		{"an IPv4-mapped peer", "[::ffff:10.0.0.1]:4711", []string{"X-Forwarded-For: 6.6.6.6"}, "6.6.6.6"},
		{"a peer with a zone", "[fd00::1%eth0]:4711", []string{"X-Forwarded-For: 6.6.6.6"}, "6.6.6.6"},
		{"a stranger with a zone", "[fe80::1%eth0]:4711", nil, "fe80::1"},
		{"other headers are never read", proxy, []string{"X-Real-IP: 6.6.6.6", "X_Real_IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Client-IP: 6.6.6.6"}, "10.0.0.1"},
	} {
		if got := xff.Client(request(test.peer, test.lines...)); got.String() != test.want {
			t.Errorf("%s: got %s, want %s", test.about, got, test.want)
		}
	}
}

func TestClientByForwarded(t *testing.T) {
	forwarded := Proxies{Trusted: trusted, Header: "forwarded"}
	for _, test := range []struct {
		about, peer string
		lines       []string
		want        string
	}{
		{"a stranger's header is not believed", stranger, []string{"Forwarded: for=6.6.6.6"}, "203.0.113.9"},
		{"one element", proxy, []string{"Forwarded: for=6.6.6.6"}, "6.6.6.6"},
		{"other pairs, odd case, spaces", proxy, []string{"Forwarded: proto=https; FOR=6.6.6.6 ;by=10.0.0.1"}, "6.6.6.6"},
		{"quoted IPv6 with a port", proxy, []string{`Forwarded: for="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		{"quoted IPv6", proxy, []string{`Forwarded: for="[2001:db8:cafe::17]";proto=http`}, "2001:db8:cafe::17"},
		{"quoted with an escape", proxy, []string{`Forwarded: for="\6.6.6.6"`}, "6.6.6.6"},
		{"two proxies", proxy, []string{`Forwarded: for=1.1.1.1, for=6.6.6.6;proto=https, for="10.0.0.9:80"`}, "6.6.6.6"},
		{"two lines", proxy, []string{"Forwarded: for=1.1.1.1", "Forwarded: for=6.6.6.6"}, "6.6.6.6"},
		{"a hidden address", proxy, []string{"Forwarded: for=6.6.6.6, for=_hidden"}, "10.0.0.1"},
		{"an unknown address", proxy, []string{"Forwarded: for=unknown"}, "10.0.0.1"},
		{"no for", proxy, []string{"Forwarded: proto=https;by=10.0.0.1"}, "10.0.0.1"},
		{"a comma in quotes", proxy, []string{`Forwarded: for=6.6.6.6;x="a,for=1.1.1.1"`}, "6.6.6.6"},
		{"a quote that the client left open", proxy, []string{`Forwarded: for="6.6.6.6, for=7.7.7.7`}, "7.7.7.7"},
		{"an open quote before a quoted element", proxy, []string{`Forwarded: for=6.6.6.6;x=", for="[2001:db8::1]:5"`}, "2001:db8::1"},
		{"an escaped quote at the client's end", proxy, []string{`Forwarded: for="6.6.6.6\", for=7.7.7.7`}, "7.7.7.7"},
		{"an escaped quote of the proxy", proxy, []string{`Forwarded: for=1.1.1.1, for=6.6.6.6;x="a,\"b"`}, "6.6.6.6"},
		{"an element that never ends", proxy, []string{`Forwarded: for="6.6.6.6`}, "10.0.0.1"},
		{"text behind a value", proxy, []string{`Forwarded: for="6.6.6.6"x`}, "10.0.0.1"},
		{"a value that is missing", proxy, []string{"Forwarded: for=;proto=https"}, "10.0.0.1"},
		{"no pair", proxy, []string{"Forwarded: 6.6.6.6"}, "10.0.0.1"},
		{"the other header is not read", proxy, []string{"X-Forwarded-For: 6.6.6.6"}, "10.0.0.1"},
	} {
		if got := forwarded.Client(request(test.peer, test.lines...)); got.String() != test.want {
			t.Errorf("%s: got %s, want %s", test.about, got, test.want)
		}
	}
}

func TestClientOfNoSocket(t *testing.T) {
	for _, peer := range []string{"", "@", "pipe", "10.0.0.1"} {
		if got := (Proxies{Trusted: trusted}).Client(request(peer, "X-Forwarded-For: 6.6.6.6")); got.IsValid() {
			t.Errorf("peer %q: got %s, want none", peer, got)
		}
	}
}

func TestHTTPS(t *testing.T) {
	encryptedSocket := request(stranger)
	encryptedSocket.TLS = &tls.ConnectionState{}
	if !(Proxies{}).HTTPS(encryptedSocket) {
		t.Error("TLS on the socket is HTTPS")
	}
	for _, test := range []struct {
		about, header, peer string
		lines               []string
		want                bool
	}{
		{"nothing told", "x-forwarded-for", proxy, nil, false},
		{"a proxy says https", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: https"}, true},
		{"in capitals", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: HTTPS"}, true},
		{"of a WebSocket", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: wss"}, true},
		{"a proxy says http", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: http"}, false},
		{"a stranger says https", "x-forwarded-for", stranger, []string{"X-Forwarded-Proto: https"}, false},
		{"the client's own value stands left", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: https, http"}, false},
		{"the proxy's value stands right", "x-forwarded-for", proxy, []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https"}, true},
		{"the other header does not count", "x-forwarded-for", proxy, []string{"Forwarded: for=6.6.6.6;proto=https"}, false},
		{"other headers never count", "x-forwarded-for", proxy, []string{"X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Forwarded-Scheme: https"}, false},
		{"forwarded", "forwarded", proxy, []string{"Forwarded: for=6.6.6.6;proto=https"}, true},
		{"forwarded by a stranger", "forwarded", stranger, []string{"Forwarded: for=6.6.6.6;proto=https"}, false},
		{"the client's own connection counts", "forwarded", proxy, []string{"Forwarded: for=1.1.1.1;proto=http, for=6.6.6.6;proto=https, for=10.0.0.9;proto=http"}, true},
		{"the client's claim does not", "forwarded", proxy, []string{"Forwarded: for=1.1.1.1;proto=https, for=6.6.6.6;proto=http"}, false},
		{"forwarded wins over the client's X-Forwarded-Proto", "forwarded", proxy, []string{"Forwarded: for=6.6.6.6;proto=http", "X-Forwarded-Proto: https"}, false},
		{"forwarded that is malformed", "forwarded", proxy, []string{"Forwarded: for=6.6.6.6;proto=https, proto=https;x"}, false},
		{"forwarded without a scheme", "forwarded", proxy, []string{"Forwarded: for=6.6.6.6", "X-Forwarded-Proto: https"}, true},
	} {
		p := Proxies{Trusted: trusted, Header: test.header}
		if got := p.HTTPS(request(test.peer, test.lines...)); got != test.want {
			t.Errorf("%s: got %t, want %t", test.about, got, test.want)
		}
	}
}

func TestLocal(t *testing.T) {
	for _, test := range []struct {
		peer, line string
		want       bool
	}{
		{"127.0.0.1:5", "Accept: */*", true},
		{"[::1]:5", "Accept: */*", true},
		{"[::ffff:127.0.0.1]:5", "Accept: */*", true},
		{"192.168.0.7:5", "Accept: */*", false},
		{"", "Accept: */*", false},
		{"127.0.0.1:5", "X-Forwarded-For: 127.0.0.1", false},
		{"127.0.0.1:5", "x-forwarded-host: localhost", false},
		{"127.0.0.1:5", "Forwarded: for=127.0.0.1", false},
		{"127.0.0.1:5", "Via: 1.1 tunnel", false},
	} {
		if got := Local(request(test.peer, test.line)); got != test.want {
			t.Errorf("%s, %s: got %t, want %t", test.peer, test.line, got, test.want)
		}
	}
}

// Whatever a client writes into the forwarding headers: from a stranger it changes nothing, and a proxy that adds the
// client's true address at the end always gets that one believed.
func FuzzForwardingHeaders(f *testing.F) {
	for _, seed := range []string{
		"", "6.6.6.6", "6.6.6.6, 10.0.0.9", `for="[2001:db8::1]:80";proto=https`, `for="6.6.6.6\`, `a="`, `a=",b="`, `\"`, ",", "[", "::1%x",
		"for=_a;by=unknown,", "1.1.1.1:99999", "::ffff:10.0.0.1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claim string) {
		for header, own := range map[string]string{"x-forwarded-for": "192.0.2.7", "forwarded": `for="192.0.2.7:5";proto=http`} {
			p := Proxies{Trusted: trusted, Header: header}
			if got := p.Client(request(stranger, header+": "+claim)); got.String() != "203.0.113.9" {
				t.Errorf("%s %q of a stranger: %s", header, claim, got)
			}
			if p.HTTPS(request(stranger, header+": "+claim, "X-Forwarded-Proto: "+claim)) {
				t.Errorf("%s %q of a stranger: https", header, claim)
			}
			for _, r := range []*http.Request{
				request(proxy, header+": "+claim+", "+own),
				request(proxy, header+": "+claim, header+": "+own),
				request(proxy, header+": "+claim+", "+own, header+": "+strings.ReplaceAll(own, "192.0.2.7", "10.9.9.9")),
			} {
				if got := p.Client(r); got.String() != "192.0.2.7" {
					t.Errorf("%s %q: %s", header, r.Header, got)
				}
				if p.HTTPS(r) {
					t.Errorf("%s %q: https", header, r.Header)
				}
			}
			if got := p.Client(request(proxy, header+": "+claim)); got != plain(got) || !got.IsValid() {
				t.Errorf("%s %q: %s", header, claim, got)
			}
		}
	})
}
