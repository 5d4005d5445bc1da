package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

func TestSetup(t *testing.T) {
	token, link := setupLink()
	done := 0
	s := newSite(t, link, func(o *Options) { o.Setup.Done = func() { done++ } })
	b := s.browser()
	wantRedirect(t, "/ before set-up", b.get("/"), "/setup")
	wantRedirect(t, "/login before set-up", b.get("/login"), "/setup")
	for _, wrong := range []string{"", "?token=", "?token=" + token + "x", "?token=" + url.QueryEscape(strings.ToUpper(token))} {
		a := b.get("/setup" + wrong)
		wantStatus(t, "/setup"+wrong, a, http.StatusForbidden)
		if main := a.parse(t).One("main"); !strings.Contains(main.Text(), "setup-link") || strings.Contains(a.body, "Nothing was changed") {
			t.Errorf("/setup%s says %s", wrong, main.Text())
		}
	}
	wantStatus(t, "the link", b.get("/setup?token="+token), http.StatusOK)

	form := []string{"email", "ann@example.com", "password", testPassword}
	wantStatus(t, "POST without a token", b.post("/setup", form...), http.StatusForbidden)
	wantStatus(t, "POST with a wrong token", b.post("/setup", append(form, "token", "x")...), http.StatusForbidden)
	form = append(form, "token", token)
	wantStatus(t, "a short password", b.post("/setup", "token", token, "email", "ann@example.com", "password", "short"), http.StatusUnprocessableEntity)
	wantStatus(t, "only spaces", b.post("/setup", "token", token, "email", "ann@example.com", "password", strings.Repeat(" ", 10)), http.StatusUnprocessableEntity)
	wantStatus(t, "no address", b.post("/setup", "token", token, "email", "ann", "password", testPassword), http.StatusUnprocessableEntity)
	if has, err := s.store.HasUsers(t.Context()); has || err != nil || done != 0 {
		t.Fatalf("after refusals there is a user: %v", err)
	}

	a := b.post("/setup", form...)
	u, err := s.store.UserByEmail(t.Context(), "ann@example.com")
	if err != nil || !u.Admin {
		t.Fatalf("the first user: %+v, %v; status %d", u, err, a.status)
	}
	own := s.ownURLs(u)
	if len(own) != 1 || !hook.ValidSlug(own[0].Slug) || own[0].Response.Status != 200 || !own[0].CORS {
		t.Fatalf("the first capture URL: %+v", own)
	}
	wantRedirect(t, "set-up", a, "/urls/"+own[0].ID.Text(hook.CaptureURLPrefix))
	wantStatus(t, "the first page", b.get(a.header.Get("Location")), http.StatusOK)
	if done != 1 {
		t.Errorf("Done was called %d times", done)
	}

	stranger := s.browser()
	wantRedirect(t, "the link after set-up", stranger.get("/setup?token="+token), "/login")
	wantStatus(t, "POST after set-up", stranger.post("/setup", form...), http.StatusForbidden)
}

func TestSetupLinkExpires(t *testing.T) {
	token, link := setupLink()
	s := newSite(t, link, func(o *Options) { o.Setup.Expires = time.Now().Add(-time.Second) })
	wantStatus(t, "an old link", s.browser().get("/setup?token="+token), http.StatusForbidden)
	none := newSite(t)
	wantStatus(t, "no link at all", none.browser().get("/setup?token="), http.StatusForbidden)
}

// Of several who claim an instance at once, one gets it.
func TestSetupOnce(t *testing.T) {
	token, link := setupLink()
	s := newSite(t, link)
	const claims = 8
	statuses := make(chan int, claims)
	for i := range claims {
		go func() {
			email := string(rune('a'+i)) + "@example.com"
			statuses <- s.browser().post("/setup", "token", token, "email", email, "password", testPassword).status
		}()
	}
	won := 0
	for range claims {
		if <-statuses == http.StatusSeeOther {
			won++
		}
	}
	users, err := s.store.Users(t.Context())
	if won != 1 || err != nil || len(users) != 1 {
		t.Errorf("%d won, %d users, %v", won, len(users), err)
	}
}
