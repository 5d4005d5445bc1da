package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// left returns the requests of a capture URL, oldest first.
func left(t *testing.T, s *store.Store, captureURL hook.ID) (ids []hook.ID) {
	t.Helper()
	all, err := s.Requests(t.Context(), hook.System, captureURL, store.RequestPage{After: 1, Limit: 1000})
	must(t, err)
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestUnfinishedIsNotRemovedByCount: what has not been delivered stays, what came between goes, and the counts stay true.
func TestUnfinishedIsNotRemovedByCount(t *testing.T) {
	var removed []hook.ID
	s := storetest.Open(t, store.Options{
		Keep:     hook.Keep{Requests: 3},
		OnRemove: func(_ hook.ID, ids []hook.ID) { removed = append(removed, ids...) },
	})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	held := route(t, s, u.ID, sub.ID)
	var plain []hook.ID
	for range 6 {
		plain = append(plain, route(t, s, u.ID))
	}
	wantEqual(t, "left", left(t, s, u.ID), []hook.ID{held, plain[4], plain[5]})
	wantEqual(t, "told", removed, plain[:4])
	wantEqual(t, "kept", stats(t, s, u.ID).Kept, int64(3))
	due, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", due, []hook.ID{held})
	wantCounts(t, s, u.ID)
}

// TestLastOfAllHolds: of as many subscriptions as a capture URL may have, the last one that has not got a request holds it, and so does
// a resend when they all have got it.
func TestLastOfAllHolds(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Requests: 1}})
	u := storetest.CaptureURL(t, s)
	var subs []hook.ID
	for range hook.MaxSubscriptions {
		subs = append(subs, storetest.Subscription(t, s, u.ID).ID)
	}
	held := route(t, s, u.ID, subs...)
	holds := func(about string) {
		t.Helper()
		plain := []hook.ID{route(t, s, u.ID), route(t, s, u.ID)}
		wantEqual(t, about+": left", left(t, s, u.ID), []hook.ID{held, plain[1]})
		err := s.DeleteRequest(t.Context(), hook.System, held, false)
		if !hook.Is(err, hook.Conflict) || !strings.Contains(err.Error(), "cancel 1 unfinished") {
			t.Errorf("%s: deleting it gives %v", about, err)
		}
		wantEqual(t, about+": holders", number(t, s, "SELECT count(*) FROM ("+store.HoldersQuery+")", held), 1)
	}
	finish := func(which string) {
		t.Helper()
		must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec("UPDATE deliveries SET state = 2 WHERE "+which, subs[len(subs)-1])
			return err
		}))
		must(t, s.Reload(t.Context()))
	}
	finish("subscription_id <> $1")
	holds("one waits")
	finish("subscription_id = $1")
	must(t, errOf(s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: held, SubscriptionID: subs[0]})))
	holds("a resend waits")
}

// TestRetentionBesideManyHeld: what waits for a target that is down, thousands of requests, is looked at once and not with
// every capture, and what is not held goes as fast as it comes.
func TestRetentionBesideManyHeld(t *testing.T) {
	t.Parallel()
	n := 5_000
	if os.Getenv("HOOKKEEPER_TEST_LONG") != "" {
		n = 100_000
	}
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Requests: 10}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	captureMany(t, n, func() *hook.Request { return storetest.Routed(u.ID, 10, sub.ID) }, s)
	captureMany(t, n, func() *hook.Request { return storetest.Routed(u.ID, 10) }, s)
	wantEqual(t, "waiting", counts(t, s, sub.ID).Unfinished, int64(n))
	if kept := stats(t, s, u.ID).Kept; kept < int64(n) || kept > int64(n)+10 {
		t.Errorf("%d requests are kept, want the %d that wait and few more", kept, n)
	}
	wantCounts(t, s, u.ID)
}

// captureMany stores n requests from 64 senders at a time.
func captureMany(t *testing.T, n int, request func() *hook.Request, s *store.Store) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.Capture(request()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
}

// TestDeliveredGoesWithItsRequest: deliveries and attempts are removed with the request, and their bytes are given back.
func TestDeliveredGoesWithItsRequest(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Requests: 2}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	route(t, s, u.ID, sub.ID)
	claims := claim(t, s, sub.ID)
	_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(claims[0], 200, hook.Next{State: hook.Succeeded})}})
	must(t, err)
	for range 3 {
		route(t, s, u.ID)
	}
	wantEqual(t, "deliveries", number(t, s, "SELECT count(*) FROM deliveries"), 0)
	wantEqual(t, "attempts", number(t, s, "SELECT count(*) FROM attempts"), 0)
	wantEqual(t, "bytes", stats(t, s, u.ID).Bytes, number(t, s, "SELECT sum(stored_size) FROM requests"))
	wantEqual(t, "delivered ever", counts(t, s, sub.ID).Succeeded, int64(1))
}

// age makes a request older, in the file.
func age(t *testing.T, path string, request hook.ID, by time.Duration) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	defer db.Close()
	_, err = db.Exec("UPDATE requests SET received_at = received_at - $1 WHERE id = $2", by.Microseconds(), request)
	must(t, err)
}

// TestRetentionByAge: a request that has not been delivered goes when it is twice as old as it may be, and its delivery says so.
func TestRetentionByAge(t *testing.T) {
	path := newPath(t)
	s := storetest.Open(t, store.Options{Path: path, Keep: hook.Keep{Days: 10}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	old, older := route(t, s, u.ID, sub.ID), route(t, s, u.ID, sub.ID)
	newest := route(t, s, u.ID)
	age(t, path, old, 15*24*time.Hour)
	age(t, path, older, 21*24*time.Hour)
	upkeep(t, s, func() bool { return len(left(t, s, u.ID)) == 2 })
	wantEqual(t, "left", left(t, s, u.ID), []hook.ID{old, newest})
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Unfinished: 1, Cancelled: 1})
	all, err := s.Deliveries(t.Context(), hook.System, store.DeliveryPage{Subscription: sub.ID, States: []hook.State{hook.Cancelled}, Limit: 10})
	must(t, err)
	if len(all) != 1 || all[0].RequestID != older || all[0].Reason == "" {
		t.Errorf("cancelled: %+v", all)
	}
}

// TestLongDisabledGivesWay: seven days behind the end of its subscription a delivery holds nothing any more.
func TestLongDisabledGivesWay(t *testing.T) {
	path := newPath(t)
	s := storetest.Open(t, store.Options{Path: path, Keep: hook.Keep{Days: 10}})
	u := storetest.CaptureURL(t, s)
	disabled := func(since time.Duration) hook.Subscription {
		return storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) {
			sub.Hold = hook.Hold{Disabled: true, DisabledReason: "gone", DisabledAt: time.Now().Add(-since)}
		})
	}
	long, lately := disabled(8*24*time.Hour), disabled(24*time.Hour)
	first, second := route(t, s, u.ID, long.ID), route(t, s, u.ID, lately.ID)
	newest := route(t, s, u.ID)
	age(t, path, first, 11*24*time.Hour)
	age(t, path, second, 11*24*time.Hour)
	upkeep(t, s, func() bool { return len(left(t, s, u.ID)) == 2 })
	wantEqual(t, "left", left(t, s, u.ID), []hook.ID{second, newest})
}

// TestFull: a capture URL that holds twice the bytes it may, because deliveries wait, takes nothing more and says why.
func TestFull(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: hook.MinKeepBytes}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	var err error
	for n := 0; err == nil && n < 10; n++ {
		err = s.Capture(storetest.Routed(u.ID, hook.MinKeepBytes/3, sub.ID))
	}
	wantKind(t, "the last one", err, hook.Unavailable)
	if s.Full(u.ID) == "" {
		t.Error("nobody is told why")
	}
	wantCounts(t, s, u.ID)
	_, err = s.DiscardHeld(t.Context(), hook.System, sub.ID, "discarded")
	must(t, err)
	upkeep(t, s, func() bool { return s.Full(u.ID) == "" })
	must(t, s.Capture(storetest.Routed(u.ID, 10, sub.ID)))
}

// delivered stores a request with a body of n bytes and delivers it.
func delivered(t *testing.T, s *store.Store, captureURL, subscription hook.ID, n int) hook.ID {
	t.Helper()
	r := storetest.Routed(captureURL, n, subscription)
	must(t, s.Capture(r))
	_, err := s.Record(t.Context(), store.Turn{
		Results: []store.Result{result(claim(t, s, subscription)[0], 200, hook.Next{State: hook.Succeeded})},
	})
	must(t, err)
	return r.ID
}

// TestLargeRequestDoesNotFill: one request that is larger than all that a capture URL may keep stays until the next comes, which
// is taken: only what waits for its delivery fills a capture URL.
func TestLargeRequestDoesNotFill(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: hook.MinKeepBytes}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	large := delivered(t, s, u.ID, sub.ID, 3*hook.MinKeepBytes)
	wantEqual(t, "left", left(t, s, u.ID), []hook.ID{large})
	wantEqual(t, "full", s.Full(u.ID), "")
	waiting := route(t, s, u.ID, sub.ID)
	wantEqual(t, "left after the next", left(t, s, u.ID), []hook.ID{waiting})

	for range 3 { // beside one that waits, and is small, others that are large and unwanted come and go
		r := storetest.Routed(u.ID, 3*hook.MinKeepBytes)
		must(t, s.Capture(r))
		wantEqual(t, "left beside one that waits", left(t, s, u.ID), []hook.ID{waiting, r.ID})
		wantEqual(t, "full beside one that waits", s.Full(u.ID), "")
	}
	wantCounts(t, s, u.ID)
}

// TestFullUntilDelivered: when the last delivery has ended, the next request is taken, and what was held goes with it.
func TestFullUntilDelivered(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: hook.MinKeepBytes}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	for range 2 {
		must(t, s.Capture(storetest.Routed(u.ID, hook.MinKeepBytes, sub.ID)))
	}
	wantKind(t, "a capture", s.Capture(storetest.Routed(u.ID, 10, sub.ID)), hook.Unavailable)
	var turn store.Turn
	for _, c := range claim(t, s, sub.ID) {
		turn.Results = append(turn.Results, result(c, 200, hook.Next{State: hook.Succeeded}))
	}
	_, err := s.Record(t.Context(), turn)
	must(t, err)
	next := route(t, s, u.ID, sub.ID)
	wantEqual(t, "left", left(t, s, u.ID), []hook.ID{next})
	wantCounts(t, s, u.ID)
}

// TestKeepTakesHoldAtOnce: what is too much by a new setting goes before a sender could be refused for it.
func TestKeepTakesHoldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		sub := storetest.Subscription(t, s, u.ID)
		for range 5 {
			must(t, s.Capture(storetest.Routed(u.ID, hook.MinKeepBytes)))
		}
		newest := route(t, s, u.ID, sub.ID)
		inBackground(t, s)
		time.Sleep(10 * time.Second)
		setKeep(t, s, u.ID, hook.Keep{Bytes: hook.MinKeepBytes})
		synctest.Wait()
		wantEqual(t, "left", left(t, s, u.ID), []hook.ID{newest})
		route(t, s, u.ID, sub.ID)
		wantCounts(t, s, u.ID)
	})
}

// TestSettle: the rows of what was discarded, or lost its subscription, follow, and nothing is counted twice.
func TestSettle(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	a, b := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	for range 3 {
		route(t, s, u.ID, a.ID, b.ID)
	}
	_, err := s.DiscardHeld(t.Context(), hook.System, a.ID, "discarded by ann@example.com")
	must(t, err)
	after := route(t, s, u.ID, a.ID)
	must(t, s.DeleteSubscription(t.Context(), hook.System, b.ID, true))
	upkeep(t, s, func() bool { return number(t, s, "SELECT count(*) FROM deliveries WHERE state = 4") == 6 })
	wantEqual(t, "counts", counts(t, s, a.ID), hook.DeliveryCounts{Unfinished: 1, Cancelled: 3})
	got, _ := due(t, s, store.Queue{ID: a.ID})
	wantEqual(t, "due", got, []hook.ID{after})
}

// TestDeletingNamesUnfinished: each deletion is refused with the number, until it is meant.
func TestDeletingNamesUnfinished(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	first := route(t, s, u.ID, sub.ID)
	route(t, s, u.ID, sub.ID)
	ctx := t.Context()
	wantKind(t, "a request", s.DeleteRequest(ctx, hook.System, first, false), hook.Conflict)
	wantKind(t, "all of them", errOf(s.ClearRequests(ctx, hook.System, u.ID, false)), hook.Conflict)
	wantKind(t, "the capture URL", s.DeleteCaptureURL(ctx, hook.System, u.ID, false), hook.Conflict)
	wantEqual(t, "counts before", counts(t, s, sub.ID), hook.DeliveryCounts{Unfinished: 2})
	must(t, s.DeleteRequest(ctx, hook.System, first, true))
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Unfinished: 1, Cancelled: 1})
	_, err := s.ClearRequests(ctx, hook.System, u.ID, true)
	must(t, err)
	wantEqual(t, "counts of all", counts(t, s, sub.ID), hook.DeliveryCounts{Cancelled: 2})
	got, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", got, nil)
	route(t, s, u.ID, sub.ID)
	must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
	upkeep(t, s, func() bool {
		return number(t, s, "SELECT count(*) FROM deliveries")+number(t, s, "SELECT count(*) FROM subscriptions")+
			number(t, s, "SELECT count(*) FROM capture_urls") == 0
	})
}

// TestDeletingNamesResends: what is on its way to a typed URL is named, too, when all requests or their capture URL go.
func TestDeletingNamesResends(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u, other := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	ctx := t.Context()
	resend := func() {
		_, err := s.Resend(ctx, hook.System, "", hook.Resend{RequestID: route(t, s, u.ID), TargetURL: "https://a.example/"})
		must(t, err)
	}
	resend()
	n, err := s.Unfinished(ctx, u.ID)
	must(t, err)
	wantEqual(t, "unfinished", n, int64(1))
	wantKind(t, "all requests", errOf(s.ClearRequests(ctx, hook.System, u.ID, false)), hook.Conflict)
	must(t, errOf(s.ClearRequests(ctx, hook.System, u.ID, true)))
	must(t, errOf(s.ClearRequests(ctx, hook.System, u.ID, false)))
	wantEqual(t, "claimed", len(claim(t, s, 0)), 0)
	resend()
	wantKind(t, "the capture URL", s.DeleteCaptureURL(ctx, hook.System, u.ID, false), hook.Conflict)
	must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
	must(t, s.DeleteCaptureURL(ctx, hook.System, other.ID, false))
}

// TestDeletingCountsNothingForAll: any number of resends to typed URLs may be unfinished, those of all users together. Who deletes lets
// nobody wait until they are counted: that is done with another connection.
func TestDeletingCountsNothingForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		ctx := t.Context()
		must(t, errOf(s.Resend(ctx, hook.System, "", hook.Resend{RequestID: route(t, s, u.ID), TargetURL: "https://a.example/"})))
		release, err := s.HoldReaders(ctx)
		must(t, err)
		for what, err := range map[string]error{
			"all requests":    errOf(s.ClearRequests(ctx, hook.System, u.ID, false)),
			"the capture URL": s.DeleteCaptureURL(ctx, hook.System, u.ID, false),
		} {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, errOf(s.ClearRequests(ctx, hook.System, u.ID, true))) // whoever means it needs no number
		must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
		must(t, release())
	})
}

// TestCancelledByRetentionIsForgotten: what retention cancelled goes with its capture URL at once, and else when it is old,
// whether or not its subscription is still there.
func TestCancelledByRetentionIsForgotten(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Days: 10}})
	u := storetest.CaptureURL(t, s)
	lives, deleted := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	cancelled := func(receivedAt time.Time) {
		r := storetest.Routed(u.ID, 10, lives.ID, deleted.ID)
		r.ReceivedAt = receivedAt
		must(t, s.Capture(r))
		route(t, s, u.ID) // the newest request stays
		must(t, errOf(s.Resend(ctx, hook.System, "", hook.Resend{RequestID: r.ID, TargetURL: "https://a.example/"})))
		must(t, s.Do(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec("UPDATE requests SET received_at = 1 WHERE id <= $1", r.ID)
			return errors.Join(err, errOf(tx.Exec("UPDATE deliveries SET id = $2 WHERE request_id = $1 AND subscription_id = 0",
				r.ID, int64(hook.FirstIDAt(receivedAt))-1)))
		}))
		must(t, s.Prune(ctx))
	}
	rows := func() int64 { return number(t, s, "SELECT count(*) FROM deliveries WHERE state = 4") }
	cancelled(time.Now().AddDate(0, 0, -60))
	wantEqual(t, "cancelled", rows(), 3)
	must(t, s.DeleteSubscription(ctx, hook.System, deleted.ID, true))
	must(t, s.ForgetCancelled(ctx))
	wantEqual(t, "when they are old", rows(), 0)
	cancelled(time.Now())
	wantEqual(t, "cancelled", rows(), 2)
	must(t, s.ForgetCancelled(ctx))
	wantEqual(t, "while they are new", rows(), 2)
	must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
	purge(t, s)
	wantEqual(t, "when their capture URL is gone", rows(), 0)
}

// upkeep runs the upkeep until something is the case.
func upkeep(t *testing.T, s *store.Store, done func() bool) {
	t.Helper()
	inBackground(t, s)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(15 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-patience:
			t.Fatal("upkeep does not get there")
		}
	}
}
