package web

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlash: what a form did is told by the next page, once, and telling it writes nothing.
func TestFlash(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	b, other := s.loggedIn(u), s.loggedIn(u)
	url := s.ownURLs(u)
	if len(url) == 0 {
		wantStatus(t, "create", b.post("/urls", "name", "orders"), http.StatusOK)
		url = s.ownURLs(u)
	}
	path := "/urls/" + url[0].ID.Text("url_")
	b.post(path+"/pause", "paused", "true")
	const message = "Paused: senders get 503"
	db := s.database()
	before := s.contents(db)
	if strings.Contains(other.get(path).body, message) {
		t.Error("another browser of the user is told")
	}
	if !strings.Contains(b.get(path).body, message) {
		t.Error("the next page does not tell")
	}
	if strings.Contains(b.get(path).body, message) {
		t.Error("it is told twice")
	}
	if after := s.contents(db); after != before {
		t.Errorf("a GET changed the database from\n%s\nto\n%s", before, after)
	}
}

// TestSecretShownOnce: a secret is shown by the page behind the redirect, to the browser that made it, once. A reload of that
// page makes nothing again, no other page takes the secret, and it is nowhere on disk.
func TestSecretShownOnce(t *testing.T) {
	d := newDash(t, guarded(t))
	other := d.loggedIn(d.user)
	made := d.post(d.form(), "action", "save", "name", "shop", "target_url", "https://shop.example/hooks", "scheme", "standard")
	sub := d.only()
	path, secret := subscriptionPath(sub.ID), sub.Signing.Current()
	wantRedirect(t, "create", made, path)
	db := d.database()
	if before := d.contents(db); strings.Contains(before, secret) {
		t.Error("the secret is on disk")
	}
	for _, get := range []func() answer{
		func() answer { return other.get(path) },
		func() answer { return d.get("/settings") },
		func() answer { return d.get(path + "/edit") },
		func() answer { return d.get(path, fragmentHeader, "none") },
		func() answer { return d.ask("HEAD", path, "") },
	} {
		if strings.Contains(get().body, secret) {
			t.Error("shown where it does not belong")
		}
	}
	if !strings.Contains(d.get(path).body, secret) {
		t.Error("the page does not show it")
	}
	if strings.Contains(d.get(path).body, secret) {
		t.Error("shown again")
	}
	d.only()
}

// TestFormAddress: who asks for the address of a form again is led back, and an error page knows who is logged in.
func TestFormAddress(t *testing.T) {
	s := newSite(t)
	b := s.loggedIn(s.user(true))
	for _, path := range []string{"/settings/password", "/settings/tokens", "/settings/users"} {
		wantRedirect(t, path, b.get(path), "/settings")
	}
	for path, status := range map[string]int{"/urls": http.StatusMethodNotAllowed, "/nothing": http.StatusNotFound} {
		a := b.get(path)
		wantStatus(t, path, a, status)
		if len(a.parse(t).All("#account")) != 1 {
			t.Errorf("%s has no menu of the user", path)
		}
	}
}

func (f *flashes) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.kept)
}

// TestFlashesAreBounded: in their number and in their time, whether or not anybody comes for them.
func TestFlashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flashes
		f.put("early", flash{message: "done"})
		<-time.After(flashFor / 2)
		f.put("late", flash{message: "done"})
		f.put("changed", flash{message: "done"})
		if got := f.take("early", ""); got.message != "done" {
			t.Errorf("in time: %q", got.message)
		}
		f.put("early", flash{message: "again"})
		<-time.After(flashFor/2 + 1)
		if got := f.take("early", ""); got.message != "again" {
			t.Errorf("the second one in time: %q", got.message)
		}
		<-time.After(flashFor / 2)
		synctest.Wait()
		if n := f.count(); n != 0 {
			t.Errorf("%d are kept that nobody has fetched", n)
		}
		for i := range 3 * maxFlash {
			f.put(strconv.Itoa(i), flash{message: "done"})
		}
		if n := f.count(); n > maxFlash {
			t.Errorf("%d sentences are kept, want at most %d", n, maxFlash)
		}
	})
}
