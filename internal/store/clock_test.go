package store_test

import (
	"database/sql"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestClockSetBack: after the time of day was set back by a day, what was about to be sent is sent, and what waits for five minutes
// does not wait for a day and five minutes.
func TestClockSetBack(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	var u hook.CaptureURL
	var sub hook.Subscription
	var pending, waiting hook.ID
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		time.Sleep(24 * time.Hour)
		s := storetest.Open(t, store.Options{Path: path, Key: key})
		u = storetest.CaptureURL(t, s)
		sub = storetest.Subscription(t, s, u.ID)
		waiting = route(t, s, u.ID, sub.ID)
		again := hook.Next{State: hook.Waiting, At: time.Now().Add(5 * time.Minute)}
		_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(claim(t, s, sub.ID)[0], 500, again)}})
		must(t, err)
		pending = route(t, s, u.ID, sub.ID)
	})
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{Path: path, Key: key})
		before, _ := due(t, s, store.Queue{ID: sub.ID})
		wantEqual(t, "due before anybody has looked", before, nil)
		captured := route(t, s, u.ID, sub.ID) // by the right clock, before upkeep has come to follow it
		inBackground(t, s)
		synctest.Wait()
		now, next := due(t, s, store.Queue{ID: sub.ID})
		slices.Sort(now)
		wantEqual(t, "due", now, []hook.ID{pending, captured})
		if wait := time.Until(next); wait <= 0 || wait > 5*time.Minute {
			t.Errorf("the other one is due in %v", wait)
		}
		time.Sleep(5 * time.Minute)
		now, _ = due(t, s, store.Queue{ID: sub.ID})
		slices.Sort(now)
		wantEqual(t, "due after five minutes", now, []hook.ID{waiting, pending, captured})
	})
}

// TestClockIsFollowedToTheEnd: where it fails in the middle, following goes on there, and what has been moved is not moved again.
func TestClockIsFollowedToTheEnd(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	var subs []hook.ID
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		time.Sleep(time.Hour)
		s := storetest.Open(t, store.Options{Path: path, Key: key})
		u := storetest.CaptureURL(t, s)
		for range 3 {
			subs = append(subs, storetest.Subscription(t, s, u.ID).ID)
		}
		route(t, s, u.ID, subs...)
		later := hook.Next{State: hook.Waiting, At: time.Now().Add(10 * time.Hour)}
		for _, sub := range subs {
			must(t, errOf(s.Record(t.Context(), store.Turn{Results: []store.Result{result(claim(t, s, sub)[0], 500, later)}})))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{Path: path, Key: key})
		change := func(query string) {
			must(t, s.Do(t.Context(), func(tx *sql.Tx) error { return errOf(tx.Exec(query)) }))
		}
		wantWaits := func(about string, want ...time.Duration) {
			t.Helper()
			for i, sub := range subs {
				_, next := due(t, s, store.Queue{ID: sub})
				wantEqual(t, about, time.Until(next).Round(time.Minute), want[i])
			}
		}
		change("CREATE TRIGGER fails BEFORE UPDATE OF due_at ON deliveries WHEN NEW.subscription_id = " + strconv.FormatInt(int64(subs[1]), 10) +
			" BEGIN SELECT RAISE(ABORT, 'not now'); END")
		inBackground(t, s)
		time.Sleep(time.Hour)
		synctest.Wait()
		wantWaits("while it fails", 9*time.Hour, 10*time.Hour, 10*time.Hour)
		change("DROP TRIGGER fails")
		time.Sleep(time.Minute)
		synctest.Wait()
		wantWaits("to the end", 9*time.Hour-time.Minute, 9*time.Hour-time.Minute, 9*time.Hour-time.Minute)
	})
}

// TestClockIsFollowedOnce: ids stay ahead for as long as the clock was, and no later start may make what waits due for that. What a
// clock that was wrong once more has put off is moved once more.
func TestClockIsFollowedOnce(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	var u hook.CaptureURL
	var sub hook.Subscription
	at := func(offset time.Duration, f func(t *testing.T, s *store.Store)) {
		synctest.Test(t, func(t *testing.T) {
			toTheYear(2026)
			time.Sleep(offset)
			f(t, storetest.Open(t, store.Options{Path: path, Key: key}))
		})
	}
	putOff := func(t *testing.T, s *store.Store) {
		t.Helper()
		later := hook.Next{State: hook.Waiting, At: time.Now().Add(10 * time.Hour)}
		must(t, errOf(s.Record(t.Context(), store.Turn{Results: []store.Result{result(claim(t, s, sub.ID)[0], 500, later)}})))
	}
	start := func(t *testing.T, s *store.Store) time.Duration {
		t.Helper()
		var waits time.Duration
		inBackground(t, s)
		synctest.Wait()
		if _, next := due(t, s, store.Queue{ID: sub.ID}); !next.IsZero() {
			waits = time.Until(next)
		}
		return waits
	}
	at(365*24*time.Hour, func(t *testing.T, s *store.Store) {
		u = storetest.CaptureURL(t, s)
		sub = storetest.Subscription(t, s, u.ID)
		route(t, s, u.ID, sub.ID)
	})
	at(time.Hour, func(t *testing.T, s *store.Store) {
		wantEqual(t, "waits after the clock was wrong", start(t, s), 0)
		putOff(t, s)
	})
	at(2*time.Hour, func(t *testing.T, s *store.Store) {
		wantEqual(t, "waits after the next start", start(t, s), 9*time.Hour)
	})
	at(4*time.Hour, func(t *testing.T, s *store.Store) { // too early, while it runs
		must(t, s.FollowClock(t.Context(), time.Hour))
		wantEqual(t, "waits after the start that follows", start(t, s), 6*time.Hour)
	})
	at(8*time.Hour, func(t *testing.T, s *store.Store) { route(t, s, u.ID, sub.ID) })
	at(5*time.Hour, func(t *testing.T, s *store.Store) {
		wantEqual(t, "waits after it was wrong again", start(t, s), 2*time.Hour)
	})
}

// TestNoticesTheClock: only a time of day that is behind what the monotonic clock says was set back.
func TestNoticesTheClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ passed, shown, want time.Duration }{
		{time.Second, time.Second, 0},
		{time.Second, 25 * time.Hour, 0},
		{time.Second, time.Second - 24*time.Hour, 24 * time.Hour},
		{time.Minute, 55 * time.Second, 0},
	} {
		wantEqual(t, "set back", store.SetBack(test.passed, test.shown), test.want)
	}
}
