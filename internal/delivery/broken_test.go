package delivery_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// writers are the connections that write, by the database, and whether new ones are to refuse that.
var writers = struct {
	sync.Mutex
	conn   map[string]sqlite.ExecQuerierContext
	broken map[string]bool
}{conn: map[string]sqlite.ExecQuerierContext{}, broken: map[string]bool{}}

func init() {
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, dsn string) error {
		path, options, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?")
		if !strings.Contains(options, "_txlock=immediate") {
			return nil
		}
		writers.Lock()
		defer writers.Unlock()
		writers.conn[path] = conn
		if writers.broken[path] {
			return refuseWrites(conn)
		}
		return nil
	})
}

func refuseWrites(conn sqlite.ExecQuerierContext) error {
	_, err := conn.ExecContext(context.Background(), "PRAGMA query_only = 1", nil)
	return err
}

// breakStore has the engine refuse to write a database, which nobody may be doing just now, until it is mended.
func breakStore(t *testing.T, path string, broken bool) {
	t.Helper()
	writers.Lock()
	defer writers.Unlock()
	writers.broken[path] = broken
	if !broken {
		return
	}
	if err := refuseWrites(writers.conn[path]); err != nil {
		t.Fatal(err)
	}
}

// lines are what somebody logs.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

func (l lines) wait(text string) {
	for !strings.Contains(<-l, text) {
		continue
	}
}

// TestBrokenStore: while nothing can be written nothing more is sent, because what came of it could not be kept; it goes on when
// the database has healed.
func TestBrokenStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hookkeeper.db")
	log := make(lines, 100)
	h := newHouse(t, store.Options{Path: path, Log: slog.New(slog.NewTextHandler(log, nil))})
	g := newHog(t)
	sub := h.subscribe(g.URL, func(s *hook.Subscription) { s.Concurrency, s.Retry.Timeout = 2, hook.MaxDeliveryTimeout })
	var last *hook.Request
	for range 4 {
		last = h.capture(sub)
	}
	g.next(t)
	g.next(t)
	idle := h.capture(h.subscribe(newSink(t, nil).URL))
	h.wait(idle.ID, hook.Succeeded)
	breakStore(t, path, true)
	if err := h.store.Ready(context.Background()); !hook.Is(err, hook.Unavailable) {
		t.Fatalf("the database is not broken: %v", err)
	}
	g.letGo <- struct{}{}
	g.letGo <- struct{}{}
	log.wait("the database still cannot be written") // said once, half a second later
	wantEqual(t, "sent while nothing can be written", len(g.got), 0)
	breakStore(t, path, false)
	g.next(t)
	g.next(t)
	g.freeAll()
	h.wait(last.ID, hook.Succeeded)
}
