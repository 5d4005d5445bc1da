package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestWrongCountsAreMended starts a server on counts as results that came behind a discard once left them.
func TestWrongCountsAreMended(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, s)
	sub, sound := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	waiting := route(t, s, u.ID, sub.ID)
	route(t, s, u.ID, sound.ID)
	r, _ := replay(t, s, &sub, 1)
	must(t, errOf(s.CancelReplay(t.Context(), hook.System, r.ID, "cancelled")))
	before := stats(t, s, u.ID).Bytes
	closeStore(t, s)
	db := openRaw(t, path)
	exec(t, db, "UPDATE subscription_stats SET unfinished = -2 WHERE subscription_id = $1", sub.ID)
	exec(t, db, "UPDATE capture_url_stats SET bytes = bytes + 1374")
	exec(t, db, "UPDATE replays SET failed = 0, state = 1")
	must(t, db.Close())

	var log bytes.Buffer
	s = storetest.Open(t, store.Options{Path: path, Key: key, Log: slog.New(slog.NewTextHandler(&log, nil))})
	queues, err := s.Queues(t.Context())
	must(t, err)
	wantEqual(t, "queues with something in them", queues, []hook.ID{sub.ID, sound.ID})
	must(t, s.Recount(t.Context()))
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Unfinished: 1, Cancelled: 1})
	r, err = s.Replay(t.Context(), hook.System, r.ID)
	must(t, err)
	wantEqual(t, "of the replay", r.Failed, int64(1))
	wantEqual(t, "bytes", stats(t, s, u.ID).Bytes, before)
	wantCounts(t, s, u.ID)
	wantEqual(t, "told", strings.Count(log.String(), "counted wrong: mended"), 2)
	got, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", got, []hook.ID{waiting})
	wantKind(t, "deleting it", s.DeleteSubscription(t.Context(), hook.System, sub.ID, false), hook.Conflict)
	log.Reset()
	must(t, s.Recount(t.Context()))
	wantEqual(t, "told again", log.String(), "")
}

// TestCountingAgainYields: where the log grows beside it nothing is read for long, and what was not counted is with the next start.
func TestCountingAgainYields(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	route(t, s, u.ID, storetest.Subscription(t, s, u.ID).ID)
	recounted := func() int64 { return number(t, s, "SELECT count(*) FROM meta WHERE key = 'recounted'") }
	s.YieldLog(-1 << 40)
	wantKind(t, "beside a log that grows", s.Recount(t.Context()), hook.Unavailable)
	wantEqual(t, "noted to be done", recounted(), 0)
	s.YieldLog(1 << 40)
	must(t, s.Recount(t.Context()))
	wantEqual(t, "noted to be done", recounted(), 1)
	wantCounts(t, s, u.ID)
}

// TestDiscardedIsNoProbe: a target that is down is not tried with what was discarded.
func TestDiscardedIsNoProbe(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	route(t, s, u.ID, sub.ID)
	_, err := s.DiscardHeld(t.Context(), hook.System, sub.ID, "discarded")
	must(t, err)
	for _, turn := range []store.ProbeTurn{{}, store.NewestTurn} {
		c, _, err := s.NextProbe(t.Context(), sub.ID, turn)
		must(t, err)
		if c != nil {
			t.Errorf("the target is tried with %+v", c)
		}
	}
}
