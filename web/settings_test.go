package web

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

func TestChangePassword(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	here, there := s.loggedIn(u), s.loggedIn(u)
	const next = "a better password"
	for what, form := range map[string][]string{
		"wrong old one": {"current", "wrong password", "password", next},
		"no old one":    {"password", next},
		"too short":     {"current", testPassword, "password", "short"},
		"only spaces":   {"current", testPassword, "password", strings.Repeat(" ", 10)},
		"too long":      {"current", testPassword, "password", strings.Repeat("x", hook.MaxPasswordLen+1)},
	} {
		wantStatus(t, what, here.post("/settings/password", form...), http.StatusUnprocessableEntity)
	}
	wantStatus(t, "the other browser before", there.get("/settings"), http.StatusOK)

	var ended []string
	before := here.cookie(sessionCookie)
	mustRegister(t, s.web.sockets, viewer{session: hashSession(before), user: u.ID, epoch: u.SessionEpoch}, "here", &ended)
	mustRegister(t, s.web.sockets, viewer{session: hashSession(there.cookie(sessionCookie)), user: u.ID}, "there", &ended)
	wantRedirect(t, "change", here.post("/settings/password", "current", testPassword, "password", next), "/settings")
	if !slices.Equal(ended, []string{"there"}) {
		t.Errorf("sockets ended: %q", ended)
	}
	s.web.CheckSockets(t.Context())
	if !slices.Equal(ended, []string{"there"}) {
		t.Errorf("sockets ended later: %q", ended)
	}
	if here.cookie(sessionCookie) == before {
		t.Error("the session kept its token")
	}
	wantStatus(t, "this browser", here.get("/settings"), http.StatusOK)
	wantRedirect(t, "the other browser", there.get("/settings"), "/login?next=%2Fsettings")
	there.setCookie(sessionCookie, before)
	wantRedirect(t, "the old token", there.get("/settings"), "/login?next=%2Fsettings")
	wantStatus(t, "the old password", s.browser().post("/login", "email", u.Email, "password", testPassword), http.StatusUnauthorized)
	wantStatus(t, "the new password", s.browser().post("/login", "email", u.Email, "password", next), http.StatusSeeOther)
}

// TestChangePasswordAndTokens: a new password leaves API tokens alone, says so, and revokes them where that is asked for.
func TestChangePasswordAndTokens(t *testing.T) {
	s := newSite(t)
	u, other := s.user(false), s.user(false)
	b, othersToken := s.loggedIn(u), s.token(other)
	held := []string{s.token(u), s.token(u)}
	change := func(from, to string, more ...string) (flash string) {
		t.Helper()
		wantRedirect(t, "change", b.post("/settings/password", append(more, "current", from, "password", to)...), "/settings")
		return b.get("/settings").parse(t).One("p.banner.done").Text()
	}
	use := func(token string, want int) {
		t.Helper()
		wantStatus(t, "a token", s.api(token, "GET", "/api/v1/capture-urls", ""), want)
	}
	if flash := change(testPassword, "a better password"); !strings.Contains(flash, "tokens of yours that stay valid: 2") {
		t.Errorf("with tokens left alone the page says %q", flash)
	}
	use(held[0], http.StatusOK)
	wantStatus(t, "a mistake", b.post("/settings/password", "current", "wrong password", "password", testPassword, "tokens", "revoke"),
		http.StatusUnprocessableEntity)
	use(held[1], http.StatusOK)
	if flash := change("a better password", testPassword, "tokens", "revoke"); !strings.Contains(flash, "tokens of yours that are revoked: 2") {
		t.Errorf("with tokens revoked the page says %q", flash)
	}
	use(held[0], http.StatusUnauthorized)
	use(held[1], http.StatusUnauthorized)
	use(othersToken, http.StatusOK)
	if flash := change(testPassword, "a better password"); strings.Contains(flash, "token") {
		t.Errorf("without tokens the page says %q", flash)
	}
}

// Guessing the old password in the settings counts like guessing it at the login.
func TestChangePasswordIsLimited(t *testing.T) {
	s := newSite(t)
	b := s.loggedIn(s.user(false))
	for range hook.LoginFailures {
		b.post("/settings/password", "current", "", "password", testPassword)
	}
	a := b.post("/settings/password", "current", testPassword, "password", testPassword)
	wantStatus(t, "after too many", a, http.StatusTooManyRequests)
}

func TestSignOutEverywhere(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	here, there, other := s.loggedIn(u), s.loggedIn(u), s.loggedIn(s.user(false))
	var ended []string
	mustRegister(t, s.web.sockets, viewer{session: hashSession(here.cookie(sessionCookie)), user: u.ID}, "here", &ended)
	wantRedirect(t, "log out everywhere", here.post("/settings/sessions/end"), "/login")
	wantRedirect(t, "here", here.get("/"), "/login?next=%2F")
	wantRedirect(t, "there", there.get("/"), "/login?next=%2F")
	wantStatus(t, "somebody else", other.get("/"), http.StatusOK)
	if !slices.Equal(ended, []string{"here"}) {
		t.Errorf("sockets ended: %q", ended)
	}
}

var tokenText = regexp.MustCompile(`hk_[0-9a-z]{40,}`)

func TestTokens(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	b := s.loggedIn(u)
	wantStatus(t, "no name", b.post("/settings/tokens", "name", " "), http.StatusUnprocessableEntity)
	wantStatus(t, "a control character", b.post("/settings/tokens", "name", "a\x00b"), http.StatusUnprocessableEntity)
	a := b.follow("/settings/tokens", "name", "deploy")
	text := tokenText.FindString(a.body)
	if text == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("no token in %s (%v)", a.body, a.header)
	}
	if strings.Contains(b.get("/settings").body, text) {
		t.Error("the token is shown twice")
	}
	wantStatus(t, "use it", s.api(text, "GET", "/api/v1/capture-urls", ""), http.StatusOK)
	own, err := s.store.Tokens(t.Context(), hook.Actor{UserID: u.ID})
	if err != nil || len(own) != 1 || own[0].Hint != text[len(text)-4:] || own[0].Name != "deploy" {
		t.Fatalf("%+v, %v", own, err)
	}
	path := "/settings/tokens/" + own[0].ID.Text(hook.TokenPrefix) + "/revoke"
	wantStatus(t, "revoke another's", s.loggedIn(s.user(true)).post(path), http.StatusNotFound)
	wantRedirect(t, "revoke", b.post(path), "/settings")
	wantStatus(t, "use it again", s.api(text, "GET", "/api/v1/capture-urls", ""), http.StatusUnauthorized)
	wantStatus(t, "revoke again", b.post(path), http.StatusNotFound)
}

func TestAddUser(t *testing.T) {
	s := newSite(t)
	b := s.loggedIn(s.user(true))
	wantStatus(t, "no address", b.post("/settings/users", "email", "bob"), http.StatusUnprocessableEntity)
	wantStatus(t, "an admin", b.follow("/settings/users", "email", "root@example.com", "admin", "on"), http.StatusOK)
	wantStatus(t, "twice", b.post("/settings/users", "email", "ROOT@example.com"), http.StatusUnprocessableEntity)
	if u, err := s.store.UserByEmail(t.Context(), "root@example.com"); err != nil || !u.Admin {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestDeleteUser(t *testing.T) {
	s := newSite(t)
	admin, heir := s.user(true), s.user(false)
	b := s.loggedIn(admin)
	path := func(u hook.User) string { return "/settings/users/" + u.ID.Text(hook.UserPrefix) + "/delete" }

	s.user(true) // not the last admin, that would be another reason
	wantStatus(t, "oneself", b.post(path(admin), "what", "delete"), http.StatusConflict)

	owner := s.user(false)
	captureURL := storetest.CaptureURLOf(t, s.store, owner)
	wantStatus(t, "the question", b.get(path(owner)), http.StatusOK)
	wantStatus(t, "without saying what becomes of the capture URL", b.post(path(owner)), http.StatusConflict)
	wantStatus(t, "to nobody", b.post(path(owner), "what", "transfer", "transfer_to", "usr_x"), http.StatusUnprocessableEntity)
	var ended []string
	mustRegister(t, s.web.sockets, viewer{session: "x", user: owner.ID}, "owner", &ended)
	wantRedirect(t, "transfer", b.post(path(owner), "what", "transfer", "transfer_to", heir.ID.Text(hook.UserPrefix)), "/settings")
	if got := s.ownURLs(heir); len(got) != 1 || got[0].ID != captureURL.ID {
		t.Errorf("the heir has %+v", got)
	}
	if !slices.Equal(ended, []string{"owner"}) {
		t.Errorf("sockets ended: %q", ended)
	}
	wantRedirect(t, "with data", b.post(path(heir), "what", "delete"), "/settings")
	all, err := s.store.CaptureURLs(t.Context(), hook.System, store.CaptureURLPage{})
	if err != nil || slices.ContainsFunc(all, func(u hook.CaptureURLStats) bool { return u.ID == captureURL.ID }) {
		t.Errorf("capture URLs left: %v, %v", all, err)
	}
	wantStatus(t, "again", b.post(path(heir), "what", "delete"), http.StatusNotFound)
	wantRedirect(t, "a user without capture URLs", b.post(path(s.user(false))), "/settings")
}

func TestReleaseSlug(t *testing.T) {
	s := newSite(t)
	owner, other := s.user(false), s.user(false)
	b := s.loggedIn(s.user(true))
	create := func(u hook.User) answer {
		return s.api(s.token(u), "POST", "/api/v1/capture-urls", `{"name":"a","slug":"orders-eu"}`)
	}
	wantStatus(t, "take", create(owner), http.StatusCreated)
	wantStatus(t, "release while in use", b.post("/settings/slugs/release", "slug", "orders-eu"), http.StatusNotFound)
	if err := s.store.DeleteCaptureURL(t.Context(), hook.System, s.ownURLs(owner)[0].ID, true); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "take a reserved one", create(other), http.StatusConflict)
	wantStatus(t, "release another's", s.loggedIn(other).post("/settings/slugs/release", "slug", "orders-eu"), http.StatusNotFound)
	wantRedirect(t, "release", b.post("/settings/slugs/release", "slug", "orders-eu"), "/settings")
	wantStatus(t, "take it now", create(other), http.StatusCreated)
	wantStatus(t, "release again", b.post("/settings/slugs/release", "slug", "orders-eu"), http.StatusNotFound)
}

// TestReservedSlugsPage: a user reaches and releases every reserved address of theirs, an admin everybody's.
func TestReservedSlugsPage(t *testing.T) {
	s := newSite(t)
	owner, other := s.user(false), s.user(false)
	const total = 2*reservedRows + 1
	for n := range total {
		u := hook.CaptureURL{OwnerID: owner.ID, Name: "a", Slug: fmt.Sprintf("orders-%04d", n)}
		err := s.store.CreateCaptureURL(t.Context(), &u)
		if err == nil {
			err = s.store.DeleteCaptureURL(t.Context(), hook.System, u.ID, true)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shown := func(b *browser) (pages []int) {
		for next := "/settings"; next != ""; {
			page := b.get(next).parse(t)
			pages = append(pages, len(page.All("[aria-labelledby=slugs-heading] tbody tr")))
			next = ""
			if more := page.All("#more-reserved"); len(more) > 0 {
				next = more[0].Attr("href")
			}
		}
		return pages
	}
	want := []int{reservedRows, reservedRows, 1}
	mine, admin := s.loggedIn(owner), s.loggedIn(s.user(true))
	if got := shown(mine); !slices.Equal(got, want) {
		t.Errorf("the owner's pages have %v addresses, want %v", got, want)
	}
	if got := shown(admin); !slices.Equal(got, want) {
		t.Errorf("an admin's pages have %v addresses, want %v", got, want)
	}
	if got := shown(s.loggedIn(other)); !slices.Equal(got, []int{0}) {
		t.Errorf("somebody else's pages have %v addresses", got)
	}
	var all []string
	for _, input := range mine.get("/settings").parse(t).All("#release-shown input") {
		all = append(all, "slug", input.Attr("value"))
	}
	wantRedirect(t, "release those of a page", mine.post("/settings/slugs/release", all...), "/settings")
	if got := shown(mine); !slices.Equal(got, want[1:]) {
		t.Errorf("after those of a page are released: %v", got)
	}
}

// TestLoginWithoutRoom: whose addresses are all reserved logs in all the same.
func TestLoginWithoutRoom(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	_, err := s.database().Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO slugs (slug, owner_id) SELECT 'old-' || i, $2 FROM n`, hook.MaxCaptureURLs, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	wantRedirect(t, "login", b.post("/login", "email", u.Email, "password", testPassword), "/")
	wantStatus(t, "one more", b.post("/urls", "name", "orders"), http.StatusConflict)
}

// TestServerPage: an admin sees how the server is and what it has refused; nobody else does.
func TestServerPage(t *testing.T) {
	t.Parallel()
	counts := &tally.Tally{}
	s := newSite(t, func(o *Options) { o.Tally, o.Version = counts, "v1.2.3" })
	admin, other := s.loggedIn(s.user(true)), s.loggedIn(s.user(false))
	wantStatus(t, "somebody else", other.get("/settings/server"), http.StatusForbidden)
	wantStatus(t, "a wrong token", s.api("hk_wrong", "GET", "/api/v1/capture-urls", ""), http.StatusUnauthorized)
	counts.Count(hook.LimitRate)
	counts.Count(hook.LimitConns)
	page := admin.get("/settings/server")
	wantStatus(t, "the page", page, http.StatusOK)
	var rows []string
	for i, cell := range page.parse(t).All("tbody td") {
		if text := strings.TrimSpace(cell.Text()); i%4 == 0 {
			rows = append(rows, text)
		} else if text != "" {
			rows[len(rows)-1] += " " + text
		}
	}
	want := []string{
		"Requests to capture URLs 429 over the rate of the capture URL 1",
		"Connections 503 too many are open 1",
		"Pages and API 401 no valid login or token 1",
		"Pages and API 403 cross-site, or not allowed 1",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if text := page.parse(t).One("main").Text(); !strings.Contains(text, "v1.2.3") || !strings.Contains(text, "Write-ahead log") {
		t.Errorf("the page: %s", text)
	}
}
