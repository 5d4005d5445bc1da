package store_test

import (
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// ahead returns which delivery each of a capture URL's waits for, newest first; 0 = none.
func ahead(t *testing.T, s *store.Store, captureURL hook.ID) (of []hook.ID) {
	t.Helper()
	rows, err := s.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: captureURL, Limit: 100})
	must(t, err)
	must(t, s.InOrder(t.Context(), rows))
	for _, d := range rows {
		if d.Ahead == nil {
			of = append(of, 0)
			continue
		}
		of = append(of, d.Ahead.Delivery)
	}
	return of
}

// TestInOrder: deliveries of an ordered subscription wait for the first one that is not finished, and for nothing when they are
// held anyway.
func TestInOrder(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	keeps := storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) { sub.Ordered = true })
	first, second := route(t, s, u.ID, keeps.ID), route(t, s, u.ID, keeps.ID)
	route(t, s, u.ID, keeps.ID)
	rows, err := s.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: u.ID, Limit: 10})
	must(t, err)
	head, next := rows[2].ID, rows[1].ID
	wantEqual(t, "all waiting", ahead(t, s, u.ID), []hook.ID{head, head, 0})
	must(t, s.InOrder(t.Context(), rows))
	wantEqual(t, "the request ahead", rows[0].Ahead.Request.ID, first)

	c := claim(t, s, keeps.ID)[:1]
	later := time.Now().Add(time.Hour)
	_, err = s.Record(t.Context(), store.Turn{Results: []store.Result{result(c[0], 500, hook.Next{State: hook.Waiting, At: later})}})
	must(t, err)
	wantEqual(t, "the first waits for its retry", ahead(t, s, u.ID), []hook.ID{head, head, 0})

	must(t, s.DeleteRequest(t.Context(), hook.System, first, true))
	wantEqual(t, "the first is gone", ahead(t, s, u.ID), []hook.ID{next, 0})
	rows, err = s.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: u.ID, Limit: 10})
	must(t, err)
	must(t, s.InOrder(t.Context(), rows))
	wantEqual(t, "the request ahead", rows[0].Ahead.Request.ID, second)
}

// TestInOrderIsBounded: of many ordered subscriptions on one page only some queues are looked at, and the others' deliveries say
// that they wait for their turn.
func TestInOrderIsBounded(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	var subs []hook.ID
	for range 25 {
		subs = append(subs, storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) { sub.Ordered = true }).ID)
	}
	route(t, s, u.ID, subs...)
	route(t, s, u.ID, subs...)
	n := map[bool]int{}
	for _, id := range ahead(t, s, u.ID) {
		n[id != 0]++
	}
	wantEqual(t, "looked up", n[true], 20)
}

// TestQuietTarget: a delivery that has not been tried because the target asked for a pause says so.
func TestQuietTarget(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	route(t, s, u.ID, sub.ID)
	busy := result(claim(t, s, sub.ID)[0], 503, hook.Next{State: hook.Waiting, Reason: "answered 503", At: time.Now().Add(time.Hour)})
	busy.QuietUntil = time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{busy}})
	must(t, err)
	route(t, s, u.ID, sub.ID)
	rows, err := s.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: u.ID, Limit: 10})
	must(t, err)
	wantEqual(t, "reasons", []string{rows[0].Reason, rows[1].Reason}, []string{"the target asked for a pause until 2100-01-02 03:04:05 UTC", "answered 503"})
}
