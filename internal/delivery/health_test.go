package delivery_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// down is the health of a target that has been down for a while and whose next probe is due.
func down() hook.Health {
	now := time.Now()
	return hook.Health{
		Failures: 20, Failed: []hook.ID{1, 2, 3}, FailingSince: now.Add(-time.Hour), DownSince: now.Add(-time.Minute),
		ProbeAt: now, ProbeWait: hook.FirstProbe, LastOutcome: "answered 500", LastFailedAt: now,
	}
}

// withHealth opens a house whose only subscription has the health, and n deliveries that wait; the worker has not been
// started.
func withHealth(t *testing.T, health hook.Health, target string, n int, change ...func(*hook.Subscription)) (*house, hook.Subscription, []hook.ID) {
	t.Helper()
	text, err := json.Marshal(health)
	if err != nil {
		t.Fatal(err)
	}
	return withStats(t, "health = $1", string(text), target, n, change...)
}

// withStats is withHealth for another column of subscription_stats.
func withStats(t *testing.T, set string, value any, target string, n int, change ...func(*hook.Subscription)) (*house, hook.Subscription, []hook.ID) {
	t.Helper()
	path, key := filepath.Join(t.TempDir(), "hookkeeper.db"), seal.NewKey()
	before, err := store.Open(t.Context(), store.Options{Path: path, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	u := storetest.CaptureURL(t, before)
	sub := storetest.Subscription(t, before, u.ID, append(change, func(s *hook.Subscription) {
		s.TargetURL, s.Signing.Scheme = target, hook.SignNone
	})...)
	var requests []hook.ID
	for range n {
		r := storetest.Routed(u.ID, 10, sub.ID)
		if err := before.Capture(r); err != nil {
			t.Fatal(err)
		}
		requests = append(requests, r.ID)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, path, "UPDATE subscription_stats SET "+set+" WHERE subscription_id = $2", value, sub.ID)
	h := openHouse(t, store.Options{Path: path, Key: key})
	h.url = u
	return h, sub, requests
}

// exec changes a database that nobody has open.
func exec(t *testing.T, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// waitHealth returns the subscription once it is as wanted.
func (h *house) waitHealth(sub hook.ID, wanted func(*hook.SubscriptionStatus) bool) hook.SubscriptionStatus {
	h.t.Helper()
	patience := time.After(10 * time.Second)
	for {
		status, err := h.store.Subscription(context.Background(), hook.System, sub)
		if err != nil {
			h.t.Fatal(err)
		}
		if wanted(&status) {
			return status
		}
		select {
		case <-h.news:
		case <-patience:
			h.t.Fatalf("the subscription stays as it is: %+v", status)
		}
	}
}

// TestProbe: a target that is down gets one delivery, which uses up nothing, and the rest is held.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newSink(t, status(500))
	h, sub, requests := withHealth(t, down(), s.URL, 5)
	h.start()
	s.next(t)
	after := h.waitHealth(sub.ID, func(s *hook.SubscriptionStatus) bool { return s.Health.ProbeWait > hook.FirstProbe })
	wantEqual(t, "the next probe's pause", after.Health.ProbeWait, 2*hook.FirstProbe)
	d, attempts := h.wait(requests[0], hook.Held)
	wantEqual(t, "trigger", attempts[0].Trigger, hook.TriggerProbe)
	wantEqual(t, "used", d.Used, 0)
	h.wait(requests[4], hook.Held)
	wantEqual(t, "arrived beside the probe", len(s.got), 0)
}

// TestRecovers: a probe that the target takes ends it, and everything that was held follows, a few at a time at first.
func TestRecovers(t *testing.T) {
	t.Parallel()
	var under, most atomic.Int64
	var calls atomic.Int64
	s := newSink(t, func(http.ResponseWriter, *http.Request) {
		n := under.Add(1)
		defer under.Add(-1)
		if calls.Add(1) == 2 { // the first one behind the probe goes alone
			most.Store(n)
		}
	})
	h, _, requests := withHealth(t, down(), s.URL, 20)
	h.start()
	c := <-h.changes
	wantEqual(t, "change", c.Change, hook.Recovered)
	for _, id := range requests {
		h.wait(id, hook.Succeeded)
	}
	wantEqual(t, "at a time", most.Load(), int64(1))
}

// TestProbesTakeTurns: one poisonous request cannot hold a healthy target down.
func TestPoisonousRequest(t *testing.T) {
	t.Parallel()
	var poison atomic.Pointer[string]
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Hookkeeper-Request-Id") == *poison.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	health := down()
	h, sub, requests := withHealth(t, health, s.URL, 3)
	first := requests[0].Text(hook.RequestPrefix)
	poison.Store(&first)
	h.start()
	h.waitHealth(sub.ID, func(s *hook.SubscriptionStatus) bool { return s.Health.ProbeWait > hook.FirstProbe })
	if err := h.store.DeliverNow(t.Context(), hook.System, sub.ID); err != nil { // not in half a minute
		t.Fatal(err)
	}
	h.wait(requests[2], hook.Succeeded)
	h.wait(requests[1], hook.Succeeded)
}

// TestOrderedProbe: an ordered subscription is probed with its head, and an answer counts.
func TestOrderedProbe(t *testing.T) {
	t.Parallel()
	s := newSink(t, status(500))
	h, _, requests := withHealth(t, down(), s.URL, 3, func(s *hook.Subscription) { s.Ordered = true })
	h.start()
	wantEqual(t, "probed with", s.next(t).Header.Get("Hookkeeper-Request-Id"), requests[0].Text(hook.RequestPrefix))
	d, _ := h.wait(requests[0], hook.Held)
	for d.AttemptCount == 0 {
		<-h.news
		d, _ = h.wait(requests[0], hook.Held)
	}
	wantEqual(t, "used", d.Used, 1)
}

// TestResendWhileDown: what somebody asks for is tried at once, whatever is held, and does not become a probe.
func TestResendWhileDown(t *testing.T) {
	t.Parallel()
	health := down()
	health.ProbeAt = time.Now().Add(time.Hour)
	s := newSink(t, nil)
	h, sub, requests := withHealth(t, health, s.URL, 3)
	h.start()
	made, err := h.store.Resend(t.Context(), hook.System, "ann@example.com", hook.Resend{RequestID: requests[1], SubscriptionID: sub.ID, Retry: true})
	if err != nil {
		t.Fatal(err)
	}
	got := s.next(t)
	wantEqual(t, "delivery", got.Header.Get("Hookkeeper-Delivery-Id"), made[0].ID.Text(hook.DeliveryPrefix))
	wantEqual(t, "change", (<-h.changes).Change, hook.Recovered) // and it shows that the target is back
	for _, id := range requests {
		h.wait(id, hook.Succeeded)
	}
}

// TestManyResendsWhileDown: all of them, however few are claimed at a time.
func TestManyResendsWhileDown(t *testing.T) {
	t.Parallel()
	health := down()
	health.ProbeAt = time.Now().Add(time.Hour)
	s := newSink(t, status(500))
	h, sub, requests := withHealth(t, health, s.URL, 60)
	h.start()
	var asked []hook.Resend
	for _, id := range requests {
		asked = append(asked, hook.Resend{RequestID: id, SubscriptionID: sub.ID})
	}
	if _, err := h.store.Resend(t.Context(), hook.System, "ann@example.com", asked...); err != nil {
		t.Fatal(err)
	}
	for range asked {
		s.next(t)
	}
}

// TestGoesDown: ten failures of three deliveries over a minute.
func TestGoesDown(t *testing.T) {
	t.Parallel()
	health := hook.Health{Failures: 9, Failed: []hook.ID{1, 2}, FailingSince: time.Now().Add(-2 * time.Minute)}
	h, _, requests := withHealth(t, health, newSink(t, status(503)).URL, 1)
	h.start()
	c := <-h.changes
	wantEqual(t, "change", c.Change, hook.WentDown)
	h.wait(requests[0], hook.Held)
}

// TestDies: five days of failing attempts disable the subscription.
func TestDies(t *testing.T) {
	t.Parallel()
	health := down()
	health.FailingSince = time.Now().Add(-hook.DeadAfter)
	h, sub, requests := withHealth(t, health, newSink(t, status(500)).URL, 1)
	h.start()
	wantEqual(t, "change", (<-h.changes).Change, hook.Disabled)
	status, err := h.store.Subscription(t.Context(), hook.System, sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "disabled", status.Hold.Disabled, true)
	h.wait(requests[0], hook.Held)
}

// TestDeadTargetHoldsUpNobody: others are delivered while one target never answers.
func TestDeadTargetHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	block := make(chan struct{})
	dead := h.subscribe(newSink(t, func(http.ResponseWriter, *http.Request) { <-block }).URL)
	t.Cleanup(func() { close(block) }) // before the target is closed, which waits for its answers
	alive := h.subscribe(newSink(t, nil).URL)
	var last *hook.Request
	for range 300 {
		h.capture(dead)
		last = h.capture(alive)
	}
	h.wait(last.ID, hook.Succeeded)
}

// TestRestart: what a process that died had claimed is sent again at once, with an attempt that says what is not known.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil)
	h, request := diedSending(t, func(sub *hook.Subscription) { sub.TargetURL = s.URL })
	h.start()
	d, attempts := h.wait(request, hook.Succeeded)
	wantEqual(t, "attempts", d.AttemptCount, 2)
	wantEqual(t, "used", d.Used, 1)
	if attempts[0].Error == "" || attempts[0].Status != 0 {
		t.Errorf("the attempt that nobody knows about: %+v", attempts[0])
	}
	wantEqual(t, "its number at the target", s.next(t).Header.Get("Hookkeeper-Attempt"), "2")
}

// TestRestartAsksTheFilter: a process that died may not have asked the condition of what it had claimed.
func TestRestartAsksTheFilter(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil)
	h, request := diedSending(t, func(sub *hook.Subscription) { sub.TargetURL, sub.Filter.JQ = s.URL, "false" })
	h.start()
	d, _ := h.wait(request, hook.Skipped, hook.Succeeded)
	wantEqual(t, "state", d.State, hook.Skipped)
	wantEqual(t, "reason", d.Reason, "jq: false")
}

// diedSending returns a house that has not been started, whose process before had claimed the only delivery and died.
func diedSending(t *testing.T, change func(*hook.Subscription)) (h *house, request hook.ID) {
	t.Helper()
	path, key := filepath.Join(t.TempDir(), "hookkeeper.db"), seal.NewKey()
	died := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, died)
	sub := storetest.Subscription(t, died, u.ID, func(sub *hook.Subscription) {
		sub.Signing.Scheme = hook.SignNone
		change(sub)
	})
	r := storetest.Routed(u.ID, 0, sub.ID)
	r.Body, r.BodySize = []byte("{}"), 2
	if err := died.Capture(r); err != nil {
		t.Fatal(err)
	}
	found, err := died.Due(t.Context(), store.Queue{ID: sub.ID, Now: time.Now(), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := died.Record(t.Context(), store.Turn{Claims: found.Claims}); err != nil {
		t.Fatal(err)
	}
	return openHouse(t, store.Options{Path: path, Key: key}), r.ID
}

// TestStop: what is under way when the worker stops comes to its end and is recorded.
func TestStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	under, goOn := make(chan struct{}), make(chan struct{})
	s := newSink(t, func(http.ResponseWriter, *http.Request) {
		close(under)
		<-goOn
	})
	r := h.capture(h.subscribe(s.URL))
	<-under
	stopped := make(chan struct{})
	go func() {
		h.stop()
		close(stopped)
	}()
	close(goOn)
	<-stopped
	h.wait(r.ID, hook.Succeeded)
}

// TestTry answers without leaving anything behind.
func TestTry(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, status(418))
	sub := hook.NewSubscription()
	sub.TargetURL, sub.Signing.Scheme = s.URL, hook.SignNone
	a := h.worker.Try(t.Context(), sub, storetest.Request(0, 10))
	wantEqual(t, "status", a.Status, 418)
	wantEqual(t, "trigger", a.Trigger, hook.TriggerTest)
	all, err := h.store.Deliveries(t.Context(), hook.System, store.DeliveryPage{Limit: 10})
	if err != nil || len(all) > 0 {
		t.Errorf("deliveries: %v, %v", all, err)
	}
	sub.TargetURL = "http://10.0.0.1/"
	if a := h.worker.Try(t.Context(), sub, storetest.Request(0, 10)); a.Status != 0 || a.Error == "" {
		t.Errorf("a refused target: %+v", a)
	}
}
