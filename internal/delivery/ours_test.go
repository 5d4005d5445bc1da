package delivery_test

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// large is the size of a body that the worker reads back from the store.
const large = 300 << 10

// captureLarge stores a request whose body the worker does not keep.
func (h *house) captureLarge(size int, sub hook.Subscription) *hook.Request {
	h.t.Helper()
	r := storetest.Routed(sub.CaptureURLID, size, sub.ID)
	if err := h.store.Capture(r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

// behindAnother opens a house whose target has taken one request and keeps it until release. A second one waits behind it,
// after change has altered its row.
func behindAnother(t *testing.T, change string) (h *house, sub hook.Subscription, second *hook.Request, db *sql.DB, release func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hookkeeper.db")
	h = newHouse(t, store.Options{Path: path})
	gate := make(chan struct{})
	s := newSink(t, func(http.ResponseWriter, *http.Request) { <-gate })
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	sub = h.subscribe(s.URL, func(s *hook.Subscription) { s.Concurrency = 1 })
	h.capture(sub)
	s.next(t)
	second = h.captureLarge(large, sub)
	db = openBeside(t, path)
	execOn(t, db, change, second.ID)
	return h, sub, second, db, release
}

// openBeside opens the database of a house a second time.
func openBeside(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func execOn(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadable: a request that cannot be read just now is no failure of the delivery: it is read again some seconds later, and
// nothing is used up.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	h, sub, second, db, release := behindAnother(t, "UPDATE requests SET received_at = 'soon' WHERE id = $1")
	release()
	d, _ := h.wait(second.ID, hook.Waiting)
	wantEqual(t, "attempts", d.AttemptCount, 0)
	if !strings.HasPrefix(d.Reason, "put off by Hookkeeper: the request could not be read") || time.Until(d.NextAt) > time.Minute {
		t.Errorf("it waits until %v, because %q", d.NextAt, d.Reason)
	}
	if rows := h.tally.Rows(); len(rows) != 1 || rows[0].Limit != hook.LimitOurs {
		t.Errorf("counted: %v", rows)
	}
	execOn(t, db, "UPDATE requests SET received_at = $2 WHERE id = $1", second.ID, second.ReceivedAt.UnixMicro())
	d, attempts := h.wait(second.ID, hook.Succeeded)
	wantEqual(t, "attempts in the end", len(attempts), 1)
	wantEqual(t, "used", d.Used, 1)
	after, err := h.store.Subscription(t.Context(), hook.System, sub.ID)
	wantEqual(t, "failures", after.Health.Failures, 0)
	if err != nil {
		t.Error(err)
	}
}

// TestDamaged: a body that is not the one that was stored never will be.
func TestDamaged(t *testing.T) {
	t.Parallel()
	h, _, second, db, release := behindAnother(t, "UPDATE requests SET body_sha256 = zeroblob(32) WHERE id = $1")
	release()
	d, _ := h.wait(second.ID, hook.Failed)
	if !strings.Contains(d.Reason, "the body on disk is not the one that was stored") {
		t.Errorf("reason %q", d.Reason)
	}
	execOn(t, db, "UPDATE requests SET body_sha256 = $2 WHERE id = $1", second.ID, second.BodySHA256[:])
}

// TestReadsBesidePages: whoever reads pages, however long, does not keep deliveries waiting.
func TestReadsBesidePages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL)
	first := h.capture(sub)
	s.next(t)
	h.holdReaders(first.ID)
	r := h.captureLarge(large, sub)
	got := s.next(t)
	wantEqual(t, "request", got.Header.Get("Hookkeeper-Request-Id"), r.ID.Text(hook.RequestPrefix))
	wantEqual(t, "bytes", len(got.Body), large)
}

// holdReaders reads pages until none of the connections for that is free, and goes on until the test ends.
func (h *house) holdReaders(request hook.ID) {
	h.t.Helper()
	release := make(chan struct{})
	var done []chan struct{}
	h.t.Cleanup(func() {
		close(release)
		for _, d := range done {
			<-d
		}
	})
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := h.store.Request(ctx, hook.System, request)
		cancel()
		if err != nil {
			return
		}
		d := make(chan struct{})
		done = append(done, d)
		go func() {
			defer close(d)
			_ = h.store.EachRequest(context.Background(), hook.System, h.url.ID, 1, func(*hook.Request) error {
				<-release
				return nil
			})
		}()
	}
}
