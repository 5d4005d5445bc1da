package delivery_test

import (
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// BenchmarkBesideQuiet measures the way from capture to target, one delivery after the other, alone and beside 1,000 subscriptions
// of somebody else that are paused and 1,000 whose target refuses connections, with a delivery each.
func BenchmarkBesideQuiet(b *testing.B) {
	const rounds, urls, each = 200, 10, 200
	target := newCounter(b)
	h := newHouse(b, store.Options{Keep: hook.Keep{Requests: 1e9}})
	sub := h.subscribe(target.URL)
	measure := func() time.Duration {
		start := time.Now()
		for range rounds {
			target.n.Store(0)
			target.want.Store(1)
			h.capture(sub)
			<-target.done
		}
		return time.Since(start)
	}
	var alone, beside time.Duration
	for range b.N {
		alone += measure()
	}
	other := storetest.User(b, h.store, false)
	for range urls {
		u := storetest.CaptureURLOf(b, h.store, other)
		r := storetest.Routed(u.ID, 10)
		for i := range each {
			s := storetest.Subscription(b, h.store, u.ID, func(s *hook.Subscription) {
				s.TargetURL, s.Signing.Scheme, s.Retry.Backoff = "http://127.0.0.1:9/", hook.SignNone, []time.Duration{time.Hour}
				s.Hold.Paused = i%2 == 0
			})
			r.Routes = append(r.Routes, hook.Route{Subscription: s.ID, Refused: hook.Delivered})
		}
		if err := h.store.Capture(r); err != nil {
			b.Fatal(err)
		}
	}
	for waiting := 0; waiting < urls*each/2; { // until all have been tried
		<-h.news
		page := store.DeliveryPage{States: []hook.State{hook.Waiting}, Limit: urls * each}
		all, err := h.store.Deliveries(b.Context(), hook.System, page)
		if err != nil {
			b.Fatal(err)
		}
		waiting = len(all)
	}
	for range b.N {
		beside += measure()
	}
	b.ReportMetric(float64(alone.Microseconds())/float64(b.N*rounds), "alone-µs")
	b.ReportMetric(float64(beside.Microseconds())/float64(b.N*rounds), "beside-µs")
	b.ReportMetric(beside.Seconds()/alone.Seconds(), "of-alone")
	b.ReportMetric(0, "ns/op")
}
