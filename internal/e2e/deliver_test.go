package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// allowLoopback lets deliveries go to the targets of these tests.
const allowLoopback = "HOOKKEEPER_ALLOW_TARGETS=127.0.0.1"

// receiver takes deliveries and counts them by request.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	times  map[string]int // by request
	status atomic.Int64   // of its answers
	first  chan time.Time // of the first delivery since expect
	conns  atomic.Int64   // that are open
}

func newReceiver(t testing.TB) *receiver {
	g := &receiver{times: map[string]int{}}
	g.status.Store(http.StatusOK)
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		g.mu.Lock()
		g.times[r.Header.Get("Hookkeeper-Request-Id")]++
		if g.first != nil {
			g.first <- time.Now()
			g.first = nil
		}
		g.mu.Unlock()
		w.WriteHeader(int(g.status.Load()))
	}))
	g.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			g.conns.Add(1)
		case http.StateClosed:
			g.conns.Add(-1)
		}
	}
	g.Start()
	t.Cleanup(g.Close)
	return g
}

// expect returns a channel that gets the time of the next delivery.
func (g *receiver) expect() <-chan time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.first = make(chan time.Time, 1)
	return g.first
}

// received returns how many requests have come, and how many deliveries.
func (g *receiver) received() (requests, deliveries int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.times {
		deliveries += n
	}
	return len(g.times), deliveries
}

// missing returns how many of the requests have not come.
func (g *receiver) missing(ids []string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		if g.times[id] == 0 {
			n++
		}
	}
	return n
}

// stopped notes in done how often requests have come whose delivery is recorded, when the server is dead. It returns how many
// deliveries have come and are not recorded.
func (g *receiver) stopped(t *testing.T, done map[string]int, recorded []string) (inFlight int) {
	t.Helper()
	eventually(t, "what the dead server had sent is read", func() bool { return g.conns.Load() == 0 })
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range recorded {
		if _, known := done[id]; !known {
			done[id] = g.times[id]
		}
	}
	for id := range g.times {
		if _, known := done[id]; !known {
			inFlight++
		}
	}
	return inFlight
}

// wantNoMore checks that nothing has come again that was noted in done.
func (g *receiver) wantNoMore(t *testing.T, done map[string]int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, times := range done {
		if now := g.times[id]; now != times {
			t.Errorf("request %s was recorded as delivered and came %d times more", id, now-times)
		}
	}
}

// eventually waits until ok says yes.
func eventually(t testing.TB, about string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("this did not happen in %v: %s", startWait, about)
		case <-tick.C:
		}
	}
}

// subscribe makes a subscription of a capture URL and returns its id; fields are added to its JSON.
func (s *server) subscribe(u captureURL, to string, fields map[string]any) string {
	s.t.Helper()
	in := map[string]any{"name": "shop", "target_url": to}
	for name, value := range fields {
		in[name] = value
	}
	var sub struct{ ID string }
	s.api("POST", "/api/v1/capture-urls/"+u.ID+"/subscriptions", in, http.StatusCreated, &sub)
	return sub.ID
}

// sendMany posts n requests from several connections, until the server is gone, and returns the ids that it acknowledged.
func (s *server) sendMany(u captureURL, n int) <-chan []string {
	var next atomic.Int64
	var mu sync.Mutex
	var acknowledged []string
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for next.Add(1) <= int64(n) {
				resp, err := client.Post(s.url("/in/"+u.Slug), "application/json", strings.NewReader(`{"order":1}`))
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err == nil && resp.StatusCode == http.StatusOK {
					mu.Lock()
					acknowledged = append(acknowledged, resp.Header.Get("Hookkeeper-Request-Id"))
					mu.Unlock()
				}
			}
		})
	}
	done := make(chan []string, 1)
	go func() {
		senders.Wait()
		done <- acknowledged
	}()
	return done
}

// TestKilledWhileDelivering kills the server with thousands of deliveries on their way. What was acknowledged is delivered,
// what was recorded as delivered is not delivered again, of the others no more than README says, and the first one is out soon
// after the next start.
func TestKilledWhileDelivering(t *testing.T) {
	const requests, concurrency, maxInFlight = 5000, 16, 256
	rounds := 5
	if long() {
		rounds = 20
	}
	g := newReceiver(t)
	s := start(t, allowLoopback)
	u := s.newURL(nil) // which keeps 10,000: what is not delivered has to stay all the same
	s.subscribe(u, g.URL, map[string]any{"concurrency": concurrency})
	var acknowledged []string
	recorded, inFlight := map[string]int{}, 0
	for round := range rounds {
		before, _ := g.received()
		done := s.sendMany(u, requests)
		at := requests * (round%5*2 + 1) / 10 // 10, 30, 50, 70, 90 %
		eventually(t, fmt.Sprintf("%d are delivered", at), func() bool {
			n, _ := g.received()
			return n-before >= at
		})
		s.kill()
		acknowledged = append(acknowledged, <-done...)
		waiting := g.missing(acknowledged)
		came := g.stopped(t, recorded, recordedIn(t, s.DataDir))
		if inFlight += came; came > maxInFlight {
			t.Errorf("round %d: %d were sent and not recorded, want at most %d", round, came, maxInFlight)
		}
		first := g.expect()
		s.restart()
		ready := time.Now()
		if waiting > 0 {
			if late := (<-first).Sub(ready); late > 2*time.Second {
				t.Errorf("round %d: the first delivery came %v after the start", round, late)
			}
		}
		eventually(t, "all acknowledged requests are delivered", func() bool { return g.missing(acknowledged) == 0 })
		t.Logf("round %d: killed with %d of %d acknowledged requests waiting", round, waiting, len(acknowledged))
	}
	unique, all := g.received()
	t.Logf("%d acknowledged, %d delivered, %d of them twice", len(acknowledged), unique, all-unique)
	if all-unique > inFlight {
		t.Errorf("%d were delivered twice by %d kills with %d in flight in all", all-unique, rounds, inFlight)
	}
	g.wantNoMore(t, recorded)
	if out := runCommand(t, s, "check"); !strings.Contains(out, "The database is sound") {
		t.Errorf("check says: %s", out)
	}
}

// TestDeliveryIsSeen follows a delivery in the browser: the mark in the list, the tab of the request, the pages of the
// subscription and of the delivery all change while they are open.
func TestDeliveryIsSeen(t *testing.T) {
	g := newReceiver(t)
	g.status.Store(http.StatusInternalServerError)
	s := start(t, allowLoopback)
	u := s.newURL(nil)
	sub := s.subscribe(u, g.URL, nil)
	p := inspect(t, s, u)
	id := s.capture(u, "x")
	row := `document.querySelector('[data-id="` + id + `"] .outcome')?.textContent ?? ""`
	p.until(row + `.includes("500")`)
	p.visit("/urls/" + u.ID + "/requests/" + id + "?tab=deliveries")
	p.wantState("Live")
	p.until(`document.getElementById("request-deliveries").textContent.includes("answered 500")`)
	page := p.sibling()
	page.visit("/subscriptions/" + sub)
	page.wantState("Live")
	g.status.Store(http.StatusOK)
	p.run(`document.getElementById("resend-heading").closest("section").querySelector("[name=subscription]").click()`)
	p.run(`document.getElementById("resend-heading").closest("section").querySelector("form").requestSubmit()`)
	p.until(`document.getElementById("delivery-state")?.textContent.includes("200") ?? false`)
	page.until(`document.getElementById("subscription-deliveries").textContent.includes("200")`)
	p.visit("/urls/" + u.ID + "/requests/" + id)
	p.until(`document.getElementById("deliveries-outcome").textContent.includes("200")`)
}

// TestTroubleIsLive: the pages that are open tell that a target has gone, and that somebody enabled the subscription again.
func TestTroubleIsLive(t *testing.T) {
	t.Parallel()
	g := newReceiver(t)
	g.status.Store(http.StatusGone)
	s := start(t, allowLoopback)
	u := s.newURL(nil)
	home := open(t, s).login()
	home.visit("/")
	home.wantState("Live")
	home.run(find(".url .to") + ".focus()") // the line is not replaced, because that would take the focus away
	list := home.sibling()
	list.visit("/urls/" + u.ID + "/subscriptions")
	list.wantState("Live")
	inspector := inspect(t, s, u)
	sub := s.subscribe(u, g.URL, nil)
	list.until(`document.getElementById("subscriptions").textContent.includes("shop")`)
	inspector.until(`document.querySelector(".address").textContent.includes("1 subscription")`)
	s.capture(u, "x")
	home.until(`document.querySelector(".trouble-mark")?.textContent === "1 subscription in trouble"`)
	if !eval[bool](home, `document.activeElement.matches(".url .to")`) {
		t.Error("the line has lost the focus")
	}
	list.until(`document.getElementById("subscriptions").textContent.includes("Disabled")`)
	inspector.until(`document.querySelector(".address").textContent.includes("1 in trouble")`)
	home.click(".trouble-mark")
	home.until(`location.pathname === ` + js("/urls/"+u.ID+"/subscriptions"))
	home.visit("/")
	home.wantState("Live")
	page := home.sibling()
	page.visit("/subscriptions/" + sub)
	page.wantState("Live")
	s.api(http.MethodPatch, "/api/v1/subscriptions/"+sub, map[string]any{"enabled": true}, http.StatusOK, nil)
	home.until(`document.querySelector(".trouble-mark") === null`)
	page.until(`document.getElementById("subscription-actions").textContent.includes("Pause")`)
}

// TestSelectAndResend chooses requests by key and by mouse, and has them delivered.
func TestSelectAndResend(t *testing.T) {
	t.Parallel()
	g := newReceiver(t)
	s := start(t, allowLoopback)
	u := s.newURL(nil)
	ids := s.captureMany(u, 4)
	s.subscribe(u, g.URL, nil)
	p := inspect(t, s, u)
	p.press("jjx")
	p.until(`document.getElementById("selected").textContent === "1 selected"`)
	p.click(`[data-id="` + ids[0] + `"] .pick`)
	p.until(`document.getElementById("selected").textContent === "2 selected"`)
	late := s.capture(u, "comes meanwhile")
	p.until(`!document.getElementById("pill").hidden`)
	p.click("#selection [type=submit]")
	p.until(`document.querySelector("h1")?.textContent === "Resend 2 requests"`)
	p.click(`[name=subscription]`)
	p.click(`[name=action]`)
	p.until(`document.querySelector("h1")?.textContent === "Deliveries"`)
	eventually(t, "both arrive", func() bool { return g.missing([]string{ids[2], ids[0], late}) == 0 })
	if requests, deliveries := g.received(); requests != 3 || deliveries != 3 {
		t.Errorf("%d requests came in %d deliveries", requests, deliveries)
	}
}

// delivery waits until a request has a delivery in a state and returns its id.
func (s *server) delivery(request, state string) (id string) {
	s.t.Helper()
	eventually(s.t, "a delivery is "+state, func() bool {
		var page struct{ Items []struct{ ID, State string } }
		s.api("GET", "/api/v1/deliveries?request_id="+request, nil, http.StatusOK, &page)
		for _, d := range page.Items {
			if d.State == state {
				id = d.ID
			}
		}
		return id != ""
	})
	return id
}
