package web

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
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

func TestFlashesAreBounded(t *testing.T) {
	var f flashes
	now := time.Now()
	for i := range maxFlash {
		f.put(strconv.Itoa(i), "done", now)
	}
	if got := f.take("7", now.Add(flashFor)); got != "done" {
		t.Errorf("in time: %q", got)
	}
	if got := f.take("8", now.Add(flashFor+1)); got != "" {
		t.Errorf("too late: %q", got)
	}
	for i := range 3 * maxFlash {
		f.put(strconv.Itoa(i), "done", now)
	}
	if len(f.kept) > maxFlash {
		t.Errorf("%d sentences are kept, want at most %d", len(f.kept), maxFlash)
	}
}
