package delivery_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// counter is a target that only counts.
type counter struct {
	*httptest.Server
	n    atomic.Int64
	want atomic.Int64
	done chan struct{}
}

func newCounter(b *testing.B) *counter {
	c := &counter{done: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if c.n.Add(1) == c.want.Load() {
			c.done <- struct{}{}
		}
	}))
	b.Cleanup(c.Close)
	return c
}

// BenchmarkDeliver delivers requests of 1 KB to a target on this machine while they are captured, with attempts on disk,
// beside the same number of posts by a bare http.Client to the same target: from one loop, and from as many as the
// subscription may have attempts under way. All are in one run, so that the ratios say more than the figures.
func BenchmarkDeliver(b *testing.B) {
	for _, concurrency := range []int{8, 32} {
		b.Run("concurrency="+strconv.Itoa(concurrency), func(b *testing.B) { benchmarkDeliver(b, concurrency) })
	}
}

func benchmarkDeliver(b *testing.B, concurrency int) {
	target := newCounter(b)
	h := newHouse(b, store.Options{Keep: hook.Keep{Requests: 1e9}})
	sub := h.subscribe(target.URL, func(s *hook.Subscription) { s.Concurrency = concurrency })
	var delivered, loop, loops time.Duration
	b.ResetTimer()
	for range b.N {
		delivered += queueAndDeliver(b, h, sub, target)
		loop += postBare(b, target, 1)
		loops += postBare(b, target, concurrency)
	}
	n := float64(b.N) * perRun
	b.ReportMetric(n/delivered.Seconds(), "delivered/s")
	b.ReportMetric(n/loop.Seconds(), "loop/s")
	b.ReportMetric(loop.Seconds()/delivered.Seconds(), "of-one-loop")
	b.ReportMetric(loops.Seconds()/delivered.Seconds(), "of-as-many-loops")
	b.ReportMetric(0, "ns/op")
}

const perRun = 5000

// queueAndDeliver captures requests and returns how long it takes until the target has them all.
func queueAndDeliver(b *testing.B, h *house, sub hook.Subscription, target *counter) time.Duration {
	target.n.Store(0)
	target.want.Store(perRun)
	start := time.Now()
	inParallel(64, func() {
		if err := h.store.Capture(storetest.Routed(h.url.ID, 1024, sub.ID)); err != nil {
			b.Error(err)
		}
	})
	<-target.done
	return time.Since(start)
}

func postBare(b *testing.B, target *counter, concurrency int) time.Duration {
	target.n.Store(0)
	target.want.Store(perRun)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}}
	defer client.CloseIdleConnections()
	body := bytes.Repeat([]byte("x"), 1024)
	start := time.Now()
	inParallel(concurrency, func() {
		response, err := client.Post(target.URL, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	})
	<-target.done
	return time.Since(start)
}

// inParallel calls f perRun times from n goroutines.
func inParallel(n int, f func()) {
	var left atomic.Int64
	left.Store(perRun)
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				f()
			}
		})
	}
	group.Wait()
}
