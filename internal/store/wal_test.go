package store_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestStuckReader has another connection hold what the database was at one moment, so that the log grows with each capture: first
// there is a warning, then captures are refused, and when the reader has left all is as it was.
func TestStuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		path := newPath(t)
		var warnings, degraded []string
		s := storetest.Open(t, store.Options{
			Path:       path,
			OnWarning:  func(message string) { warnings = append(warnings, message) },
			OnDegraded: func(message string) { degraded = append(degraded, message) },
		})
		const warn, refuse = 30 << 20, 80 << 20 // above what a commit moves, so that the writer leaves it to the mover
		s.LimitLog(warn, refuse)
		u := storetest.CaptureURL(t, s)
		capture(t, s, u.ID, 10)
		inBackground(t, s)
		tick := func() { time.Sleep(2 * time.Second); synctest.Wait() }
		tick()
		reader := openRaw(t, path)
		exec(t, reader, "BEGIN")
		var n int
		must(t, reader.QueryRow("SELECT count(*) FROM requests").Scan(&n))
		grow := func(limit int64) {
			for from := walSize(t, path); walSize(t, path) < limit && walSize(t, path) < from+limit; {
				if s.Capture(storetest.Request(u.ID, 1<<20)) != nil {
					break
				}
			}
			tick()
		}
		grow(warn)
		if len(warnings) != 1 || !strings.Contains(warnings[0], "another process") || s.Warning() != warnings[0] {
			t.Fatalf("warned of %q, warning is %q", warnings, s.Warning())
		}
		wantEqual(t, "degraded", s.Degraded(), "")
		grow(refuse)
		err := s.Capture(storetest.Request(u.ID, 10))
		wantKind(t, "a capture", err, hook.Unavailable)
		wantEqual(t, "counted as", hook.LimitOf(err), hook.LimitLog)
		wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
		wantEqual(t, "what a commit moves", number(t, s, "PRAGMA wal_autocheckpoint"), 0)

		exec(t, reader, "COMMIT")
		for range 3 {
			tick()
		}
		must(t, s.Ready(t.Context()))
		wantEqual(t, "what a commit moves", number(t, s, "PRAGMA wal_autocheckpoint"), 4000)
		if size := walSize(t, path); size > 64<<20 {
			t.Errorf("the log still has %d MiB", size>>20)
		}
		wantEqual(t, "warnings", len(warnings), 2)
		if len(degraded) != 2 || !slices.Equal(degraded[1:], []string{""}) {
			t.Errorf("degraded: %q", degraded)
		}
		capture(t, s, u.ID, 10)
		wantCounts(t, s, u.ID)
	})
}

func walSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path + "-wal")
	must(t, err)
	return info.Size()
}
