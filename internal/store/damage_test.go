package store_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// damagePage makes the page that holds a text one of no known type (https://www.sqlite.org/fileformat2.html, section 1.6).
func damagePage(t *testing.T, path, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	const pageSize = 4096
	at := bytes.Index(content, []byte(text)) / pageSize * pageSize
	if at <= 0 {
		t.Fatal("the text is not in the file")
	}
	overwrite(t, path, int64(at), 0xff)
}

func overwrite(t *testing.T, path string, at int64, with byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{with}, at)
	must(t, err)
	must(t, file.Close())
}

// TestDamageDegradesForGood: a page that retention comes across cannot be read. A look at the whole database says that trying again does
// not help, so from then on nothing is acknowledged, and that is told once.
func TestDamageDegradesForGood(t *testing.T) {
	path := newPath(t)
	keep := hook.Keep{Requests: 100, Days: hook.MaxKeepDays}
	s := storetest.Open(t, store.Options{Path: path, Keep: keep})
	u, other := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	for n := range keep.Requests {
		r := storetest.Request(u.ID, 0)
		r.Body = fmt.Appendf(nil, "number %03d", n)
		must(t, s.Capture(r))
	}
	kept := capture(t, s, other.ID, 10)
	closeStore(t, s)
	damagePage(t, path, "number 050")

	synctest.Test(t, func(t *testing.T) {
		toTheYear(2030)
		var log sharedText
		s := storetest.Open(t, store.Options{Path: path, Keep: keep, OnDegraded: func(message string) { fmt.Fprintln(&log, message) }})
		inBackground(t, s)
		for range keep.Requests {
			_ = s.Capture(storetest.Request(u.ID, 10))
		}
		for range 10 {
			time.Sleep(30 * time.Second)
			wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
			wantKind(t, "a capture of another capture URL", s.Capture(storetest.Request(other.ID, 10)), hook.Unavailable)
			wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
		}
		told := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(told) != 2 || !strings.Contains(told[0], "cannot be written") || !strings.Contains(told[1], "damaged") || told[1] != s.Degraded() {
			t.Errorf("told %q, degraded %q", told, s.Degraded())
		}
		_, err := s.Request(t.Context(), hook.System, kept)
		must(t, err)
	})
	problems, err := reopen(t, path).Check(t.Context())
	must(t, err)
	if !strings.Contains(strings.Join(problems, "\n"), "cannot be read to the end") {
		t.Errorf("the check finds %q", problems)
	}
}

// TestHealsMoreAndMoreSlowly: a disk that comes and goes is given more and more time, and a good minute makes up for it.
func TestHealsMoreAndMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		fails := func(pause time.Duration) {
			t.Helper()
			breakWriter(t, s, "PRAGMA query_only = 1")
			wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
			time.Sleep(pause - time.Millisecond)
			if s.Degraded() == "" {
				t.Errorf("healed in less than %s", pause)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			wantEqual(t, "degraded", s.Degraded(), "")
			capture(t, s, u.ID, 10)
		}
		for pause := 500 * time.Millisecond; pause < time.Minute; pause *= 2 {
			fails(pause)
		}
		fails(time.Minute)
		fails(time.Minute)
		time.Sleep(2 * time.Minute)
		fails(500 * time.Millisecond)
	})
}

// TestHealingLooksForDamage: when the writer has failed again and again, it looks at the whole database.
func TestHealingLooksForDamage(t *testing.T) {
	path := newPath(t)
	closeStore(t, reopen(t, path))
	overwrite(t, path, 39, 7) // the number of free pages
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := reopen(t, path)
		u := storetest.CaptureURL(t, s)
		for range store.CheckAfter {
			wantEqual(t, "degraded", s.Degraded(), "")
			breakWriter(t, s, "PRAGMA query_only = 1")
			wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
			time.Sleep(10 * time.Second)
		}
		breakWriter(t, s, "PRAGMA query_only = 1")
		wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
		time.Sleep(10 * time.Second)
		if !strings.Contains(s.Degraded(), "damaged") {
			t.Errorf("degraded says %q", s.Degraded())
		}
	})
}

// TestNobodyWaitsForTheLookAtAll: while the writer that comes back looks at the whole database, which takes long here, whoever wants to
// write is refused at once, and closing ends it.
func TestNobodyWaitsForTheLookAtAll(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := reopen(t, path)
	db := openRaw(t, path)
	exec(t, db, "PRAGMA ignore_check_constraints = 1")
	exec(t, db, "CREATE TABLE slow (n CHECK (length(hex(zeroblob(20000000 + n))) > 0))") // some milliseconds for each row
	exec(t, db, "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO slow SELECT i FROM n")
	must(t, db.Close())
	other := newPath(t)
	must(t, os.WriteFile(other, bytes.Repeat([]byte("no database "), 1000), 0o600))
	_, damaged := openRaw(t, other).Exec("DELETE FROM meta")
	if !store.Damaged(damaged) {
		t.Fatalf("a file that is no database gives %v", damaged)
	}
	soon := func(about string, f func() error) (err error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- f() }()
		select {
		case err = <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s waits", about)
		}
		return err
	}
	write := func(err error) error { return s.Do(t.Context(), func(*sql.Tx) error { return err }) }
	wantKind(t, "writing what is damaged", write(damaged), hook.Unavailable)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 30 { // while it comes back, and is looking
		<-tick.C
		wantKind(t, "writing", soon("writing", func() error { return write(nil) }), hook.Unavailable)
	}
	must(t, soon("closing", s.Close))
}

// TestChecksAgainAfterATroubledRead: that the file cannot be opened for a moment says nothing about what is in it.
func TestChecksAgainAfterATroubledRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "hookkeeper.db")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	closeStore(t, reopen(t, path))
	db := openRaw(t, path)
	exec(t, db, "UPDATE meta SET value = 0 WHERE key = 'clean_stop'")
	must(t, db.Close())
	synctest.Test(t, func(t *testing.T) {
		var log sharedText
		s := storetest.Open(t, store.Options{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
		s.DropReaders()
		must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+"-away"))
		inBackground(t, s)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantEqual(t, "degraded", s.Degraded(), "")
		wantLogged(t, "meanwhile", log.String(), "could not be checked", "sound")
		must(t, os.Rename(filepath.Dir(path)+"-away", filepath.Dir(path)))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantLogged(t, "then", log.String(), "the database is sound", "damaged")
	})
}

// TestUnreadPagesAreNoDamage: the engine tells of a page that the disk did not give in the same list as of damage.
func TestUnreadPagesAreNoDamage(t *testing.T) {
	for finding, want := range map[string]bool{
		"*** in database main ***\nTree 43 page 43: unable to get the page. error code=8458":                    true, // SQLITE_IOERR_CORRUPTFS
		"Tree 5 page 9: unable to get the page. error code=266\nPage 10: never used":                            true, // SQLITE_IOERR_READ
		"Freelist: failed to get page 12":                                                                       true,
		"*** in database main ***\nTree 43 page 43: unable to get the page. error code=11":                      false,
		"*** in database main ***\nTree 7 page 7 cell 3: Offset 9000 out of range 8..4096\nPage 10: never used": false,
		"wrong # of entries in index deliveries_due":                                                            false,
	} {
		if got := store.IsUnread(finding); got != want {
			t.Errorf("%q: %v", finding, got)
		}
	}
}
