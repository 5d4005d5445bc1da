package store_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// oneRun serves from a database for a moment and returns what it logged. f runs meanwhile.
func oneRun(t *testing.T, path string, f func(t *testing.T, s *store.Store)) (log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var buf sharedText
		s := storetest.Open(t, store.Options{Path: path, Log: slog.New(slog.NewTextHandler(&buf, nil))})
		t.Cleanup(func() { log = buf.String() })
		inBackground(t, s)
		synctest.Wait()
		f(t, s)
	})
	return log
}

func nothing(*testing.T, *store.Store) {}

// TestChecksAfterACrash copies the files of a running server, which is what a crash leaves.
func TestChecksAfterACrash(t *testing.T) {
	path, crashed := newPath(t), newPath(t)
	var u hook.CaptureURL
	log := oneRun(t, path, func(t *testing.T, s *store.Store) {
		u = storetest.CaptureURL(t, s)
		capture(t, s, u.ID, 10)
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + suffix)
			must(t, err)
			must(t, os.WriteFile(crashed+suffix, content, 0o600))
		}
	})
	wantLogged(t, "the first start", log, "", "sound")
	wantLogged(t, "after a clean stop", oneRun(t, path, nothing), "", "sound")
	closeStore(t, reopen(t, crashed)) // a command is no server: the stop stays unclean
	wantLogged(t, "after a crash", oneRun(t, crashed, func(t *testing.T, s *store.Store) {
		wantEqual(t, "degraded", s.Degraded(), "")
		wantEqual(t, "requests", len(ids(t, s, u.ID)), 1)
	}), "the database is sound", "damaged")
	wantLogged(t, "after a clean stop again", oneRun(t, crashed, nothing), "", "sound")
}

func wantLogged(t *testing.T, about, log, want, not string) {
	t.Helper()
	if !strings.Contains(log, want) || strings.Contains(log, not) {
		t.Errorf("%s: the log wants %q and not %q: %s", about, want, not, log)
	}
}

// TestDamageAfterACrashIsTold: and a clean stop does not make it forgotten.
func TestDamageAfterACrashIsTold(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	kept := capture(t, s, u.ID, 10)
	closeStore(t, s)
	db := openRaw(t, path)
	exec(t, db, "UPDATE meta SET value = 0 WHERE key = 'clean_stop'")
	must(t, db.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{7}, 39) // the number of free pages (https://www.sqlite.org/fileformat2.html, section 1.3)
	must(t, err)
	must(t, file.Close())
	for range 2 {
		wantLogged(t, "the log", oneRun(t, path, func(t *testing.T, s *store.Store) {
			if !strings.Contains(s.Degraded(), "hookkeeper check") {
				t.Errorf("degraded says %q", s.Degraded())
			}
			wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
			wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
			wantEqual(t, "reads go on", ids(t, s, u.ID), []hook.ID{kept})
			problems, err := s.Check(t.Context())
			must(t, err)
			wantEqual(t, "problems", len(problems), 1)
		}), "the database is damaged", "sound")
	}
}
