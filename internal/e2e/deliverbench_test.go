package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// timedTarget notes when each request came to each path.
type timedTarget struct {
	*httptest.Server
	mu    sync.Mutex
	times map[string]time.Time // by path and request
}

func newTimedTarget(t testing.TB) *timedTarget {
	g := &timedTarget{times: map[string]time.Time{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		now := time.Now()
		g.mu.Lock()
		g.times[r.URL.Path+" "+r.Header.Get("Hookkeeper-Request-Id")] = now
		g.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(g.Close)
	return g
}

// paced sends n requests, one each interval, and returns when the first byte of each was sent.
func (s *server) paced(u captureURL, n int, every time.Duration) map[string]time.Time {
	s.t.Helper()
	sender, err := newSender(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sender.conn.Close()
	sent := map[string]time.Time{}
	request := post("/in/"+u.Slug, s.Addr, 1024)
	pace := time.NewTicker(every)
	defer pace.Stop()
	for range n {
		<-pace.C
		begin := time.Now()
		status, id, err := sender.send(request)
		if err != nil || status != http.StatusOK {
			s.t.Fatalf("status %d, %v", status, err)
		}
		sent[id] = begin
	}
	return sent
}

// took returns how long after it was sent each request came to the paths.
func (g *timedTarget) took(t testing.TB, sent map[string]time.Time, paths ...string) (all []time.Duration) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d requests come to %d targets", len(sent), len(paths)), func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		all = all[:0]
		for id, begin := range sent {
			for _, path := range paths {
				if at, ok := g.times[path+" "+id]; ok {
					all = append(all, at.Sub(begin))
				}
			}
		}
		return len(all) == len(sent)*len(paths)
	})
	return all
}

func reportTimes(b *testing.B, took []time.Duration, prefix string) {
	b.ReportMetric(float64(percentile(took, 0.5).Microseconds())/1000, prefix+"p50-ms")
	b.ReportMetric(float64(percentile(took, 0.99).Microseconds())/1000, prefix+"p99-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeliveryLatency measures the time from the first byte of a request to its arrival at the target, the flush to disk
// between them included, at 50 requests a second.
func BenchmarkDeliveryLatency(b *testing.B) {
	g := newTimedTarget(b)
	s := start(b, allowLoopback)
	u := s.newURL(nil)
	s.subscribe(u, g.URL+"/a", nil)
	var took []time.Duration
	for b.Loop() {
		took = append(took, g.took(b, s.paced(u, 500, 20*time.Millisecond), "/a")...)
	}
	reportTimes(b, took, "")
}

// BenchmarkCaptureBesideDeliveries measures captures of 1 KB over 64 connections: of a capture URL without subscriptions, of one
// that delivers to a fast target, and of one whose hundred subscriptions refuse, in turns.
func BenchmarkCaptureBesideDeliveries(b *testing.B) {
	target := startBare(b)
	s := start(b, allowLoopback, "HOOKKEEPER_KEEP_REQUESTS=5000")
	alone, matching, refusing := s.newURL(nil), s.newURL(nil), s.newURL(nil)
	s.subscribe(matching, "http://"+target, nil)
	for range 100 {
		s.subscribe(refusing, "http://"+target, map[string]any{
			"filter": map[string]any{"all": []any{map[string]any{"field": "header.X-Topic", "op": "is", "value": "orders/create"}}},
		})
	}
	const round = 2 * time.Second
	measure := func(u captureURL) float64 {
		_, perSecond := load(b, s.Addr, post("/in/"+u.Slug, s.Addr, 1024), 64, round)
		return perSecond
	}
	measure(alone)
	var delivered, refused []float64
	for b.Loop() {
		yardstick := measure(alone)
		refused = append(refused, measure(refusing)/yardstick)
		delivered = append(delivered, measure(matching)/yardstick)
		var sub struct{ Items []struct{ ID string } }
		s.api("GET", "/api/v1/subscriptions?capture_url_id="+matching.ID, nil, http.StatusOK, &sub)
		s.api("POST", "/api/v1/subscriptions/"+sub.Items[0].ID+"/discard", nil, http.StatusOK, nil) // so that the next round begins alike
	}
	b.ReportMetric(median(delivered), "delivering/alone")
	b.ReportMetric(median(refused), "refusing/alone")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeadTarget measures how long deliveries to 99 targets take while the hundredth takes them too, and while it takes
// connections and never answers.
func BenchmarkDeadTarget(b *testing.B) {
	g := newTimedTarget(b)
	hang := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-hang
	}))
	b.Cleanup(func() {
		close(hang)
		dead.Close()
	})
	s := start(b, allowLoopback)
	var paths []string
	well, ill := s.newURL(nil), s.newURL(nil)
	for i := range 99 {
		path := "/" + strconv.Itoa(i)
		paths = append(paths, path)
		s.subscribe(well, g.URL+path, nil)
		s.subscribe(ill, g.URL+path, nil)
	}
	s.subscribe(well, g.URL+"/99", nil)
	s.subscribe(ill, dead.URL, nil)
	measure := func(u captureURL) []time.Duration { return g.took(b, s.paced(u, 50, 200*time.Millisecond), paths...) }
	measure(well)
	var with, without []time.Duration
	for b.Loop() {
		without = append(without, measure(well)...)
		with = append(with, measure(ill)...)
	}
	reportTimes(b, without, "all-well-")
	reportTimes(b, with, "one-dead-")
	b.ReportMetric(float64(percentile(with, 0.99))/float64(percentile(without, 0.99)), "p99-ratio")
}

// BenchmarkPending measures what a subscription costs whose target is down and that holds many deliveries:
// HOOKKEEPER_TEST_LONG makes it 1,000,000 of them instead of 20,000.
func BenchmarkPending(b *testing.B) {
	want := int64(20_000)
	if long() {
		want = 1_000_000
	}
	g := newReceiver(b)
	g.status.Store(http.StatusInternalServerError)
	s := start(b, allowLoopback, "HOOKKEEPER_KEEP_REQUESTS=1000")
	u := s.newURL(map[string]any{"keep": map[string]any{"bytes": 1 << 40}})
	sub := s.subscribe(u, g.URL, nil)
	for n := int64(0); n < want; {
		answered, _ := load(b, s.Addr, post("/in/"+u.Slug, s.Addr, 200), 64, time.Second)
		n += answered
	}
	var status struct {
		Deliveries struct{ Unfinished int64 }
	}
	s.api("GET", "/api/v1/subscriptions/"+sub, nil, http.StatusOK, &status)
	if status.Deliveries.Unfinished < want*99/100 {
		b.Fatalf("%d deliveries are held, want %d", status.Deliveries.Unfinished, want)
	}
	session := s.login()
	pages := map[string][]time.Duration{}
	for b.Loop() {
		for name, path := range map[string]string{
			"subscription": "/subscriptions/" + sub, "held": "/urls/" + u.ID + "/deliveries?state=held", "list": "/urls/" + u.ID,
		} {
			begin := time.Now()
			if code := s.get(path, session); code != http.StatusOK {
				b.Fatalf("%s: status %d", path, code)
			}
			pages[name] = append(pages[name], time.Since(begin))
		}
		for name, paused := range map[string]bool{"pause": true, "resume": false} {
			begin := time.Now()
			s.api("PATCH", "/api/v1/subscriptions/"+sub, map[string]any{"paused": paused}, http.StatusOK, nil)
			pages[name] = append(pages[name], time.Since(begin))
		}
	}
	for name, took := range pages {
		b.ReportMetric(float64(percentile(took, 0.5).Microseconds())/1000, name+"-ms")
	}
	b.ReportMetric(float64(s.memory())/(1<<20), "MB")
	b.ReportMetric(float64(status.Deliveries.Unfinished), "held")
	b.ReportMetric(0, "ns/op")
}
