package netid

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func site(t *testing.T, public, capture string, allowed ...string) Site {
	t.Helper()
	return Site{
		Public: parse(t, public), Capture: parse(t, capture), Allowed: allowed,
		Proxies: Proxies{Trusted: trusted, Header: "x-forwarded-for"},
	}
}

func to(host string, lines ...string) *http.Request {
	r := request(stranger, lines...)
	r.Host = host
	return r
}

func viaProxy(host string, lines ...string) *http.Request {
	r := request(proxy, lines...)
	r.Host = host
	return r
}

func TestKnownHosts(t *testing.T) {
	for _, test := range []struct {
		about   string
		site    Site
		known   string // hosts, separated by spaces
		unknown string
	}{
		{
			"nothing set", site(t, "", ""),
			"localhost localhost:8080 LocalHost. localhost:  a.localhost a.b.localhost:80 127.0.0.1 127.0.0.1:8080 10.1.2.3 [::1] [::1]:8080 [::ffff:127.0.0.1]",
			"example.com evil.com:8080 notlocalhost localhost.evil.com a'b a'b.localhost 127.1 2130706433 127.0.0.1.nip.io ::1 ::1:80 [::1 [localhost] [127.0.0.1] localhost:8080:1 localhost:x .localhost a..localhost localhost.. x@localhost [fe80::1%eth0]",
		},
		{
			"public URL", site(t, "https://app.example.com:8443/team", ""),
			"app.example.com app.example.com:8443 APP.example.com. app.example.com:80",
			"localhost 127.0.0.1 example.com xapp.example.com app.example.com.evil.com app.evil evil.app x@app.example.com",
		},
		{
			"allowed hosts", site(t, "https://app.example.com", "", "Dash.example.com.", "10.1.2.3", "[fd00::1]", "fd00:0::2"),
			"app.example.com dash.example.com:99 10.1.2.3 [fd00::1]:80 [fd00::2]",
			"localhost 10.1.2.4 [fd00::3] a.dash.example.com",
		},
		{
			"allowed hosts without a public URL", site(t, "", "", "dash.example.com"),
			"localhost dash.example.com 127.0.0.1", "example.com",
		},
		{
			"capture host", site(t, "", "http://in.localhost:8080"),
			"localhost out.localhost", "in.localhost in.localhost:8080 IN.localhost.:1",
		},
		{"broken list entries match nothing", site(t, "https://app.example.com", "", "", "*", "a/b"), "app.example.com", "* a/b localhost"},
	} {
		for host := range strings.FieldsSeq(test.known) {
			if !test.site.Known(to(host)) {
				t.Errorf("%s: %q must be known", test.about, host)
			}
		}
		for _, host := range append(strings.Fields(test.unknown), "", ":80", " ", "[]", ".", "a b") {
			if test.site.Known(to(host)) {
				t.Errorf("%s: %q must not be known", test.about, host)
			}
		}
	}
}

func TestIsCaptureHost(t *testing.T) {
	s := site(t, "https://app.example.com", "https://in.example.com:8443")
	for host, want := range map[string]bool{
		"in.example.com:8443": true, "IN.example.com.": true, "in.example.com:1": true,
		"app.example.com": false, "a.in.example.com": false, "": false, "in.example.com:x": false,
	} {
		if got := s.IsCaptureHost(to(host)); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
	if site(t, "https://app.example.com", "").IsCaptureHost(to("app.example.com")) {
		t.Error("without a capture origin no host is the capture host")
	}
}

func TestSchemeAndOrigin(t *testing.T) {
	const https = "X-Forwarded-Proto: https"
	for _, test := range []struct {
		about string
		site  Site
		r     *http.Request
		want  string
	}{
		{"plain", site(t, "", ""), to("localhost:8080"), "http://localhost:8080"},
		{"upper case and default port", site(t, "", ""), to("LOCALHOST:80"), "http://localhost"},
		{"empty port", site(t, "", ""), to("localhost:"), "http://localhost"},
		{"a dot at the end is another origin", site(t, "", ""), to("localhost.:8080"), "http://localhost.:8080"},
		{"IPv6", site(t, "", ""), to("[::1]:80"), "http://[::1]"},
		{"the other scheme's port stays", site(t, "", ""), to("localhost:443"), "http://localhost:443"},
		{"behind a proxy", site(t, "", "", "a.example"), viaProxy("a.example:443", https), "https://a.example"},
		{"a stranger's word", site(t, "", "", "a.example"), to("a.example", https), "http://a.example"},
		{"the public URL's scheme", site(t, "https://a.example", ""), to("a.example"), "https://a.example"},
		{"its default port", site(t, "https://a.example", ""), to("a.example:443"), "https://a.example"},
		{"with a dot", site(t, "https://a.example", ""), to("a.example."), "https://a.example."},
		{"another port than the public one", site(t, "https://a.example", ""), to("a.example:8080"), "http://a.example:8080"},
		{"a port that the proxy dropped", site(t, "https://a.example:8443", ""), to("a.example"), "https://a.example:8443"},
		{"public http, reached over https", site(t, "http://a.example", ""), viaProxy("a.example", https), "https://a.example"},
		{"an allowed host does not have the public scheme", site(t, "https://a.example", "", "b.example"), to("b.example"), "http://b.example"},
		{"a sub-path is no part of it", site(t, "https://a.example/team", ""), to("a.example"), "https://a.example"},
	} {
		if got := test.site.Origin(test.r); got != test.want {
			t.Errorf("%s: got %s, want %s", test.about, got, test.want)
		}
		if scheme, _, _ := strings.Cut(test.want, ":"); test.site.Scheme(test.r) != scheme {
			t.Errorf("%s: scheme %s", test.about, test.site.Scheme(test.r))
		}
	}
}

func TestSameOrigin(t *testing.T) {
	app := site(t, "https://app.example.com", "")
	local := site(t, "", "")
	for _, test := range []struct {
		site         Site
		host, origin string
		want         bool
	}{
		{app, "app.example.com", "https://app.example.com", true},
		{app, "app.example.com", "https://APP.example.com", true},
		{app, "app.example.com", "https://app.example.com:443", true},
		{app, "app.example.com", "", false},
		{app, "app.example.com", "null", false},
		{app, "app.example.com", "http://app.example.com", false},
		{app, "app.example.com", "https://app.example.com:8443", false},
		{app, "app.example.com", "https://app.example.com.evil", false},
		{app, "app.example.com", "https://evil.app.example.com", false},
		{app, "app.example.com", "https://app.example.com@evil.com", false},
		{app, "app.example.com", "https://evil@app.example.com", false},
		{app, "app.example.com", "https://app.example.com/", false},
		{app, "app.example.com", "https://app.example.com, https://evil.com", false},
		{app, "app.example.com", "https://", false},
		{app, "app.example.com", "https://evil.com", false},
		{app, "app.example.com", "wss://app.example.com", false},
		{app, "evil.com", "https://evil.com", false},
		{app, "localhost", "http://localhost", false},
		{local, "localhost:8080", "http://localhost:8080", true},
		{local, "localhost.:8080", "http://localhost.:8080", true},
		{local, "localhost:8080", "http://localhost.:8080", false},
		{local, "localhost:8080", "http://localhost", false},
		{local, "localhost:8080", "http://127.0.0.1:8080", false},
		{local, "[::1]:8080", "http://[::1]:8080", true},
		{local, "evil.com", "http://evil.com", false},
	} {
		r := to(test.host)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if got := test.site.SameOrigin(r); got != test.want {
			t.Errorf("Host %q, Origin %q: got %t, want %t", test.host, test.origin, got, test.want)
		}
	}
	twice := to("localhost", "Origin: http://localhost", "Origin: http://evil.com")
	if local.SameOrigin(twice) {
		t.Error("two Origin headers were taken")
	}
}

func TestBases(t *testing.T) {
	for _, test := range []struct {
		about               string
		site                Site
		host                string
		path, base, capture string
	}{
		{"nothing set", site(t, "", ""), "LOCALHOST:8080", "", "http://localhost:8080", "http://localhost:8080"},
		{"nothing set, unknown host", site(t, "", ""), "evil.com", "", "", ""},
		{"public", site(t, "https://a.example/team/", ""), "a.example", "/team", "https://a.example/team", "https://a.example/team"},
		{"public, seen from another host", site(t, "https://a.example", ""), "evil.com", "", "https://a.example", "https://a.example"},
		{"capture origin", site(t, "https://a.example/team", "https://in.example:8443"), "a.example", "/team", "https://a.example/team", "https://in.example:8443"},
		{"capture origin only", site(t, "", "http://in.localhost:8080"), "localhost:8080", "", "http://localhost:8080", "http://in.localhost:8080"},
	} {
		r := to(test.host)
		if got := test.site.BasePath(); got != test.path {
			t.Errorf("%s: path %q, want %q", test.about, got, test.path)
		}
		if got := test.site.Base(r); got != test.base {
			t.Errorf("%s: base %q, want %q", test.about, got, test.base)
		}
		if got := test.site.CaptureBase(r); got != test.capture {
			t.Errorf("%s: capture base %q, want %q", test.about, got, test.capture)
		}
	}
}

func TestSlugOf(t *testing.T) {
	public, own := site(t, "https://a.example/team", ""), site(t, "https://a.example", "https://in.example:8443")
	for _, test := range []struct {
		site          Site
		host, address string
		want          string
	}{
		{site(t, "", ""), "localhost:8080", "http://localhost:8080/in/orders", "orders"},
		{site(t, "", ""), "localhost:8080", "http://LOCALHOST.:8080/in/orders/x?y", "orders"},
		{site(t, "", ""), "localhost:8080", "http://127.0.0.1:8080/in/orders", "orders"},
		{site(t, "", ""), "127.0.0.1:8080", "http://[::1]:8080/in/orders", "orders"},
		{site(t, "", ""), "localhost:8080", "http://localhost:8081/in/orders", ""},
		{site(t, "", ""), "localhost:8080", "http://localhost:8080/other/orders", ""},
		{site(t, "", ""), "a'b", "http://a'b/in/orders", ""},
		{public, "a.example", "https://a.example/team/in/orders", "orders"},
		{public, "a.example", "http://a.example/in/orders", "orders"},
		{public, "127.0.0.1:8080", "https://a.example/team/in/orders", "orders"},
		{public, "127.0.0.1:8080", "http://127.0.0.1:8080/in/orders", "orders"},
		{public, "a.example", "https://b.example/in/orders", ""},
		{own, "a.example", "https://in.example:8443/in/orders", "orders"},
		{own, "a.example", "/in/orders", ""},
		{own, "a.example", "http://a b/in/orders", ""},
	} {
		if got := test.site.SlugOf(to(test.host), test.address); got != test.want {
			t.Errorf("Host %q, %q: %q, want %q", test.host, test.address, got, test.want)
		}
	}
}

// A Host or Origin that is made up never becomes part of a link or of an accepted origin unless it is a plain host name.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"localhost", "[::1]:80", "a'b", "<script>", "localhost:80:80", "x@localhost", "127.0.0.1.", "[fe80::1%lo]:1"} {
		f.Add(seed, "http://"+seed)
	}
	f.Fuzz(func(t *testing.T, host, originHeader string) {
		s := Site{}
		r := to(host)
		r.Header["Origin"] = []string{originHeader}
		plain := func(host string) string {
			return strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":80"), ":")
		}
		if s.SameOrigin(r) && plain(originHeader) != "http://"+plain(host) {
			t.Errorf("Host %q, Origin %q", host, originHeader)
		}
		if base := s.Base(r); base != "" {
			if u, err := url.Parse(base); err != nil || u.User != nil || u.Path != "" || strings.ContainsAny(base, "<>\"'& ") {
				t.Errorf("Host %q made the link %q", host, base)
			}
		}
	})
}
