package store_test

import (
	"fmt"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// BenchmarkCapture is the store's part of a capture: 64 senders, 1 KB each, retention on.
func BenchmarkCapture(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			s := storetest.Open(b, store.Options{Keep: hook.Keep{Requests: 1000}})
			u := storetest.CaptureURL(b, s)
			b.SetParallelism((senders + 1) / 2)
			b.ReportAllocs()
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
