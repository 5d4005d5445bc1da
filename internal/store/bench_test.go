package store_test

import (
	"fmt"
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
