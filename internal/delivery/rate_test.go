package delivery_test

import (
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// TestRateBesideOthers: a subscription with a rate that has nothing to send is remembered as long as its rate asks for, also when
// others have something to send meanwhile.
func TestRateBesideOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	slow, quick := newSink(t, nil), newSink(t, nil)
	sub, other := h.subscribe(slow.URL, func(s *hook.Subscription) { s.Rate = hook.MinRate }), h.subscribe(quick.URL)
	h.wait(h.capture(sub).ID, hook.Succeeded)
	slow.next(t)
	h.wait(h.capture(other).ID, hook.Succeeded)
	h.wait(h.capture(other).ID, hook.Succeeded)
	h.capture(sub)
	for range 3 {
		h.wait(h.capture(other).ID, hook.Succeeded)
	}
	if n := len(slow.got); n != 0 {
		t.Errorf("%d more arrive at the target within %v", n, time.Duration(float64(time.Second)/hook.MinRate))
	}
}

// TestRateIsRaised: who waits for a slow rate goes on at once when it is raised.
func TestRateIsRaised(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL, func(s *hook.Subscription) { s.Rate = hook.MinRate })
	h.wait(h.capture(sub).ID, hook.Succeeded)
	for range 10 {
		h.capture(sub)
	}
	h.wait(h.capture(h.subscribe(newSink(t, nil).URL)).ID, hook.Succeeded) // the worker knows of all of them by then
	_, err := h.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(s *hook.Subscription) error {
		s.Rate = 50
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 11 {
		s.next(t)
	}
}
