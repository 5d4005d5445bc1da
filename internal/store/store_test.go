package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "hookkeeper.db") }

// reopen opens a database that another Store had open before.
func reopen(t *testing.T, path string) *store.Store {
	return storetest.Open(t, store.Options{Path: path})
}

func closeStore(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// openRaw opens the file of a database beside any Store, as another program would.
func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// number returns the one number that a query through the writer's connection gives.
func number(t *testing.T, s *store.Store, query string, args ...any) (n int64) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }))
	return n
}

// capture stores a request with a body of n bytes and returns its id.
func capture(t *testing.T, s *store.Store, captureURL hook.ID, n int) hook.ID {
	t.Helper()
	r := storetest.Request(captureURL, n)
	must(t, s.Capture(r))
	return r.ID
}

// ids returns the ids of the requests of a capture URL, newest first.
func ids(t *testing.T, s *store.Store, captureURL hook.ID) []hook.ID {
	t.Helper()
	rows, err := s.Requests(t.Context(), hook.System, captureURL, store.RequestPage{Limit: 1 << 30})
	must(t, err)
	var list []hook.ID
	for _, r := range rows {
		list = append(list, r.ID)
	}
	return list
}

func stats(t *testing.T, s *store.Store, captureURL hook.ID) hook.Stats {
	t.Helper()
	u, err := s.CaptureURL(t.Context(), hook.System, captureURL)
	must(t, err)
	return u.Stats
}

func purge(t *testing.T, s *store.Store) {
	t.Helper()
	if done, err := s.Purge(t.Context()); err != nil || !done {
		t.Fatalf("purge: done = %t, %v", done, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, about string, err error, kind hook.Kind) {
	t.Helper()
	if !hook.Is(err, kind) {
		t.Errorf("%s: got %v, want an error of kind %d", about, err, kind)
	}
}

func wantLimit(t *testing.T, about string, err error, limit hook.Limit) {
	t.Helper()
	if got := hook.LimitOf(err); got != limit {
		t.Errorf("%s: %v tells of limit %d, want %d", about, err, got, limit)
	}
}

func wantEqual[T any](t *testing.T, about string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", about, diff)
	}
}

// toTheYear sets the clock of a synctest bubble, which starts in 2000, before any id can be made.
func toTheYear(year int) { time.Sleep(time.Until(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))) }

// inBackground runs the upkeep until the test ends.
func inBackground(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// sleepUntilHealed passes the time in which the writer tries again, in a synctest bubble.
func sleepUntilHealed() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// sharedText is what goroutines write and a test reads meanwhile.
type sharedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sharedText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sharedText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
