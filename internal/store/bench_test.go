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
