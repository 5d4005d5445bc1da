package delivery

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestQuietQueues: a turn does nothing for subscriptions that are paused or whose next attempt is later, of which there may be
// very many, and learns when that changes.
func TestQuietQueues(t *testing.T) {
	var w *Worker
	st := storetest.Open(t, store.Options{OnQueue: func(queues []hook.ID) { w.Notify(queues) }})
	w = New(Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	w.stopping = true // nothing is sent
	url := storetest.CaptureURL(t, st)
	paused := storetest.Subscription(t, st, url.ID, func(s *hook.Subscription) { s.Hold.Paused = true })
	later := storetest.Subscription(t, st, url.ID)
	if err := st.Capture(storetest.Routed(url.ID, 1, paused.ID, later.ID)); err != nil {
		t.Fatal(err)
	}
	putOffFor(t, st, later.ID, time.Hour)
	next := w.turn(t.Context())
	if w.queues[paused.ID] != nil {
		t.Error("a paused subscription is looked at in each turn")
	}
	q := w.queues[later.ID]
	if q == nil || !q.asleep(time.Now()) || q.sub == nil {
		t.Fatalf("what is due in an hour is looked at in each turn: %+v", q)
	}
	if wait := time.Until(next); wait < 50*time.Minute || wait > time.Hour {
		t.Errorf("the next turn is in %v", wait)
	}
	_, err := st.UpdateSubscription(t.Context(), hook.System, paused.ID, func(s *hook.Subscription) error {
		s.Hold.Paused = false
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.DeliverNow(t.Context(), hook.System, later.ID); err != nil {
		t.Fatal(err)
	}
	w.turn(t.Context())
	for _, sub := range []hook.Subscription{paused, later} {
		if q := w.queues[sub.ID]; q == nil || len(q.ready) != 1 {
			t.Errorf("%s has not begun again: %+v", sub.Name, q)
		}
	}
}

// TestUnreadQueue: a queue that could not be read is read again later, also when its target is down and a probe is due.
func TestUnreadQueue(t *testing.T) {
	now := time.Now()
	for about, health := range map[string]hook.Health{
		"up": {}, "down": {DownSince: now.Add(-time.Hour), ProbeAt: now.Add(-time.Second), ProbeWait: time.Minute},
	} {
		q := newQueue(1)
		q.sub = &subscription{}
		q.sub.Health, q.look = health, true
		want := q.want(now)
		want.failed = true
		q.looked(want)
		if wait := q.nextLook().Sub(now); wait < reread-time.Second || wait > 2*reread || q.want(now) != nil {
			t.Errorf("%s: it is read again in %v", about, wait)
		}
		if q.want(now.Add(2*reread)) == nil {
			t.Errorf("%s: it is not read again", about)
		}
	}
}

// TestDownQueueSleeps: a target that is down costs nothing while there is nothing to probe it with, whatever is told, and while what
// somebody resent to it is under way.
func TestDownQueueSleeps(t *testing.T) {
	now := time.Now()
	down := func() *queue {
		q := newQueue(1)
		q.sub = &subscription{}
		q.sub.Health = hook.Health{DownSince: now.Add(-time.Hour), ProbeAt: now.Add(-time.Second), ProbeWait: time.Minute}
		q.look = true
		return q
	}
	q := down()
	want := q.want(now)
	if want == nil || !want.probe {
		t.Fatalf("no probe is asked for: %+v", want)
	}
	q.looked(want)
	if at := q.nextLook(); !at.IsZero() {
		t.Errorf("with nothing in it, it is looked at again in %v", at.Sub(now))
	}
	q = down()
	q.look, q.claimed[7] = false, true
	if at := q.nextLook(); q.want(now) != nil || !at.IsZero() {
		t.Errorf("with a resend under way, it is looked at again in %v", at.Sub(now))
	}
}

// putOffFor makes the only delivery of a subscription one that waits.
func putOffFor(t *testing.T, st *store.Store, sub hook.ID, d time.Duration) {
	t.Helper()
	found, err := st.Due(t.Context(), store.Queue{ID: sub, Now: time.Now(), Limit: 1})
	if err != nil || len(found.Claims) != 1 {
		t.Fatalf("%d are due, %v", len(found.Claims), err)
	}
	recorded, err := st.Record(t.Context(), store.Turn{Claims: found.Claims})
	if err != nil {
		t.Fatal(err)
	}
	result := store.Result{Claim: recorded.Leased[0], Next: hook.Next{State: hook.Waiting, At: time.Now().Add(d)}}
	if _, err := st.Record(t.Context(), store.Turn{Results: []store.Result{result}}); err != nil {
		t.Fatal(err)
	}
}
