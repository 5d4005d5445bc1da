package store_test

import (
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestCountingBesideManyNeighbours: what a capture URL has waiting is counted for each request that a full one refuses, on the
// goroutine that writes for all too: it must not take the longer the more subscriptions others have.
func TestCountingBesideManyNeighbours(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	route(t, s, u.ID, storetest.Subscription(t, s, u.ID).ID)
	best := func() time.Duration {
		least := time.Hour
		for range 50 {
			began := time.Now()
			for range 20 {
				if n := s.UnfinishedOf(u.ID); n != 1 {
					t.Fatalf("%d deliveries are unfinished, want 1", n)
				}
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	alone := best()
	for range 5 {
		neighbour := storetest.CaptureURL(t, s)
		for range hook.MaxSubscriptions {
			storetest.Subscription(t, s, neighbour.ID)
		}
	}
	if beside := best(); beside > 10*alone {
		t.Errorf("20 counts take %v beside 1000 subscriptions of others, and %v alone", beside, alone)
	}
}
