package store_test

import (
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
	var sub hook.Subscription
	var pending, waiting hook.ID
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		time.Sleep(24 * time.Hour)
		s := storetest.Open(t, store.Options{Path: path, Key: key})
		u := storetest.CaptureURL(t, s)
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
		inBackground(t, s)
		synctest.Wait()
		now, next := due(t, s, store.Queue{ID: sub.ID})
		wantEqual(t, "due", now, []hook.ID{pending})
		if wait := time.Until(next); wait <= 0 || wait > 5*time.Minute {
			t.Errorf("the other one is due in %v", wait)
		}
		time.Sleep(5 * time.Minute)
		now, _ = due(t, s, store.Queue{ID: sub.ID})
		wantEqual(t, "due after five minutes", len(now), 2)
		if now[0] != waiting && now[1] != waiting {
			t.Errorf("due: %v", now)
		}
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
