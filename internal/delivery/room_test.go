package delivery_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// hog is a target that keeps what it gets until it is let go.
type hog struct {
	*sink
	letGo   chan struct{} // a value for each request
	freeAll func()
}

func newHog(t *testing.T) *hog {
	t.Helper()
	g := &hog{letGo: make(chan struct{})}
	g.sink = newSink(t, func(http.ResponseWriter, *http.Request) { <-g.letGo })
	g.freeAll = sync.OnceFunc(func() { close(g.letGo) })
	t.Cleanup(g.freeAll)
	return g
}

// wide lets a subscription send as much at a time as one can, slowly.
func wide(s *hook.Subscription) {
	s.Concurrency, s.Retry.Timeout = hook.MaxConcurrency, hook.MaxDeliveryTimeout
}

// wantDelivered wants a capture for another capture URL to arrive at its target.
func (h *house) wantDelivered(target *sink) {
	h.t.Helper()
	other := storetest.CaptureURL(h.t, h.store)
	sub := storetest.Subscription(h.t, h.store, other.ID, func(s *hook.Subscription) { s.TargetURL, s.Signing.Scheme = target.URL, hook.SignNone })
	h.captureLarge(10, sub)
	target.next(h.t)
}

// TestShare: however many deliveries of one capture URL wait for its slow targets, another one finds room; and of its own
// subscriptions, one that waits for room comes before more of those that have it.
func TestShare(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	const share = hook.MaxSending/3 + 1
	const queues = hook.MaxSending/hook.MaxConcurrency + 1
	g, patient := newHog(t), newSink(t, nil)
	var subs []hook.Subscription
	for range queues {
		subs = append(subs, h.subscribe(g.URL, wide))
	}
	for range hook.MaxConcurrency {
		h.capture(subs...)
	}
	for range share {
		g.next(t)
	}
	h.capture(h.subscribe(patient.URL))
	h.wantDelivered(newSink(t, nil)) // the worker knows of all of it by then
	for range queues + 1 {           // a turn of each that waits
		g.letGo <- struct{}{}
	}
	patient.next(t)
}
