package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// wantRedirect checks where an answer sends the browser.
func wantRedirect(t *testing.T, what string, a answer, want string) {
	t.Helper()
	if got := a.header.Get("Location"); a.status != http.StatusSeeOther || got != want {
		t.Errorf("%s: status %d to %q, want 303 to %q; body %.200q", what, a.status, got, want, a.body)
	}
}

// ownURLs returns the capture URLs of a user.
func (s *site) ownURLs(u hook.User) []hook.CaptureURLStats {
	s.t.Helper()
	own, err := s.store.CaptureURLs(context.Background(), hook.Actor{UserID: u.ID}, store.CaptureURLPage{})
	if err != nil {
		s.t.Fatal(err)
	}
	return own
}

func TestLogin(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	b := s.browser()
	wantRedirect(t, "/ without login", b.get("/"), "/login?next=%2F")
	wantRedirect(t, "a deep page", b.get("/settings?tab=1&x=/"), "/login?next=%2Fsettings%3Ftab%3D1%26x%3D%2F")
	for what, form := range map[string][]string{
		"wrong password":       {"email", u.Email, "password", testPassword + "x"},
		"no password":          {"email", u.Email},
		"1,025 bytes":          {"email", u.Email, "password", strings.Repeat("x", 1025)},
		"with NUL":             {"email", u.Email, "password", testPassword + "\x00"},
		"unknown user":         {"email", "nobody@example.com", "password", testPassword},
		"nothing":              {},
		"password with spaces": {"email", u.Email, "password", " " + testPassword},
	} {
		wantStatus(t, what, b.post("/login", form...), http.StatusUnauthorized)
	}
	if b.cookie(sessionCookie) != "" || b.cookie(deviceCookie) != "" {
		t.Error("a failed login left a cookie")
	}
	a := b.post("/login", "email", " "+strings.ToUpper(u.Email), "password", testPassword)
	own := s.ownURLs(u)
	if len(own) != 1 {
		t.Fatalf("%d capture URLs after the first login", len(own))
	}
	wantRedirect(t, "first login", a, "/urls/"+own[0].ID.Text(hook.CaptureURLPrefix))
	wantRedirect(t, "second login", b.post("/login", "email", u.Email, "password", testPassword), "/")
	wantRedirect(t, "login page when logged in", b.get("/login?next=/settings"), "/settings")
	wantStatus(t, "/", b.get("/"), http.StatusOK)
}

// Who knows the password is never locked out, however often they log in.
func TestLoginOften(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	for range hook.LoginFailures + 1 {
		s.loggedIn(u)
	}
}

// A 64-byte password with spaces counts whole: its last byte matters.
func TestLongPassword(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	long := strings.Repeat("long pass ", 6) + "last"
	phc, err := s.web.Hasher.Hash(t.Context(), long)
	if err == nil {
		_, err = s.store.SetPassword(t.Context(), u.ID, phc, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "cut", s.browser().post("/login", "email", u.Email, "password", long[:63]), http.StatusUnauthorized)
	wantStatus(t, "whole", s.browser().post("/login", "email", u.Email, "password", long), http.StatusSeeOther)
}

func TestNext(t *testing.T) {
	for next, want := range map[string]string{
		"":                          "/",
		"/settings":                 "/settings",
		"/urls/url_x?tab=raw":       "/urls/url_x?tab=raw",
		"settings":                  "/",
		"//evil.com":                "/",
		"///evil.com":               "/",
		`\\evil.com`:                "/",
		`/\evil.com`:                "/",
		"https:evil.com":            "/",
		"https://evil.com":          "/",
		"javascript:alert(1)":       "/",
		"/\t/evil.com":              "/",
		"/\n/evil.com":              "/",
		"/%zz":                      "/",
		"/in/somebody":              "/", // whose answer may lead anywhere
		"/in/somebody?x":            "/",
		"/in":                       "/",
		"/urls/../in/somebody":      "/",
		" //evil.com":               "/",
		"/%2e/in/somebody":          "/", // a dot to browsers
		"/%2E/in/somebody":          "/",
		"/%2e%2e/in/somebody":       "/",
		"/.%2e/in/somebody":         "/",
		"/urls/%2e./in/somebody":    "/",
		"/%69n/somebody":            "/",
		"/in%2fsomebody":            "/",
		"/%5cevil.com":              "/",
		`/\in/somebody`:             "/",
		`/urls\..\in\somebody`:      "/",
		"/..#":                      "/",
		"/urls/..#/x":               "/",
		"/in#x":                     "/",
		"/settings\x00":             "/",
		"/settings\x7f":             "/",
		"/settings;x":               "/",
		"/séttings":                 "/",
		"/settings/..?/x":           "/",
		"/urls/url_x?q=%2e%20#row":  "/urls/url_x?q=%2e%20#row",
		"/x?y=https://evil.com/":    "/x?y=https://evil.com/",
		"/settings\r\nSet-Cookie:x": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("localPath(%q) = %q, want %q", next, got, want)
		}
	}
	s := newSite(t)
	u := s.user(false)
	s.loggedIn(u) // has a capture URL from then on
	for _, next := range []string{"//evil.com", "/%2e/in/somebody"} {
		a := s.browser().post("/login", "email", u.Email, "password", testPassword, "next", next)
		wantRedirect(t, "login and on to "+next, a, "/")
	}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for _, rt := range s.web.routes { // every page can be come back to
		_, pattern, _ := strings.Cut(rt.pattern, " ")
		if path := variable.ReplaceAllString(pattern, "url_0-a.1"); localPath(path) != path {
			t.Errorf("localPath(%q) = %q", path, localPath(path))
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{
		"/", "//evil.com", `/\evil.com`, "/a?b=c#d", "/\t/x", "javascript:x", "/%2e/in/x", "/%2e%2e/in/x", "/.%2e/in/x", "/%69n/x", `/\in/x`,
		"/..#", "/%2e%2e/x",
	} {
		f.Add(seed)
	}
	base, _ := url.Parse("https://hooks.example/base/login")
	// As the URL standard has browsers read it: %2e is a dot where it stands for one.
	browserForm := strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "", "%2e", ".", "%2E", ".")
	f.Fuzz(func(t *testing.T, next string) {
		got := browserForm.Replace(strings.TrimFunc("/base"+localPath(next), func(c rune) bool { return c <= ' ' }))
		got, _, _ = strings.Cut(got, "#") // the rest is the page's own
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Fatalf("%q leads to %q (%v)", next, got, err)
		}
		if path, below := strings.CutPrefix(u.Path, "/base/"); !below || path == "in" || strings.HasPrefix(path, "in/") {
			t.Errorf("%q leads to %q", next, u)
		}
	})
}

func TestSessionCookie(t *testing.T) {
	for _, test := range []struct {
		what    string
		options []func(*Options)
		headers []string
		names   []string
		secure  bool
	}{
		{"plain HTTP", nil, nil, []string{"hookkeeper", "hookkeeper-device"}, false},
		{
			"HTTPS by a proxy",
			[]func(*Options){trustLoopback},
			[]string{"X-Forwarded-Proto", "https"},
			[]string{"__Host-hookkeeper", "__Host-hookkeeper-device"},
			true,
		},
		{"HTTPS told by a stranger", nil, []string{"X-Forwarded-Proto", "https"}, []string{"hookkeeper", "hookkeeper-device"}, false},
	} {
		s := newSite(t, test.options...)
		u := s.user(false)
		form := url.Values{"email": {u.Email}, "password": {testPassword}}.Encode()
		a := s.browser().ask("POST", "/login", form, append(test.headers, "Content-Type", "application/x-www-form-urlencoded")...)
		var names []string
		for _, line := range a.header.Values("Set-Cookie") {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, c.Name)
			if c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%s: %s", test.what, line)
			}
		}
		if strings.Join(names, " ") != test.names[1]+" "+test.names[0] {
			t.Errorf("%s: cookies %q", test.what, names)
		}
		for _, name := range test.names {
			if !strings.Contains(strings.Join(CookieNames(), " ")+" ", name+" ") {
				t.Errorf("%s: CookieNames has no %s", test.what, name)
			}
		}
	}
}

func TestSessionFixation(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	victim := s.browser()
	victim.setCookie(sessionCookie, "planted-by-somebody-else")
	wantRedirect(t, "before", victim.get("/settings"), "/login?next=%2Fsettings")
	if a := victim.post("/login", "email", u.Email, "password", testPassword); a.status != http.StatusSeeOther {
		t.Fatalf("login: status %d", a.status)
	}
	first := victim.cookie(sessionCookie)
	if first == "planted-by-somebody-else" || first == "" {
		t.Fatalf("the cookie after login is %q", first)
	}
	attacker := s.browser()
	attacker.setCookie(sessionCookie, "planted-by-somebody-else")
	wantRedirect(t, "the planted cookie", attacker.get("/settings"), "/login?next=%2Fsettings")

	victim.post("/login", "email", u.Email, "password", testPassword)
	if victim.cookie(sessionCookie) == first {
		t.Error("a second login kept the token")
	}
	attacker.setCookie(sessionCookie, first)
	wantRedirect(t, "the cookie from before the second login", attacker.get("/settings"), "/login?next=%2Fsettings")
	if _, found, err := s.store.FindCtx(t.Context(), victim.cookie(sessionCookie)); found || err != nil {
		t.Errorf("the store knows the raw cookie: %t, %v", found, err)
	}
}

func TestLogout(t *testing.T) {
	s := newSite(t)
	b := s.loggedIn(s.user(false))
	cookie := b.cookie(sessionCookie)
	wantStatus(t, "GET /logout", b.get("/logout"), http.StatusMethodNotAllowed)
	wantStatus(t, "still logged in", b.get("/settings"), http.StatusOK)
	closed := make(chan struct{})
	release, err := s.web.sockets.register(viewer{session: hashSession(cookie), user: 1}, func(int) { close(closed) })
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	wantRedirect(t, "logout", b.post("/logout"), "/login")
	<-closed
	if b.cookie(sessionCookie) != "" {
		t.Error("the cookie is still there")
	}
	b.setCookie(sessionCookie, cookie)
	wantRedirect(t, "the old cookie", b.get("/settings"), "/login?next=%2Fsettings")
	wantRedirect(t, "logout without a login", s.browser().post("/logout"), "/login")
}

func TestSessionsEndWithTheirUser(t *testing.T) {
	s := newSite(t)
	s.user(true)
	u := s.user(false)
	b := s.loggedIn(u)
	if err := s.store.DeleteUser(t.Context(), u.ID, store.DeleteUserOptions{WithData: true}); err != nil {
		t.Fatal(err)
	}
	wantRedirect(t, "a deleted user", b.get("/settings"), "/login?next=%2Fsettings")
	if b.cookie(sessionCookie) != "" {
		t.Error("the cookie of a deleted user is still there")
	}

	u = s.user(false)
	b = s.loggedIn(u)
	if _, err := s.store.EndSessions(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	wantRedirect(t, "an older epoch", b.get("/settings"), "/login?next=%2Fsettings")
}

// Using a session keeps it; one that is not used for long has ended.
func TestIdleSession(t *testing.T) {
	s := newSite(t)
	b := s.loggedIn(s.user(false))
	db := s.database()
	lastSeen := func(ago time.Duration) {
		t.Helper()
		if _, err := db.Exec("UPDATE sessions SET last_seen = $1", time.Now().Add(-ago).UnixMicro()); err != nil {
			t.Fatal(err)
		}
	}
	lastSeen(10 * time.Minute)
	wantStatus(t, "in use", b.get("/settings"), http.StatusOK)
	var seen int64
	if err := db.QueryRow("SELECT last_seen FROM sessions").Scan(&seen); err != nil || time.Since(time.UnixMicro(seen)) > time.Minute {
		t.Errorf("last seen %s, %v", time.UnixMicro(seen), err)
	}
	lastSeen(hook.DefaultSessionIdle - time.Minute)
	wantStatus(t, "nearly over", b.get("/settings"), http.StatusOK)
	lastSeen(hook.DefaultSessionIdle)
	wantRedirect(t, "over", b.get("/settings"), "/login?next=%2Fsettings")
}

func TestBruteForce(t *testing.T) {
	s := newSite(t, trustLoopback)
	u := s.user(false)
	known := s.browser()
	if a := known.post("/login", "email", u.Email, "password", testPassword); a.status != http.StatusSeeOther {
		t.Fatalf("status %d", a.status)
	}
	form := url.Values{"email": {u.Email}, "password": {"wrong password"}}.Encode()
	try := func(from string) answer {
		return s.browser().ask("POST", "/login", form, "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-For", from)
	}
	for range hook.LoginFailures {
		wantStatus(t, "a wrong password", try("192.0.2.1"), http.StatusUnauthorized)
	}
	a := try("192.0.2.1")
	wantStatus(t, "one too many", a, http.StatusTooManyRequests)
	if a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("headers: %v", a.header)
	}
	wantStatus(t, "with a forged entry in front", try("198.51.100.9, 192.0.2.1"), http.StatusTooManyRequests)
	right := url.Values{"email": {u.Email}, "password": {testPassword}}.Encode()
	a = s.browser().ask("POST", "/login", right, "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-For", "192.0.2.1")
	wantStatus(t, "even the right password", a, http.StatusTooManyRequests)

	// Elsewhere the account is slowed down, but not for a browser that logged in to it before.
	start := time.Now()
	wantStatus(t, "a known browser", known.post("/login", "email", u.Email, "password", testPassword), http.StatusSeeOther)
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("a known browser waited %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/login", strings.NewReader(right))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := s.browser().client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("an unknown browser was not slowed down: status %d", resp.StatusCode)
	}
}

func TestDeviceMark(t *testing.T) {
	s := newSite(t)
	u, other := s.user(false), s.user(false)
	u, _ = s.store.User(t.Context(), u.ID)
	other, _ = s.store.User(t.Context(), other.ID)
	if deviceMark(u) == deviceMark(other) {
		t.Error("two users have one mark")
	}
	changed := u
	changed.PasswordHash += "x"
	if deviceMark(u) == deviceMark(changed) {
		t.Error("a new password keeps the mark")
	}
	r, _ := http.NewRequest(http.MethodPost, "/login", nil)
	r.Host = "localhost"
	r.AddCookie(&http.Cookie{Name: deviceCookie, Value: deviceMark(u)})
	if !s.web.knownDevice(r, u) || s.web.knownDevice(r, other) {
		t.Error("a mark is good for its own account only")
	}
	r, _ = http.NewRequest(http.MethodPost, "/login", nil)
	r.AddCookie(&http.Cookie{Name: deviceCookie, Value: deviceMark(hook.User{})})
	if s.web.knownDevice(r, hook.User{}) {
		t.Error("nobody is a known device")
	}
}

var inviteLink = regexp.MustCompile(`http://[^\s"<>]+/invite\?token=([0-9a-z]+)`)

func TestInvite(t *testing.T) {
	s := newSite(t)
	admin := s.user(true)
	b := s.loggedIn(admin)
	a := b.follow("/settings/users", "email", "bob@example.com")
	found := inviteLink.FindStringSubmatch(a.body)
	if found == nil {
		t.Fatalf("no link in %s", a.body)
	}
	token := found[1]
	if !strings.HasPrefix(found[0], s.url+"/") {
		t.Errorf("the link is %s", found[0])
	}
	if strings.Contains(b.get("/settings").body, token) {
		t.Error("the link is shown twice")
	}
	bob := s.browser()
	wantStatus(t, "log in without a password", bob.post("/login", "email", "bob@example.com", "password", ""), http.StatusUnauthorized)
	wantStatus(t, "the link", bob.get("/invite?token="+token), http.StatusOK)
	wantStatus(t, "a wrong link", bob.get("/invite?token=x"), http.StatusNotFound)
	wantStatus(t, "a wrong token", bob.post("/invite", "token", "x", "password", testPassword), http.StatusNotFound)
	wantStatus(t, "a short password", bob.post("/invite", "token", token, "password", "short"), http.StatusUnprocessableEntity)
	wantStatus(t, "only spaces", bob.post("/invite", "token", token, "password", strings.Repeat(" ", 10)), http.StatusUnprocessableEntity)
	a = bob.post("/invite", "token", token, "password", testPassword)
	u, err := s.store.UserByEmail(t.Context(), "bob@example.com")
	if err != nil || u.Admin {
		t.Fatalf("%+v, %v", u, err)
	}
	wantRedirect(t, "accept", a, "/urls/"+s.ownURLs(u)[0].ID.Text(hook.CaptureURLPrefix))
	if bob.cookie(deviceCookie) != deviceMark(u) {
		t.Error("the browser is not known from now on")
	}
	wantStatus(t, "logged in", bob.get("/settings"), http.StatusOK)
	wantStatus(t, "the link again", s.browser().get("/invite?token="+token), http.StatusNotFound)
	wantStatus(t, "log in", s.browser().post("/login", "email", "bob@example.com", "password", testPassword), http.StatusSeeOther)

	// A new link ends what the old password opened, once it is used.
	a = b.follow("/settings/users/" + u.ID.Text(hook.UserPrefix) + "/invite")
	token = inviteLink.FindStringSubmatch(a.body)[1]
	wantStatus(t, "not used yet", bob.get("/settings"), http.StatusOK)
	s.token(u)
	again := s.browser()
	wantStatus(t, "use it", again.post("/invite", "token", token, "password", "another password"), http.StatusSeeOther)
	if page := again.get("/"); !strings.Contains(page.body, "API tokens of yours that stay valid: 1. Revoke them under API tokens.") {
		t.Error("nobody is told that a new password leaves API tokens valid")
	}
	wantRedirect(t, "the old session", bob.get("/settings"), "/login?next=%2Fsettings")
	if _, err := s.store.InviteUser(t.Context(), auth.HashToken(token)); !hook.Is(err, hook.NotFound) {
		t.Errorf("the link is still good: %v", err)
	}
}

// Cookies that make no sense are no login, and no fault of ours.
func TestOddCookies(t *testing.T) {
	s := newSite(t)
	s.user(false)
	for _, cookie := range []string{
		"hookkeeper=" + strings.Repeat("x", 8<<10), strings.Repeat("a=b; ", 100) + "hookkeeper=x", "a=b=c;;", "hookkeeper=",
		`hookkeeper="x"`, "hookkeeper=\xff", ";;;",
	} {
		a := s.browser().get("/settings", "Cookie", cookie)
		wantRedirect(t, cookie[:min(len(cookie), 30)], a, "/login?next=%2Fsettings")
	}
}
