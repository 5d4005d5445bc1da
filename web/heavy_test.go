package web

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// A user reads one large thing at a time, whatever else waits, and others find a place beside that.
func TestHeavyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeavy()
		leave, err := h.enter(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := h.enter(t.Context(), 1); !hook.Is(err, hook.Unavailable) || time.Since(began) != hook.HeavyReadWait {
			t.Errorf("a second one of the same user: %v after %v", err, time.Since(began))
		}
		other, err := h.enter(t.Context(), 2)
		if err != nil {
			t.Errorf("another user: %v", err)
		}
		if _, err := h.enter(t.Context(), 3); !hook.Is(err, hook.Unavailable) {
			t.Errorf("one user more than there are places: %v", err)
		}
		entered := make(chan func())
		go func() {
			leave, err := h.enter(context.Background(), 3)
			if err != nil {
				t.Errorf("a user who waits for a place: %v", err)
			}
			entered <- leave
		}()
		synctest.Wait()
		leave()
		(<-entered)()
		other()
		if len(h.users) != 0 || len(h.slots) != 0 {
			t.Errorf("%d users and %d places are left", len(h.users), len(h.slots))
		}
	})
}

// What takes long to read is refused in words while as much of it is under way as may be; pages go on.
func TestHeavyReadsAreRefused(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	url := storetest.CaptureURLOf(t, s.store, u)
	sub := storetest.Subscription(t, s.store, url.ID)
	small, large := storetest.Request(url.ID, 10), storetest.Request(url.ID, hook.LargeRead+1)
	for _, r := range []*hook.Request{small, large} {
		if err := s.store.Capture(r); err != nil {
			t.Fatal(err)
		}
	}
	s.web.heavy.patience = 0
	for range hook.MaxHeavyReads {
		s.web.heavy.slots <- struct{}{}
	}
	request := func(r *hook.Request) string { return "/api/v1/requests/" + r.ID.Text(hook.RequestPrefix) }
	subscription := "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix)
	for _, heavy := range []struct{ method, path, body string }{
		{"POST", subscription + "/dry-run", "{}"},
		{"POST", subscription + "/replays", "{}"},
		{"GET", request(large), ""},
		{"GET", request(large) + "/body", ""},
	} {
		a := s.api(text, heavy.method, heavy.path, heavy.body)
		wantProblem(t, heavy.path, a, http.StatusServiceUnavailable, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", heavy.path)
		}
	}
	wantStatus(t, "a small request", s.api(text, "GET", request(small), ""), http.StatusOK)
}
