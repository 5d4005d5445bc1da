package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// stampScript notes for each row when it came into the document, in milliseconds since 1970.
const stampScript = `
	window.stamps = {};
	new MutationObserver((changes) => {
		const now = performance.timeOrigin + performance.now();
		for (const change of changes) {
			for (const node of change.addedNodes) {
				if (node.dataset?.id) { stamps[node.dataset.id] ??= now; }
			}
		}
	}).observe(document.getElementById("list"), { subtree: true, childList: true });`

// rowLatency sends n requests at 50/s into an open page and returns how long after its answer the row of each was there.
// Answer and row are timed by one clock.
func rowLatency(t testing.TB, n int) []time.Duration {
	t.Helper()
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	p.run(stampScript)
	sender, err := newSender(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	request := post("/in/"+u.Slug, s.Addr, 1024)
	answered := map[string]time.Time{}
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for range n {
		<-pace.C
		status, id, err := sender.send(request)
		if err != nil || status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
		answered[id] = time.Now()
	}
	p.until(fmt.Sprintf("Object.keys(stamps).length === %d", n))
	var took []time.Duration
	for id, ms := range eval[map[string]float64](p, "stamps") {
		took = append(took, max(0, time.UnixMicro(int64(ms*1000)).Sub(answered[id])))
	}
	return took
}

// TestLatency: rows are there soon after the sender has its answer. BenchmarkLatency has the figures; here a busy
// machine is forgiven a lot.
func TestLatency(t *testing.T) {
	took := rowLatency(t, 100)
	p50, p99 := percentile(took, 0.5), percentile(took, 0.99)
	t.Logf("p50 %v, p99 %v", p50, p99)
	if p50 > 150*time.Millisecond || p99 > 600*time.Millisecond {
		t.Errorf("rows came late: p50 %v, p99 %v", p50, p99)
	}
}

// BenchmarkLatency measures the time from the sender's answer to the row in the document at 50 requests a second.
func BenchmarkLatency(b *testing.B) {
	var took []time.Duration
	for b.Loop() {
		took = append(took, rowLatency(b, 500)...)
	}
	b.ReportMetric(float64(percentile(took, 0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(percentile(took, 0.99).Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// watchLoadScript notes the longest task of the main thread and the most rows that the document ever had.
const watchLoadScript = `
	window.longest = 0;
	window.mostRows = 0;
	new PerformanceObserver((list) => {
		for (const task of list.getEntries()) { longest = Math.max(longest, task.duration); }
	}).observe({ type: "longtask" });
	new MutationObserver(() => {
		mostRows = Math.max(mostRows, document.querySelectorAll("#rows > [data-id]").length);
	}).observe(document.getElementById("list"), { subtree: true, childList: true });`

// pacedLoad sends requests at a steady rate over some connections and returns how many were stored.
func pacedLoad(t testing.TB, addr string, request []byte, perSecond int, d time.Duration) int {
	t.Helper()
	const connections = 16
	turns := make(chan struct{}, perSecond)
	failed := make(chan error, connections)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			s, err := newSender(addr)
			if err != nil {
				failed <- err
				return
			}
			defer s.conn.Close()
			for range turns {
				if status, _, err := s.send(request); err != nil || status != 200 {
					failed <- fmt.Errorf("status %d, %w", status, err)
					return
				}
			}
		})
	}
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	begin := time.Now()
	sent := 0
	for elapsed := time.Duration(0); elapsed < d; elapsed = time.Since(begin) {
		for due := int(elapsed.Seconds() * float64(perSecond)); sent < due; sent++ {
			select {
			case turns <- struct{}{}:
			case err := <-failed:
				t.Fatal(err)
			}
		}
		<-pace.C
	}
	close(turns)
	wg.Wait()
	if took := time.Since(begin); took > d+d/5 {
		t.Logf("the load took %v instead of %v: the machine is busy", took, d)
	}
	return sent
}

// TestBurst sends 5,000 requests a second into an open page: it stays usable, its list bounded, and right in the end.
// HOOKKEEPER_TEST_LONG makes it 20 s.
func TestBurst(t *testing.T) {
	d := 5 * time.Second
	if long() {
		d = 20 * time.Second
	}
	s := start(t, "HOOKKEEPER_KEEP_REQUESTS=1000000")
	u := s.newURL(nil)
	p := inspect(t, s, u)
	p.run(watchLoadScript)
	sent := pacedLoad(t, s.Addr, post("/in/"+u.Slug+"/orders", s.Addr, 300), 5000, d)
	last := s.capture(u, "the last one")
	p.until(idsScript + "[0] === " + js(last))
	p.until(fmt.Sprintf(`document.getElementById("count").textContent.replaceAll(",", "") === "%d"`, sent+1))
	p.until(`document.querySelector("#rows .gap") === null`)
	longest, most := eval[float64](p, "longest"), eval[int](p, "mostRows")
	t.Logf("%d requests in %v: longest task %.0f ms, at most %d rows", sent, d, longest, most)
	if longest > 200 {
		t.Errorf("the longest task of the main thread took %.0f ms", longest)
	}
	if most > 300 {
		t.Errorf("the document had %d rows", most)
	}
	ids := eval[[]string](p, idsScript)
	var want []string
	for _, r := range s.newest(u.ID, len(ids)) {
		want = append(want, r.ID)
	}
	if strings.Join(ids, " ") != strings.Join(want, " ") {
		t.Errorf("the %d rows are not the newest requests", len(ids))
	}
}

// newest returns the newest requests of a capture URL, newest first.
func (s *server) newest(captureURL string, n int) []apiRequest {
	s.t.Helper()
	var all []apiRequest
	cursor := ""
	for len(all) < n {
		var page struct {
			Items []apiRequest
			Next  *string
		}
		s.api("GET", fmt.Sprintf("/api/v1/capture-urls/%s/requests?limit=%d%s", captureURL, min(200, n-len(all)), cursor), nil, 200, &page)
		all = append(all, page.Items...)
		if page.Next == nil {
			break
		}
		cursor = "&cursor=" + *page.Next
	}
	return all
}
