package store_test

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// rowsAndBytes returns how many rows of requests there are, and the bytes of their bodies.
func rowsAndBytes(t *testing.T, s *store.Store) (rows, bytes int64) {
	t.Helper()
	return number(t, s, "SELECT count(*) FROM requests"), number(t, s, "SELECT coalesce(sum(body_size), 0) FROM requests")
}

// wantSmallSteps calls step, which is one transaction, until it is done, and wants each to have removed something, and not much.
func wantSmallSteps(t *testing.T, s *store.Store, step func() (done bool)) {
	t.Helper()
	for done := false; !done; {
		rows, bytes := rowsAndBytes(t, s)
		done = step()
		rowsLeft, bytesLeft := rowsAndBytes(t, s)
		if n := rows - rowsLeft; n > store.PurgeBatch || n == 0 && !done {
			t.Fatalf("%d rows were removed in one transaction", n)
		}
		if n := bytes - bytesLeft; n > store.PurgeBytes {
			t.Fatalf("%d MiB were removed in one transaction", n>>20)
		}
	}
}

// TestRemovesLittleAtATime: removing a MiB takes milliseconds, in which every sender waits. However large the requests are, what is
// cleared or too much goes in small transactions.
func TestRemovesLittleAtATime(t *testing.T) {
	for about, size := range map[string]int{"large": 3 << 20, "small": 10} {
		t.Run(about, func(t *testing.T) {
			s := storetest.Open(t, store.Options{})
			u := storetest.CaptureURL(t, s)
			fill := func() {
				for bytes, rows := 0, 0; bytes < 30<<20 && rows < 500; bytes, rows = bytes+size, rows+1 {
					capture(t, s, u.ID, size)
				}
			}
			fill()
			_, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
			must(t, err)
			wantSmallSteps(t, s, func() bool {
				done, err := s.PurgeOnce(t.Context(), u.ID, stats(t, s, u.ID).LastRequestID)
				must(t, err)
				return done
			})
			wantEqual(t, "rows after the purge", number(t, s, "SELECT count(*) FROM requests"), 0)

			fill()
			setKeep(t, s, u.ID, hook.Keep{Requests: 1})
			rows, bytes := rowsAndBytes(t, s)
			capture(t, s, u.ID, size)
			rowsLeft, bytesLeft := rowsAndBytes(t, s)
			if n := rows + 1 - rowsLeft; n < 1 || n > 1+store.PruneExtra {
				t.Errorf("a capture removed %d rows", n)
			}
			if n := bytes + int64(size) - bytesLeft; n > store.PurgeBytes+int64(size) {
				t.Errorf("a capture removed %d MiB", n>>20)
			}
			wantSmallSteps(t, s, func() bool {
				more, err := s.PruneOnce(t.Context(), u.ID)
				must(t, err)
				return !more
			})
			wantEqual(t, "kept", len(ids(t, s, u.ID)), 1)
			wantCounts(t, s, u.ID)
		})
	}
}

// TestRemovesDeliveriesLittleAtATime: a request may have more bytes of answers than fit into one transaction.
func TestRemovesDeliveriesLittleAtATime(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	const answer, deliveries = 3 << 20, 8
	var subs []hook.ID
	for range deliveries {
		subs = append(subs, storetest.Subscription(t, s, u.ID).ID)
	}
	route(t, s, u.ID, subs...)
	for _, sub := range subs {
		r := result(claim(t, s, sub)[0], 200, hook.Next{State: hook.Succeeded})
		r.Attempt.ResponseBody = make([]byte, answer)
		_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{r}})
		must(t, err)
	}
	newest := route(t, s, u.ID)
	setKeep(t, s, u.ID, hook.Keep{Requests: 1})
	for more := true; more; {
		before := number(t, s, "SELECT count(*) FROM deliveries")
		var err error
		more, err = s.PruneOnce(t.Context(), u.ID)
		must(t, err)
		if n := before - number(t, s, "SELECT count(*) FROM deliveries"); n*answer > store.PurgeBytes {
			t.Errorf("the answers of %d deliveries were removed in one transaction", n)
		}
		wantCounts(t, s, u.ID)
	}
	wantEqual(t, "left", ids(t, s, u.ID), []hook.ID{newest})
	wantEqual(t, "deliveries", number(t, s, "SELECT count(*) FROM deliveries"), 0)
}

// resent inserts n deliveries of a request, as a client makes them that resends it all day long.
func resent(t *testing.T, s *store.Store, request, captureURL, subscription hook.ID, n int, state hook.State, size int) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $5)
			INSERT INTO deliveries (id, request_id, capture_url_id, subscription_id, due_at, created_at, state, size, next_at, lease, used,
				attempt_count, last_status, origin, retry, sign_as, replay_id, made_by, reason, target_url, edit)
			SELECT (SELECT coalesce(max(id), 0) FROM deliveries) + i, $1, $2, $3, 1700000000000000 + i, 1, $4, $6, 0, 0, 0, 0, 0, 3, 1, 0, 0, '', '', '', x''
			FROM n`, request, captureURL, subscription, int(state), n, size)
		if err == nil && !state.Finished() {
			_, err = tx.Exec("UPDATE subscription_stats SET unfinished = unfinished + $2 WHERE subscription_id = $1", subscription, n)
		}
		if err == nil {
			_, err = tx.Exec("UPDATE capture_url_stats SET bytes = bytes + $2 WHERE capture_url_id = $1", captureURL, n*size)
		}
		return err
	}))
	must(t, s.Reload(t.Context()))
}

// wantAtOnce wants the most rows of a table that one transaction has deleted or inserted to be no more than given, and some.
func wantAtOnce(t *testing.T, most func(int32, string) int, op int32, table string, want int) {
	t.Helper()
	if got := most(op, table); got == 0 || got > want {
		t.Errorf("%d rows of %s are of one transaction, want at most %d", got, table, want)
	}
}

// TestDeletesManyDeliveriesLittleAtATime: a request that was resent again and again has deliveries without a single byte; whoever deletes
// it lets nobody wait.
func TestDeletesManyDeliveriesLittleAtATime(t *testing.T) {
	ctx := t.Context()
	const n = 3 * store.DeleteBatch
	for _, state := range []hook.State{hook.Succeeded, hook.Pending} {
		t.Run(state.String(), func(t *testing.T) {
			s := storetest.Open(t, store.Options{})
			u := storetest.CaptureURL(t, s)
			sub := storetest.Subscription(t, s, u.ID)
			id, other := route(t, s, u.ID), route(t, s, u.ID)
			resent(t, s, id, u.ID, sub.ID, n, state, 3)
			most, err := s.WatchRows(ctx)
			must(t, err)
			if !state.Finished() {
				err := s.DeleteRequest(ctx, hook.System, id, false)
				wantKind(t, "unless it is meant", err, hook.Conflict)
				wantEqual(t, "deliveries", number(t, s, "SELECT count(*) FROM deliveries"), n)
			}
			must(t, s.DeleteRequest(ctx, hook.System, id, true))
			wantAtOnce(t, most, store.Deleted, "deliveries", store.DeleteBatch)
			wantEqual(t, "deliveries", number(t, s, "SELECT count(*) FROM deliveries"), 0)
			wantEqual(t, "left", left(t, s, u.ID), []hook.ID{other})
			wantEqual(t, "unfinished", counts(t, s, sub.ID).Unfinished, int64(0))
			storetest.WantSound(t, s)
		})
	}
}

// TestRetentionRemovesManyDeliveriesLittleAtATime is that for what retention removes, for its count or its age, and what is cleared.
func TestRetentionRemovesManyDeliveriesLittleAtATime(t *testing.T) {
	ctx := t.Context()
	const n = 3 * store.PurgeBatch
	for about, test := range map[string]struct {
		state hook.State
		size  int
		end   func(t *testing.T, s *store.Store, captureURL hook.ID)
	}{
		"by count": {hook.Succeeded, 0, func(t *testing.T, s *store.Store, captureURL hook.ID) {
			setKeep(t, s, captureURL, hook.Keep{Requests: 1})
			route(t, s, captureURL)
			must(t, s.Prune(ctx))
		}},
		"by count, with sizes": {hook.Failed, 700, func(t *testing.T, s *store.Store, captureURL hook.ID) {
			setKeep(t, s, captureURL, hook.Keep{Requests: 1})
			route(t, s, captureURL)
			must(t, s.Prune(ctx))
		}},
		"by age, undelivered": {hook.Waiting, 5, func(t *testing.T, s *store.Store, captureURL hook.ID) {
			route(t, s, captureURL)
			must(t, s.Do(ctx, func(tx *sql.Tx) error {
				_, err := tx.Exec("UPDATE requests SET received_at = 1 WHERE id = (SELECT min(id) FROM requests)")
				return err
			}))
			must(t, s.Prune(ctx))
		}},
		"cleared": {hook.Waiting, 0, func(t *testing.T, s *store.Store, captureURL hook.ID) {
			must(t, errOf(s.ClearRequests(ctx, hook.System, captureURL, true)))
			purge(t, s)
		}},
	} {
		t.Run(about, func(t *testing.T) {
			s := storetest.Open(t, store.Options{})
			u := storetest.CaptureURL(t, s)
			sub := storetest.Subscription(t, s, u.ID)
			id := route(t, s, u.ID)
			resent(t, s, id, u.ID, sub.ID, n, test.state, test.size)
			most, err := s.WatchRows(ctx)
			must(t, err)
			test.end(t, s, u.ID)
			wantAtOnce(t, most, store.Deleted, "deliveries", store.PurgeBatch)
			wantEqual(t, "the request", number(t, s, "SELECT count(*) FROM requests WHERE id = $1", id), 0)
			if kept := number(t, s, "SELECT count(*) FROM deliveries WHERE reason = ''"); kept != 0 {
				t.Errorf("%d deliveries are left", kept)
			}
			wantEqual(t, "unfinished", counts(t, s, sub.ID).Unfinished, int64(0))
			storetest.WantSound(t, s)
		})
	}
}

// TestRetentionLooksAtFewDeliveries: a group of captures, for which all senders wait, does not count half a million deliveries of the
// oldest request to remove some, and sees the one that is unfinished behind them all the same.
func TestRetentionLooksAtFewDeliveries(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	const each = 3 * store.PurgeBatch
	var requests []hook.ID
	for range store.LookBatch/store.PurgeBatch + 3 {
		requests = append(requests, route(t, s, u.ID))
		resent(t, s, requests[len(requests)-1], u.ID, sub.ID, each, hook.Succeeded, 700)
	}
	resent(t, s, requests[1], u.ID, sub.ID, 1, hook.Waiting, 0)
	counted, unfinished, more, err := s.Candidates(t.Context(), u.ID)
	must(t, err)
	sum := 0
	for _, n := range counted {
		sum += n
	}
	if slices.Max(counted) > store.PurgeBatch+1 || sum > store.LookBatch+store.PurgeBatch {
		t.Errorf("%d deliveries were counted: %d", sum, counted)
	}
	wantEqual(t, "with unfinished ones", unfinished, requests[1:2])
	wantEqual(t, "more", more, true)

	must(t, s.DeleteRequest(t.Context(), hook.System, requests[1], true))
	setKeep(t, s, u.ID, hook.Keep{Requests: 1})
	most, err := s.WatchRows(t.Context())
	must(t, err)
	for range 3 {
		capture(t, s, u.ID, 10)
	}
	wantAtOnce(t, most, store.Deleted, "deliveries", store.PurgeBatch)
	must(t, s.Prune(t.Context()))
	wantEqual(t, "kept", len(ids(t, s, u.ID)), 1)
	wantEqual(t, "deliveries", number(t, s, "SELECT count(*) FROM deliveries"), 0)
	wantCounts(t, s, u.ID)
}

// TestPurgesManyRulesLittleAtATime: what belongs to the subscriptions of a deleted capture URL may be any number of rows, too.
func TestPurgesManyRulesLittleAtATime(t *testing.T) {
	ctx := t.Context()
	const n = 3 * store.PurgeBatch
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	must(t, s.Do(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
			INSERT INTO replays SELECT i, $1, $2, 2, 0, 0, '{}', 0, 0, 0, 0, 0, 0, 0, '', '', 0, 0 FROM n`, u.ID, sub.ID, n)
		if err == nil {
			_, err = tx.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
				INSERT INTO filter_rules (id, subscription_id, words) SELECT i, $1, i FROM n`, sub.ID, n)
		}
		return err
	}))
	most, err := s.WatchRows(ctx)
	must(t, err)
	must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
	purge(t, s)
	wantAtOnce(t, most, store.Deleted, "replays", store.PurgeBatch)
	wantAtOnce(t, most, store.Deleted, "filter_rules", store.PurgeBatch)
	for _, table := range []string{"replays", "filter_rules", "subscriptions", "subscription_stats", "capture_url_stats", "capture_urls"} {
		wantEqual(t, table, number(t, s, "SELECT count(*) FROM "+table), 0)
	}
}

// TestWhatIsLeftIsSought: what is to be removed or is unfinished of one request or one capture URL is found without the rows of others,
// and of one request without those that are finished.
func TestWhatIsLeftIsSought(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	for query, index := range map[string]string{
		store.LeftoverQueries[0]: "INDEX deliveries_one_off (",
		store.LeftoverQueries[1]: "INDEX deliveries_by_state (subscription_id=? AND state=?)",
		store.DueLater:           "INDEX deliveries_due (subscription_id=? AND ",
		store.OldestQuery:        "INDEX deliveries_unfinished_of (request_id=?)",
		store.HoldersQuery:       "INDEX deliveries_unfinished_of (request_id=? AND subscription_id>?)",
		"SELECT id, subscription_id FROM deliveries WHERE id IN (" + store.UnfinishedOf + ")": "INDEX deliveries_unfinished_of (request_id=?)",
	} {
		plan, err := s.Plan(t.Context(), query)
		must(t, err)
		steps := strings.Join(plan, "\n")
		if !strings.Contains(steps, index) || strings.Contains(steps, "SCAN deliveries") || strings.Contains(steps, "SCAN d\n") || strings.Contains(steps, "TEMP B-TREE") {
			t.Errorf("%s\n%s", query, steps)
		}
	}
}
