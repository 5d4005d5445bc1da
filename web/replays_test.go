package web

import (
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestReplayEndsWhereItWasCounted: its count and what it sends are of the same requests.
func TestReplayEndsWhereItWasCounted(t *testing.T) {
	s := newSite(t)
	u := storetest.CaptureURL(t, s.store)
	sub := storetest.Subscription(t, s.store, u.ID)
	by := hook.Actor{UserID: u.OwnerID}
	count := func(want int64) hook.Replay {
		t.Helper()
		r := hook.Replay{SubscriptionID: sub.ID}
		if _, err := s.web.countReplay(t.Context(), by, &r); err != nil {
			t.Fatal(err)
		}
		if r.Count != want {
			t.Errorf("%d are counted, want %d", r.Count, want)
		}
		return r
	}
	nothing := count(0)
	first := s.request(u.ID, "first")
	one := count(1)
	s.request(u.ID, "while it was counted")
	for _, r := range []hook.Replay{nothing, one} {
		if err := s.store.CreateReplay(t.Context(), by, &r); err != nil {
			t.Fatal(err)
		}
		if belongs := r.UpTo >= first.ID; r.UpTo > first.ID || belongs != (r.Count == 1) {
			t.Errorf("of %d counted, up to %d belong to the replay; the first request is %d", r.Count, r.UpTo, first.ID)
		}
	}
}
