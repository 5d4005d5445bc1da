package web

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// filled returns a browser of a user, a capture URL of theirs and its n requests, the oldest first.
func (s *site) filled(n int) (*browser, hook.CaptureURL, []*hook.Request) {
	s.t.Helper()
	ann := s.user(false)
	u := storetest.CaptureURLOf(s.t, s.store, ann)
	var requests []*hook.Request
	for range n {
		requests = append(requests, s.request(u.ID, `{"n":1}`))
	}
	return s.loggedIn(ann), u, requests
}

func rowIDs(d htmltest.Document) (ids []string) {
	for _, e := range d.All("#rows .request-row") {
		ids = append(ids, e.Attr("data-id"))
	}
	return ids
}

func newestFirst(requests []*hook.Request) (ids []string) {
	for _, r := range slices.Backward(requests) {
		ids = append(ids, r.ID.Text(hook.RequestPrefix))
	}
	return ids
}

// TestListPages goes through a list to its end and back.
func TestListPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(2*listRows + 10)
	all := newestFirst(requests)
	page := b.get(urlPath(u.ID)).parse(t)
	if len(page.All("#scroller[data-newest]")) != 1 || page.One("main").Attr("data-latest") != all[0] {
		t.Error("the first page does not say that it is the newest")
	}
	for _, want := range [][]string{all[:listRows], all[listRows : 2*listRows], all[2*listRows:]} {
		if diff := cmp.Diff(want, rowIDs(page)); diff != "" {
			t.Fatal(diff)
		}
		if foot := page.One("#foot"); !foot.Has("hidden") {
			page = b.get(page.One("#foot a").Attr("href")).parse(t)
		}
	}
	if !page.One("#foot").Has("hidden") {
		t.Error("the last page leads further")
	}
	if got := page.One("main").Attr("data-latest"); got != all[0] {
		t.Errorf("the last page would be told what came after %s", got)
	}
	page = b.get(page.One(".newer a").Attr("href")).parse(t)
	if diff := cmp.Diff(all[listRows:2*listRows], rowIDs(page)); diff != "" {
		t.Errorf("back: %s", diff)
	}
}

// TestEmptyPage leads to the newest requests from where there are none any more.
func TestEmptyPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(3)
	for _, query := range []string{"?before=" + newestFirst(requests)[2], "?after=" + newestFirst(requests)[0], "?before=nonsense"} {
		if got := rowIDs(b.get(urlPath(u.ID) + query).parse(t)); len(got) != 3 {
			t.Errorf("%s: %d rows", query, len(got))
		}
	}
}

func TestShowRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(listRows + 5)
	oldest, newest := requests[0], requests[len(requests)-1]
	for _, r := range []*hook.Request{oldest, newest} {
		d := b.get(requestPath(u.ID, r.ID)).parse(t)
		if got := d.One("#detail article.request").Attr("data-id"); got != r.ID.Text(hook.RequestPrefix) {
			t.Errorf("open is %s", got)
		}
		if got := d.One("#rows [aria-current=true]").Attr("href"); got != requestPath(u.ID, r.ID) {
			t.Errorf("marked in the list is %s", got)
		}
	}
	if links := b.get(requestPath(u.ID, oldest.ID)).parse(t).All("article a[data-open]"); len(links) != 1 {
		t.Errorf("the oldest request has %d neighbours", len(links))
	}
	tab := b.get(requestPath(u.ID, newest.ID) + "?tab=headers").parse(t)
	if got := tab.One(".tabs-line [aria-current=page]").Attr("data-tab"); got != "headers" {
		t.Errorf("the tab is %q", got)
	}
}

func TestRequestThatIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, _ := s.filled(2)
	_, otherURL, others := s.filled(1)
	for what, path := range map[string]string{
		"deleted":                    requestPath(u.ID, 12345),
		"of another capture URL":     requestPath(u.ID, others[0].ID),
		"of somebody else":           requestPath(otherURL.ID, others[0].ID),
		"no id":                      urlPath(u.ID) + "/requests/req_x",
		"deleted, its body":          requestPath(u.ID, 12345) + "/body",
		"of another one, its body":   requestPath(u.ID, others[0].ID) + "/body",
		"of somebody else, its body": requestPath(otherURL.ID, others[0].ID) + "/body",
	} {
		wantStatus(t, what, b.get(path), http.StatusNotFound)
	}
	d := b.get(requestPath(u.ID, 12345)).parse(t)
	if len(rowIDs(d)) != 2 || !strings.Contains(d.One("#detail h2").Text(), "not kept any more") {
		t.Error("a deleted request's page has no list or does not say what is the matter")
	}
	wantStatus(t, "deleting of another capture URL", b.post(requestPath(u.ID, others[0].ID)+"/delete"), http.StatusNotFound)
	if _, err := s.store.Request(context.Background(), hook.System, others[0].ID); err != nil {
		t.Errorf("it was deleted: %v", err)
	}
}

func TestFragments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(2)
	list := b.get(urlPath(u.ID), fragmentHeader, "list").parse(t)
	if len(list.All("main")) != 0 || len(rowIDs(list)) != 2 || len(list.All("#address input")) != 1 {
		t.Error("the list is not the list alone")
	}
	detail := b.get(requestPath(u.ID, requests[0].ID), fragmentHeader, "detail").parse(t)
	if len(detail.All("main")) != 0 || len(detail.All("article.request")) != 1 {
		t.Error("the request is not the request alone")
	}
	wantStatus(t, "deleted", b.get(requestPath(u.ID, 12345), fragmentHeader, "detail"), http.StatusNotFound)
}

func TestMarkSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(3)
	unread := func() int { return len(b.get(urlPath(u.ID)).parse(t).All(".request-row.unread")) }
	if got := unread(); got != 3 {
		t.Fatalf("%d are unread, want 3", got)
	}
	form := b.get(urlPath(u.ID)).parse(t).One("form#seen")
	if form.Has("hidden") {
		t.Error("there is no way to mark them as read")
	}
	a := b.post(form.Attr("action"), "up_to", requests[1].ID.Text(hook.RequestPrefix))
	if a.status != http.StatusSeeOther || unread() != 1 {
		t.Errorf("status %d, %d are unread, want 1", a.status, unread())
	}
	future := (requests[2].ID + 1<<40).Text(hook.RequestPrefix)
	a = b.ask("POST", urlPath(u.ID)+"/seen", "up_to="+future, "Content-Type", "application/x-www-form-urlencoded", fragmentHeader, "none")
	if a.status != http.StatusNoContent || unread() != 0 {
		t.Errorf("status %d, %d are unread, want 0", a.status, unread())
	}
	s.request(u.ID, "later")
	if got := unread(); got != 1 {
		t.Errorf("what came later: %d are unread, want 1", got)
	}
	wantStatus(t, "no id", b.post(urlPath(u.ID)+"/seen", "up_to", "x"), http.StatusBadRequest)
}

func TestDeleteRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(2)
	a := b.post(requestPath(u.ID, requests[1].ID) + "/delete")
	if got, want := a.header.Get("Location"), requestPath(u.ID, requests[0].ID); got != want {
		t.Errorf("then %q, want %q", got, want)
	}
	a = b.post(requestPath(u.ID, requests[0].ID) + "/delete")
	if got := a.header.Get("Location"); got != urlPath(u.ID) {
		t.Errorf("after the last one %q", got)
	}
	if d := b.get(urlPath(u.ID)).parse(t); len(d.All("main[data-empty]")) != 1 {
		t.Error("the inspector is not empty")
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, _ := s.filled(3)
	if text := b.get(urlPath(u.ID) + "/clear").parse(t).One("main button").Text(); text != "Delete 3 requests" {
		t.Errorf("it asks: %q", text)
	}
	if got := s.captureURLOf(b.post(urlPath(u.ID) + "/clear")); got.Kept != 0 {
		t.Errorf("%d are kept", got.Kept)
	}
	if got := rowIDs(b.get(urlPath(u.ID)).parse(t)); len(got) != 0 {
		t.Errorf("%d rows", len(got))
	}
}

func TestDownloadRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, requests := s.filled(1)
	a := b.get(requestPath(u.ID, requests[0].ID) + "/body")
	if a.body != `{"n":1}` || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("body %q, %v", a.body, a.header)
	}
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	captured := true
	s := newSite(t, trustLoopback, func(o *Options) {
		o.Capture = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			if captured {
				w.Header().Set("Hookkeeper-Request-Id", "req_1")
				w.WriteHeader(http.StatusTeapot) // what the capture URL answers is its own matter
				return
			}
			http.Error(w, "paused", http.StatusServiceUnavailable)
		})
	})
	b, u, _ := s.filled(0)
	a := b.ask("POST", urlPath(u.ID)+"/test", "", "Origin", b.url, "X-Forwarded-For", "203.0.113.9")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != urlPath(u.ID) {
		t.Errorf("status %d, Location %q: %s", a.status, a.header.Get("Location"), a.body)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/in/"+u.Slug || got.Host != strings.TrimPrefix(s.url, "http://") ||
		!strings.HasPrefix(got.RemoteAddr, "127.0.0.1:") || got.Header.Get("Cookie") != "" ||
		got.Header.Get("X-Forwarded-For") != "203.0.113.9" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent: %s %s from %s, %v", got.Method, got.RequestURI, got.RemoteAddr, got.Header)
	}
	if !strings.Contains(string(body), `"hookkeeper.test"`) {
		t.Errorf("body %s", body)
	}
	wantStatus(t, "app.js", b.ask("POST", urlPath(u.ID)+"/test", "", "Origin", b.url, fragmentHeader, "none"), http.StatusNoContent)
	captured = false
	wantStatus(t, "not captured", b.post(urlPath(u.ID)+"/test"), http.StatusServiceUnavailable)
}
