package store_test

import (
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
