package web

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// policyFor is the whole Content-Security-Policy of a page at an origin.
func policyFor(static, socket string) string {
	return "default-src 'none'; script-src " + static + "; style-src " + static + "; img-src 'self' data:; connect-src 'self' " +
		socket + "; font-src " + static + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; " +
		"require-trusted-types-for 'script'; trusted-types hookkeeper"
}

func TestSecurityHeaders(t *testing.T) {
	s := newSite(t)
	admin := s.user(true)
	ids := s.objects(admin)
	b := s.loggedIn(admin)
	host := strings.TrimPrefix(s.url, "http://")
	want := map[string]string{
		"Content-Security-Policy":      policyFor(s.url+"/static/", "ws://"+host),
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "same-origin",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
		"Cache-Control":                "no-store",
		"Strict-Transport-Security":    "",
		"Server":                       "",
		"X-Powered-By":                 "",
	}
	for _, rt := range s.web.routes {
		method, path := address(rt.pattern, ids)
		a := b.ask(method, path, "", contentType(rt)...)
		got := map[string]string{}
		for name := range want {
			got[name] = a.header.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (status %d):\n%s", rt.pattern, a.status, diff)
		}
	}
}

func TestSecurityHeadersBehindProxy(t *testing.T) {
	https := newSite(t, publicURL("https://hooks.example/team"), trustLoopback, func(o *Options) {
		o.Site.Allowed = []string{"other.example"}
	})
	for _, test := range []struct {
		headers        []string
		static, socket string
		hsts           bool
	}{
		{[]string{"Host", "hooks.example"}, "https://hooks.example/team/static/", "wss://hooks.example", true},
		{[]string{"Host", "other.example"}, "http://other.example/team/static/", "ws://other.example", false},
		{[]string{"Host", "other.example", "X-Forwarded-Proto", "https"}, "https://other.example/team/static/", "wss://other.example", true},
	} {
		a := https.browser().get("/team/login", test.headers...)
		if got, want := a.header.Get("Content-Security-Policy"), policyFor(test.static, test.socket); got != want {
			t.Errorf("%v: policy\n%s, want\n%s", test.headers, got, want)
		}
		if got := a.header.Get("Strict-Transport-Security") != ""; got != test.hsts {
			t.Errorf("%v: HSTS %t, want %t", test.headers, got, test.hsts)
		}
	}
}

// A policy cannot name an IPv6 address, so its pages carry a nonce, each its own.
func TestSecurityHeadersOfIPv6(t *testing.T) {
	token, link := setupLink()
	s := newSite(t, link)
	nonces := regexp.MustCompile(`script-src 'nonce-([A-Z2-7]{26})'; style-src 'nonce-([A-Z2-7]{26})';`)
	seen := map[string]bool{}
	for range 2 {
		a := s.browser().get("/setup?token="+token, "Host", "[::1]:8080")
		found := nonces.FindStringSubmatch(a.header.Get("Content-Security-Policy"))
		if found == nil || found[1] != found[2] || seen[found[1]] {
			t.Fatalf("policy: %s", a.header.Get("Content-Security-Policy"))
		}
		seen[found[1]] = true
		for _, tag := range regexp.MustCompile(`<(script|link rel="stylesheet")[^>]*>`).FindAllString(a.body, -1) {
			if !strings.Contains(tag, `nonce="`+found[1]+`"`) {
				t.Errorf("%s has not the nonce %s", tag, found[1])
			}
		}
	}
}

func TestUnknownHosts(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for _, host := range []string{"evil.example", "localhost.evil.example", "a'b", "a;script-src", "evil.example:8080"} {
		a := b.get("/login", "Host", host)
		wantStatus(t, host, a, http.StatusMisdirectedRequest)
		if policy := a.header.Get("Content-Security-Policy"); strings.Contains(policy, host) {
			t.Errorf("%s: the policy names it: %s", host, policy)
		}
		wantStatus(t, host+" on the API", b.get("/api/v1/capture-urls", "Host", host), http.StatusMisdirectedRequest)
		for _, path := range []string{"/healthz", "/readyz", "/in/s"} {
			wantStatus(t, host+path, b.get(path, "Host", host), http.StatusOK)
		}
		if a := b.get("/static/none.css", "Host", host); a.status != http.StatusNotFound {
			t.Errorf("%s/static/: status %d", host, a.status)
		}
	}
	for _, host := range []string{"localhost", "x.localhost:1", "192.0.2.1", "[2001:db8::1]:8080"} {
		wantStatus(t, host, b.get("/setup", "Host", host), http.StatusForbidden)
	}
	if a := s.raw("GET /login", "Host:"); a.status != http.StatusMisdirectedRequest {
		t.Errorf("an empty Host: status %d", a.status)
	}
}

func TestAuthNone(t *testing.T) {
	u := hook.User{Email: "local@localhost", Admin: true}
	local := func(o *Options) {
		if err := o.Store.CreateUser(t.Context(), &u); err != nil {
			t.Fatal(err)
		}
		o.LocalUser = &u
	}
	s := newSite(t, local)
	b := s.browser()
	wantStatus(t, "a page without login", b.get("/settings"), http.StatusOK)
	wantStatus(t, "the API without token", b.get("/api/v1/capture-urls"), http.StatusOK)
	if a := b.get("/login?next=/settings"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/settings" {
		t.Errorf("the login page: %d to %q", a.status, a.header.Get("Location"))
	}
	wantStatus(t, "a password", b.post("/settings/password", "current", "x", "password", testPassword), http.StatusForbidden)
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Anything", "Forwarded", "Via"} {
		wantStatus(t, header, b.get("/settings", header, "x"), http.StatusForbidden)
		wantStatus(t, header+" on the API", b.get("/api/v1/capture-urls", header, "x"), http.StatusForbidden)
		for _, path := range []string{"/in/s", "/healthz", "/readyz"} {
			wantStatus(t, header+" on "+path, b.get(path, header, "x"), http.StatusOK)
		}
	}
	if a := b.get("/static/none.css", "Via", "x"); a.status != http.StatusNotFound {
		t.Errorf("static files through a proxy: status %d", a.status)
	}
	wantStatus(t, "a change from another site", b.ask("POST", "/settings/tokens", "", "Origin", "https://evil.example"), http.StatusForbidden)

	r := httptest.NewRequest(http.MethodGet, "http://localhost/settings", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	s.web.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a peer on the network: status %d", w.Code)
	}
	s.web.AuthNoneAnywhere = true
	w = httptest.NewRecorder()
	s.web.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("a peer on the network, with HOOKKEEPER_AUTH_NONE_ANYWHERE: status %d", w.Code)
	}
	if tokens, err := s.store.Tokens(t.Context(), hook.System); err != nil || len(tokens) != 0 {
		t.Errorf("tokens: %v, %v", tokens, err)
	}
}

func TestBodyLimits(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	b, apiToken := s.loggedIn(u), s.token(u)
	form := []string{"Content-Type", "application/x-www-form-urlencoded", "Origin", s.url}
	for _, test := range []struct {
		what   string
		answer answer
		status int
	}{
		{"a form at the limit", b.ask("POST", "/settings/tokens", "name=a&x="+strings.Repeat("x", hook.MaxFormBytes-9), form...), 303},
		{"a form over the limit", b.ask("POST", "/settings/tokens", "name=a&x="+strings.Repeat("x", hook.MaxFormBytes-8), form...), 413},
		{"20,000 fields", b.ask("POST", "/settings/tokens", strings.Repeat("a=&", 20_000), form...), 400},
		{"a broken escape", b.ask("POST", "/settings/tokens", "name=%zz", form...), 400},
		{"multipart", b.ask("POST", "/settings/tokens", "--x\r\n\r\n--x--", "Content-Type", "multipart/form-data; boundary=x"), 415},
		{"a form without a type", b.ask("POST", "/settings/tokens", "name=a"), 415},
		{"JSON at the limit", s.api(apiToken, "POST", "/api/v1/capture-urls", `{"name":"a"}`+strings.Repeat(" ", hook.MaxJSONBytes-12)), 201},
		{"JSON over the limit", s.api(apiToken, "POST", "/api/v1/capture-urls", `{"name":"a"}`+strings.Repeat(" ", hook.MaxJSONBytes-11)), 413},
		{"text", s.browser().ask("POST", "/api/v1/capture-urls", `{"name":"a"}`, "Content-Type", "text/plain", "Authorization", "Bearer "+apiToken), 415},
		{"JSON without a type", s.browser().ask("POST", "/api/v1/capture-urls", `{"name":"a"}`, "Authorization", "Bearer "+apiToken), 415},
		{"JSON with a charset", s.browser().ask("POST", "/api/v1/capture-urls", `{"name":"a"}`, "Content-Type", "application/json; charset=utf-8", "Authorization", "Bearer "+apiToken), 201},
	} {
		wantStatus(t, test.what, test.answer, test.status)
	}
}

// A fault of ours tells nothing but where to find it in the log.
func TestInternalErrors(t *testing.T) {
	s := newSite(t)
	s.web.mux.Handle("GET /fault", s.web.wrap(route{access: anybody, handle: func(http.ResponseWriter, *http.Request) error {
		return errors.New("the secret cause")
	}}))
	s.web.mux.Handle("GET /panic", s.web.wrap(route{access: anybody, handle: func(http.ResponseWriter, *http.Request) error {
		panic("the secret cause")
	}}))
	s.web.routes = append(s.web.routes, route{pattern: "GET /fault"}, route{pattern: "GET /panic"})
	for _, path := range []string{"/fault", "/panic"} {
		a := s.browser().get(path)
		wantStatus(t, path, a, http.StatusInternalServerError)
		if strings.Contains(a.body, "secret") || !strings.Contains(a.body, "Internal error") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if log := s.log.String(); strings.Count(log, "the secret cause") != 2 || !strings.Contains(log, "reference") {
		t.Errorf("the log has not both causes: %s", log)
	}
}

// TLS on our own socket makes HTTPS, too.
func TestSchemeOfTLS(t *testing.T) {
	s := newSite(t)
	r := httptest.NewRequest(http.MethodGet, "https://localhost/login", nil)
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	s.web.ServeHTTP(w, r)
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS over TLS")
	}
}
