package store_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// cpuTime returns what the process has used of the cores: on a noisy machine it says more than the wall clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCapture is the store's part of a capture: 64 senders, 1 KB each, retention on.
func BenchmarkCapture(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			s := storetest.Open(b, store.Options{Keep: hook.Keep{Requests: 1000}})
			u := storetest.CaptureURL(b, s)
			b.SetParallelism((senders + 1) / 2)
			b.ReportAllocs()
			before := cpuTime(b)
			defer func() { b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }()
			b.ResetTimer()
			if senders == 1 {
				for b.Loop() {
					if err := s.Capture(storetest.Request(u.ID, 1024)); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Capture(storetest.Request(u.ID, 1024)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkCaptureRouted is what deliveries cost a capture: one that is queued in the same transaction, and a hundred that
// filters refused. Nothing is delivered.
func BenchmarkCaptureRouted(b *testing.B) {
	for _, tc := range []struct {
		name          string
		subscriptions int
		refused       int
	}{{"none", 0, hook.Delivered}, {"one", 1, hook.Delivered}, {"refused=100", 100, 0}} {
		b.Run(tc.name, func(b *testing.B) {
			s := storetest.Open(b, store.Options{Keep: hook.Keep{Requests: 1000}})
			u := storetest.CaptureURL(b, s)
			var routes []hook.Route
			for range tc.subscriptions {
				sub := storetest.Subscription(b, s, u.ID, func(sub *hook.Subscription) {
					sub.Filter.Conditions = []hook.Condition{{Field: "method", Op: hook.OpIs, Value: "PUT"}}
				})
				routes = append(routes, hook.Route{Subscription: sub.ID, Refused: tc.refused})
			}
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := storetest.Request(u.ID, 1024)
					r.Routes = routes
					if err := s.Capture(r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkClaim is what a turn of the worker costs, finding the next deliveries that are due and claiming them, beside many that
// wait for their time: 20,000 of them, or 1,000,000 with HOOKKEEPER_TEST_LONG.
func BenchmarkClaim(b *testing.B) {
	waiting := 20_000
	if os.Getenv("HOOKKEEPER_TEST_LONG") != "" {
		waiting = 1_000_000
	}
	s := storetest.Open(b, store.Options{Keep: hook.Keep{Requests: 1000}})
	u := storetest.CaptureURL(b, s)
	sub := storetest.Subscription(b, s, u.ID)
	var left atomic.Int64
	left.Store(int64(waiting))
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.Capture(storetest.Routed(u.ID, 100, sub.ID)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	queue := store.Queue{ID: sub.ID, Now: time.Now(), Limit: 64}
	var found, claimed []time.Duration
	for b.Loop() {
		begin := time.Now()
		due, err := s.Due(b.Context(), queue)
		if err != nil || len(due.Claims) != queue.Limit {
			b.Fatalf("%d are due, %v", len(due.Claims), err)
		}
		found = append(found, time.Since(begin))
		begin = time.Now()
		turn, err := s.Record(b.Context(), store.Turn{Claims: due.Claims})
		if err != nil || len(turn.Leased) != queue.Limit {
			b.Fatalf("%d are claimed, %v", len(turn.Leased), err)
		}
		claimed = append(claimed, time.Since(begin))
		if _, err := s.Record(b.Context(), store.Turn{Release: turn.Leased}); err != nil {
			b.Fatal(err)
		}
	}
	for name, took := range map[string][]time.Duration{"find": found, "claim": claimed} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-ms")
	}
	b.ReportMetric(float64(waiting), "waiting")
	b.ReportMetric(0, "ns/op")
}
