package store_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// replay makes n requests and a replay that has put all of them into the queue of a subscription.
func replay(t *testing.T, s *store.Store, sub *hook.Subscription, n int) (r hook.Replay, requests []hook.ID) {
	t.Helper()
	for range n {
		requests = append(requests, route(t, s, sub.CaptureURLID))
	}
	r = hook.Replay{SubscriptionID: sub.ID, Count: int64(n)}
	must(t, s.CreateReplay(t.Context(), hook.System, &r))
	must(t, s.AdvanceReplay(t.Context(), &r, r.UpTo, requests, true))
	return r, requests
}

// TestCancelReplayIsOneStep: whoever cancels a replay may leave before the answer, and all of its deliveries are cancelled.
func TestCancelReplayIsOneStep(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := storetest.Open(t, store.Options{OnDelivery: func(news []hook.DeliveryNews) {
		if news[0].State == hook.Cancelled {
			leave()
		}
	}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	const n = store.Hurried + 10
	r, _ := replay(t, s, &sub, n)
	_, _ = s.CancelReplay(ctx, hook.System, r.ID, "cancelled")
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Cancelled: n})
	got, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", got, nil)
	r, err := s.Replay(t.Context(), hook.System, r.ID)
	must(t, err)
	wantEqual(t, "state", r.State, hook.ReplayCancelled)
	wantEqual(t, "cancelled", r.Failed, int64(n))
	storetest.WantSound(t, s)
}

// TestCancelReplayBesideAQueue: what a replay has made is found and cancelled without the queue of its subscription, which may be a
// million deliveries long, and alone.
func TestCancelReplayBesideAQueue(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	r, requests := replay(t, s, &sub, 2)
	route(t, s, u.ID, sub.ID)
	must(t, errOf(s.Resend(ctx, hook.System, "", hook.Resend{RequestID: requests[0], SubscriptionID: sub.ID})))
	other, _ := replay(t, s, &sub, 1)
	must(t, errOf(s.CancelReplay(ctx, hook.System, r.ID, "cancelled")))
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Unfinished: 3, Cancelled: 2})
	wantEqual(t, "cancelled", number(t, s, "SELECT count(*) FROM deliveries WHERE replay_id = $1 AND state = 4 AND reason = 'cancelled'", r.ID), 2)
	other, err := s.Replay(ctx, hook.System, other.ID)
	must(t, err)
	wantEqual(t, "of the other one", other.Failed, int64(0))
	steps, err := s.Plan(ctx, store.CancelQuery)
	must(t, err)
	if len(steps) != 1 || !strings.Contains(steps[0], "INDEX deliveries_of_replay (replay_id=? AND id>?)") {
		t.Errorf("its deliveries are found by %q", steps)
	}
	storetest.WantSound(t, s)
}

// TestReplaysRunAtATime: so many run into one subscription and no more, until one is over. The others there ever were are not read.
func TestReplaysRunAtATime(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub, other := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	var want []hook.ID
	start := func(into hook.Subscription) error {
		r := hook.Replay{SubscriptionID: into.ID}
		err := s.CreateReplay(ctx, hook.System, &r)
		if err == nil {
			want = append(want, r.ID)
		}
		return err
	}
	must(t, start(other))
	for range hook.MaxReplays {
		must(t, start(sub))
	}
	wantLimit(t, "one more", start(sub), hook.LimitReplays)
	must(t, start(other))
	must(t, errOf(s.CancelReplay(ctx, hook.System, want[1], "cancelled")))
	want = slices.Delete(want, 1, 2)
	must(t, start(sub))
	running, err := s.RunningReplays(ctx)
	must(t, err)
	var got []hook.ID
	for _, r := range running {
		got = append(got, r.ID)
	}
	wantEqual(t, "running", got, want)
	steps, err := s.Plan(ctx, store.RunningQuery)
	must(t, err)
	if len(steps) != 1 || !strings.Contains(steps[0], "replays_running") {
		t.Errorf("the running ones are found by %q", steps)
	}
}

// TestReplaysCountWhatIsCancelled: a replay whose deliveries are discarded, deleted or too old comes to its end all the same.
func TestReplaysCountWhatIsCancelled(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	sub := func() hook.Subscription { return storetest.Subscription(t, s, storetest.CaptureURL(t, s).ID) }
	for name, end := range map[string]func(sub *hook.Subscription, requests []hook.ID) error{
		"discarded": func(sub *hook.Subscription, _ []hook.ID) error {
			return errOf(s.DiscardHeld(ctx, hook.System, sub.ID, "discarded"))
		},
		"subscription deleted": func(sub *hook.Subscription, _ []hook.ID) error {
			return s.DeleteSubscription(ctx, hook.System, sub.ID, true)
		},
		"requests deleted": func(_ *hook.Subscription, requests []hook.ID) error {
			return errors.Join(s.DeleteRequest(ctx, hook.System, requests[0], true), s.DeleteRequest(ctx, hook.System, requests[1], true))
		},
		"discarded, then a request deleted": func(sub *hook.Subscription, requests []hook.ID) error {
			return errors.Join(errOf(s.DiscardHeld(ctx, hook.System, sub.ID, "discarded")), s.DeleteRequest(ctx, hook.System, requests[0], true))
		},
		"cleared": func(sub *hook.Subscription, _ []hook.ID) error {
			err := errOf(s.ClearRequests(ctx, hook.System, sub.CaptureURLID, true))
			purge(t, s) // before the rows say that they are cancelled
			return err
		},
		"expired": func(sub *hook.Subscription, requests []hook.ID) error {
			route(t, s, sub.CaptureURLID) // the newest request stays
			return errors.Join(s.Do(ctx, func(tx *sql.Tx) error {
				_, err := tx.Exec("UPDATE requests SET received_at = 1 WHERE id <= $1", requests[1])
				return err
			}), s.Prune(ctx))
		},
	} {
		target := sub()
		r, requests := replay(t, s, &target, 2)
		must(t, end(&target, requests))
		must(t, s.Settle(ctx))
		purge(t, s)
		r, err := s.Replay(ctx, hook.System, r.ID)
		must(t, err)
		wantEqual(t, name, r.Failed, int64(2))
	}
	storetest.WantSound(t, s)
}

// manyRequests stores n copies of a request.
func manyRequests(t *testing.T, s *store.Store, request hook.ID, n int) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		var columns string
		err := tx.QueryRow("SELECT group_concat(name, ', ') FROM pragma_table_info('requests') WHERE name <> 'id'").Scan(&columns)
		if err == nil {
			_, err = tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
				INSERT INTO requests (id, `+columns+") SELECT id + i, "+columns+" FROM requests, n WHERE id = $2", n, request)
		}
		return err
	}))
	s.AdvanceRequestIDs(request + hook.ID(n))
}

// TestReplayPassesOverRequestsOfAnotherTime a bounded number at a time, and gets on: one read has not the time for all of them.
func TestReplayPassesOverRequestsOfAnotherTime(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	first := capture(t, s, u.ID, 10)
	manyRequests(t, s, first, store.ReplayWindow)
	last := capture(t, s, u.ID, 10)
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE requests SET received_at = 1 WHERE id <> $1", last)
		return err
	}))
	request, err := s.Request(t.Context(), hook.System, last)
	must(t, err)
	r := hook.Replay{CaptureURLID: u.ID, UpTo: last, Since: request.ReceivedAt}
	var got []hook.ID
	look := func(limit int, more bool) (done bool) {
		t.Helper()
		r.Cursor, done, err = s.EachReplayable(t.Context(), &r, limit, func(request *hook.Request, _ bool) bool {
			got = append(got, request.ID)
			return more
		})
		must(t, err)
		return done
	}
	wantEqual(t, "done at once", look(10, true), false)
	wantEqual(t, "cursor", r.Cursor, first+store.ReplayWindow-1)
	wantEqual(t, "given of another time", got, nil)
	before := r.Cursor
	for _, test := range []struct {
		about string
		limit int
		more  bool
		done  bool
	}{{"stopped", 10, false, false}, {"as many as asked for", 1, true, false}, {"all", 10, true, true}} {
		r.Cursor, got = before, nil
		wantEqual(t, test.about+": done", look(test.limit, test.more), test.done)
		wantEqual(t, test.about+": given", got, []hook.ID{last})
		wantEqual(t, test.about+": cursor", r.Cursor, last)
	}
	wantEqual(t, "done after the last", look(10, true), true)
	wantEqual(t, "cursor after the last", r.Cursor, last)
}

// TestReplayOfWhatWasCounted: what is captured while it is counted does not belong to it.
func TestReplayOfWhatWasCounted(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	counted, later := capture(t, s, u.ID, 10), capture(t, s, u.ID, 10)
	for upTo, want := range map[hook.ID]hook.ID{counted: counted, 0: later} {
		r := hook.Replay{SubscriptionID: sub.ID, UpTo: upTo}
		must(t, s.CreateReplay(t.Context(), hook.System, &r))
		stored, err := s.Replay(t.Context(), hook.System, r.ID)
		must(t, err)
		wantEqual(t, "the newest of it", stored.UpTo, want)
	}
}
