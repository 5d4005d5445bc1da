package web

import (
	"net/http"
	"slices"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// Whatever the API changes, open pages are told.
func TestNotices(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	first, second := s.request(captureURL.ID, "1"), s.request(captureURL.ID, "2")
	batches := make(chan *live.Batch, 100)
	for _, topic := range []hook.ID{captureURL.ID, live.Home} {
		v := s.web.Hub.Join(topic, func(b *live.Batch) error { batches <- b; return nil }, func(error) {})
		v.Start()
		defer v.Leave()
	}
	path := captureURLsPath + "/" + captureURL.ID.Text(hook.CaptureURLPrefix)
	for _, test := range []struct {
		method, path, body string
		told               func(*live.Batch) bool
	}{
		{"PATCH", path, `{"paused":true}`, func(b *live.Batch) bool { return b.Changed }},
		{"DELETE", requestPathOf(first.ID), "", func(b *live.Batch) bool { return len(b.Removed) == 1 && b.Removed[0] == first.ID }},
		{"DELETE", path + "/requests?all=true", "", func(b *live.Batch) bool { return b.Pruned == second.ID }},
		{"DELETE", path, "", func(b *live.Batch) bool { return b.Deleted }},
		{"POST", captureURLsPath, `{"name":"new"}`, func(b *live.Batch) bool {
			return slices.ContainsFunc(b.URLs, func(id hook.ID) bool { return id != captureURL.ID })
		}},
	} {
		a := s.api(text, test.method, test.path, test.body)
		if a.status >= http.StatusBadRequest {
			t.Fatalf("%s %s: status %d", test.method, test.path, a.status)
		}
		for told := false; !told; { // the test's deadline ends a wait for nothing
			told = test.told(<-batches)
		}
	}
}

func TestJoinInvalid(t *testing.T) {
	a, b := fieldError("a", "x"), fieldError("b", "y")
	err := joinInvalid(nil, a, nil, b)
	if fields, _ := fieldErrors(err); len(fields) != 2 || fields.At("a") != "x" || fields.At("b") != "y" {
		t.Errorf("%v", err)
	}
	if err := joinInvalid(nil, nil); err != nil {
		t.Errorf("no mistakes: %v", err)
	}
	if err := joinInvalid(a, errNoPage); !hook.Is(err, hook.NotFound) {
		t.Errorf("another error is lost: %v", err)
	}
	if hook.Is(joinInvalid(errMethod), hook.Invalid) {
		t.Error("an internal error became the user's fault")
	}
}
