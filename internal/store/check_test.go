package store_test

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestCheckFindsWrongCounts changes what has to fit together, behind the store's back.
func TestCheckFindsWrongCounts(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"UPDATE capture_url_stats SET kept = kept + 1":                                                   "counts 4 requests",
		"UPDATE capture_url_stats SET bytes = bytes - 1":                                                 "bytes, and there are 3 with",
		"UPDATE subscription_stats SET unfinished = 7":                                                   "counts 7 unfinished deliveries, and there are 2",
		"UPDATE deliveries SET state = 4 WHERE id = (SELECT max(id) FROM deliveries)":                    "counts 2 unfinished deliveries, and there are 1",
		"UPDATE deliveries SET request_id = 5 WHERE state < 2 AND id = (SELECT max(id) FROM deliveries)": "its request 5 is gone",
		"INSERT INTO attempts SELECT 5, number, origin, made_by, started_at, duration, dns, connect, tls_handshake, first_byte, remote_addr, " +
			"tls, status, error, method, url, request_headers, response_headers, response_body, response_truncated FROM attempts": "delivery 5, which is gone",
	} {
		path, key := newPath(t), seal.NewKey()
		open := func() *store.Store { return storetest.Open(t, store.Options{Path: path, Key: key}) }
		s := open()
		u := storetest.CaptureURL(t, s)
		sub := storetest.Subscription(t, s, u.ID)
		for range 3 {
			route(t, s, u.ID, sub.ID)
		}
		_, err := s.Record(t.Context(), store.Turn{
			Results: []store.Result{result(claim(t, s, sub.ID)[0], 200, hook.Next{State: hook.Succeeded})},
		})
		must(t, err)
		wantCheck(t, s, "before", "")
		closeStore(t, s)
		db := openRaw(t, path)
		exec(t, db, change)
		must(t, db.Close())
		wantCheck(t, open(), change, want)
	}
}

// TestCheckReadsInRanges: what is damaged is found wherever it is, though no statement reads all of it.
func TestCheckReadsInRanges(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	captureMany(t, 2500, func() *hook.Request { return storetest.Request(u.ID, 10) }, s)
	for range 5 {
		capture(t, s, u.ID, 20<<20)
	}
	storetest.WantSound(t, s)
	all := ids(t, s, u.ID)
	bad := []hook.ID{all[0], all[1], all[1200], all[len(all)-1]}
	closeStore(t, s)
	db := openRaw(t, path)
	for _, id := range bad {
		exec(t, db, "UPDATE requests SET body_sha256 = x'00' WHERE id = $1", id)
	}
	must(t, db.Close())
	problems, err := reopen(t, path).Check(t.Context())
	must(t, err)
	wantEqual(t, "problems", len(problems), len(bad))
	for i, id := range bad {
		if !strings.Contains(problems[len(bad)-1-i], id.Text(hook.RequestPrefix)) {
			t.Errorf("the check finds %q, want %s", problems, id.Text(hook.RequestPrefix))
		}
	}
}

// TestLogGrowsOnceBesideChecks: however many statements of checks end because the log grows, it grows by as much once.
func TestLogGrowsOnceBesideChecks(t *testing.T) {
	t.Parallel()
	const by = 32 << 20
	kept := store.WALKept()
	for _, test := range []struct{ size, want int64 }{
		{0, kept + by}, {kept, kept + by}, {kept + by, kept + by}, {kept + 3*by, kept + 3*by},
	} {
		wantEqual(t, "the most", store.MostLog(test.size, by), test.want)
	}
}

// TestCheckYields: a statement that would keep a log from being moved that grows too much is given up, and the check says what to do.
func TestCheckYields(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	capture(t, s, u.ID, 10)
	s.YieldLog(1 << 20)
	asked := make(chan error)
	go func() {
		_, err := s.Ask(t.Context(), `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)
			SELECT count(*) FROM requests, n`) // has no end
		asked <- err
	}()
	for yielded := false; !yielded; {
		select {
		case err := <-asked:
			wantKind(t, "an endless statement", err, hook.Unavailable)
			yielded = true
		default:
			if walSize(t, path) < 200<<20 {
				capture(t, s, u.ID, 1<<20)
			}
		}
	}
	storetest.WantSound(t, s)
	s.YieldLog(-1 << 40)
	_, err := s.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "make a backup") {
		t.Errorf("the check says %v", err)
	}
}
