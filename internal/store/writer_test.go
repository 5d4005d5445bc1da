package store_test

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestCaptureMeansOnDisk has 64 senders at once: what was acknowledged to them is what OnCommit told, in the order of
// the ids, and what is there when the database is opened again.
func TestCaptureMeansOnDisk(t *testing.T) {
	const senders, each = 64, 25
	path := newPath(t)
	var committed []hook.ID // without a lock, because groups never overlap
	s := storetest.Open(t, store.Options{Path: path, OnCommit: func(group []*hook.Request) {
		for _, r := range group {
			committed = append(committed, r.ID)
		}
	}})
	urls := []hook.CaptureURL{storetest.CaptureURL(t, s), storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)}
	acknowledged := make([][]hook.ID, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				r := storetest.Request(urls[(i+n)%len(urls)].ID, 10*n)
				if err := s.Capture(r); err != nil {
					t.Error(err)
				}
				acknowledged[i] = append(acknowledged[i], r.ID)
			}
		})
	}
	wg.Wait()
	closeStore(t, s)
	if !slices.IsSorted(committed) {
		t.Error("ids did not rise in the order of the commits")
	}
	for _, list := range acknowledged {
		if !slices.IsSorted(list) {
			t.Error("the ids of one sender did not rise")
		}
	}
	want := slices.Concat(acknowledged...)
	slices.Sort(want)
	wantEqual(t, "what OnCommit told", committed, want)
	s = reopen(t, path)
	var got []hook.ID
	for _, u := range urls {
		list := ids(t, s, u.ID)
		got = append(got, list...)
		wantCounts(t, s, u.ID)
		wantEqual(t, "the last request", stats(t, s, u.ID).LastRequestID, list[0])
	}
	slices.Sort(got)
	wantEqual(t, "what is there after a restart", got, want)
}

// TestBusyUnderLoad has a store tell of many senders while they send, and of one never, nor of many that went away.
func TestBusyUnderLoad(t *testing.T) {
	var s *store.Store
	var busy atomic.Bool
	s = storetest.Open(t, store.Options{OnCommit: func([]*hook.Request) {
		if s.Busy() {
			busy.Store(true)
		}
	}})
	u := storetest.CaptureURL(t, s)
	for range 50 {
		must(t, s.Capture(storetest.Request(u.ID, 10)))
	}
	if busy.Load() || s.Busy() {
		t.Error("one sender makes the store busy")
	}
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for range 20 {
				if err := s.Capture(storetest.Request(u.ID, 10)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(10 * time.Second); s.Busy(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the store is busy with nothing")
		}
	}
	closeStore(t, s) // OnCommit is not called any more
	if !busy.Load() {
		t.Error("128 senders do not make the store busy")
	}
}

// wantCounts holds the counts in memory to those on disk and to the rows themselves.
func wantCounts(t *testing.T, s *store.Store, captureURL hook.ID) {
	t.Helper()
	storetest.WantSound(t, s)
	var onDisk [2]int64
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow("SELECT kept, bytes FROM capture_url_stats WHERE capture_url_id = $1", captureURL).Scan(&onDisk[0], &onDisk[1])
	}))
	got := stats(t, s, captureURL)
	wantEqual(t, "counts on disk", onDisk, [2]int64{got.Kept, got.Bytes})
}

// TestRequestIDsNeverGoBack starts the server again with a clock that was set back by a year, as a machine without a
// battery does. A cursor over ids would step over what gets a lower id than what was there.
func TestRequestIDsNeverGoBack(t *testing.T) {
	path := newPath(t)
	var last, u hook.ID
	for _, year := range []int{2026, 2025, 2024} {
		synctest.Test(t, func(t *testing.T) {
			toTheYear(year)
			s := reopen(t, path)
			if u == 0 {
				u = storetest.CaptureURL(t, s).ID
			}
			for range 3 {
				id := capture(t, s, u, 10)
				if id <= last {
					t.Errorf("in %d the id %d follows %d", year, id, last)
				}
				last = id
			}
			_, err := s.ClearRequests(t.Context(), hook.System, u, true) // nothing but meta knows the last id now
			must(t, err)
			purge(t, s)
			wantEqual(t, "the last id on disk", lastID(t, s), last)
		})
	}
}

func lastID(t *testing.T, s *store.Store) hook.ID {
	t.Helper()
	return hook.ID(number(t, s, "SELECT value FROM meta WHERE key = 'last_request_id'"))
}

// collide makes the next request get an id that is in the table already.
func collide(t *testing.T, s *store.Store) {
	t.Helper()
	at := hook.FirstIDAt(time.Now().Add(time.Hour)) + hook.ID(number(t, s, "SELECT count(*) FROM requests"))
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO requests SELECT $1, 1, 0, 0, 0, 0, 200, '', '', '', '', '', '', '', '', '', '', '', '', $2, '', ''`,
			at+1, sha256.New().Sum(nil))
		return err
	}))
	s.AdvanceRequestIDs(at)
}

// TestRowErrorFailsOnlyItsRequest lets the engine refuse one request of a group.
func TestRowErrorFailsOnlyItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		var committed []hook.ID
		s := storetest.Open(t, store.Options{OnCommit: func(group []*hook.Request) {
			for _, r := range group {
				committed = append(committed, r.ID)
			}
		}})
		u := storetest.CaptureURL(t, s)
		collide(t, s)
		release := hold(t, s)
		var requests [3]*hook.Request
		var errs [3]error
		for i := range requests {
			requests[i] = storetest.Request(u.ID, 10)
			go func() { errs[i] = s.Capture(requests[i]) }()
		}
		gone := storetest.Request(u.ID+1, 10)
		var errGone error
		go func() { errGone = s.Capture(gone) }()
		release()
		synctest.Wait()
		var stored []hook.ID
		for i, err := range errs {
			if err == nil {
				stored = append(stored, requests[i].ID)
			} else {
				wantKind(t, "the refused one", err, hook.Unavailable)
			}
		}
		wantKind(t, "of no capture URL", errGone, hook.NotFound)
		slices.Sort(stored)
		wantEqual(t, "stored of 3", len(stored), 2)
		wantEqual(t, "announced", committed, stored)
		wantCounts(t, s, u.ID)
		wantEqual(t, "degraded", s.Degraded(), "")
	})
}

// TestRowErrorAloneKeepsTheLastID has a group in which nothing is stored: the last id on disk must stay what it is.
func TestRowErrorAloneKeepsTheLastID(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	capture(t, s, u.ID, 10)
	before := lastID(t, s)
	collide(t, s)
	wantKind(t, "the refused one", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
	if got := lastID(t, s); got < before {
		t.Errorf("the last id on disk went from %d to %d", before, got)
	}
	capture(t, s, u.ID, 10)
	wantCounts(t, s, u.ID)
}

// hold keeps the writer busy until release is called. It needs a synctest bubble.
func hold(t *testing.T, s *store.Store) (release func()) {
	t.Helper()
	held := make(chan struct{})
	go func() {
		err := s.Do(t.Context(), func(*sql.Tx) error { <-held; return nil })
		if err != nil {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return func() { synctest.Wait(); close(held) }
}

// TestBacklogIsBounded hands in more than may wait while the writer is busy.
func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		release := hold(t, s)
		errs := make(chan error, hook.MaxQueuedCapture)
		for range hook.MaxQueuedCapture {
			go func() { errs <- s.Capture(storetest.Request(u.ID, 10)) }()
		}
		synctest.Wait()
		err := s.Capture(storetest.Request(u.ID, 10))
		wantKind(t, "one too many", err, hook.Unavailable)
		wantLimit(t, "one too many", err, hook.LimitBacklog)
		wantEqual(t, "answered already", len(errs), 0)
		release()
		for range hook.MaxQueuedCapture {
			must(t, <-errs)
		}
		wantEqual(t, "stored", stats(t, s, u.ID).Received, int64(hook.MaxQueuedCapture))
		capture(t, s, u.ID, 10)
	})
}

// TestJobsBetweenCaptures has both wait for the writer, with contexts that end meanwhile.
func TestJobsBetweenCaptures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		release := hold(t, s)
		ctx, cancel := withCancel(t)
		errs := make(chan error, 1)
		go func() { errs <- s.CreateUser(ctx, &hook.User{Email: "late@example.com"}) }()
		synctest.Wait()
		cancel()
		release()
		if err := <-errs; !errors.Is(err, ctx.Err()) {
			t.Errorf("a write whose caller had left: %v", err)
		}
		wantKind(t, "reading it", errOf(s.UserByEmail(t.Context(), "late@example.com")), hook.NotFound)
	})
}

func TestClosedStoreTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		release := hold(t, s)
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() { errs <- s.Capture(storetest.Request(u.ID, 10)) }()
		}
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		release()
		for range cap(errs) {
			must(t, <-errs) // handed in before
		}
		must(t, <-closed)
		wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
		wantKind(t, "another write", s.CreateUser(t.Context(), &hook.User{Email: "late@example.com"}), hook.Unavailable)
		wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
		must(t, s.Close())
	})
}

// broken makes the engine fail what it is asked to write next, with its own errors.
var broken = map[string]string{
	"full":      "PRAGMA max_page_count = 1",
	"read-only": "PRAGMA query_only = 1",
}

// TestHealsAfterTheEngineFailed breaks the writer's connection: nothing is acknowledged until a new one has committed.
func TestHealsAfterTheEngineFailed(t *testing.T) {
	for about, pragma := range broken {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				toTheYear(2026)
				var told []string
				s := storetest.Open(t, store.Options{OnDegraded: func(message string) { told = append(told, message) }})
				u := storetest.CaptureURL(t, s)
				first := capture(t, s, u.ID, 10)
				breakWriter(t, s, pragma)
				wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 1<<20)), hook.Unavailable)
				synctest.Wait()
				message := s.Degraded()
				if message == "" {
					t.Error("degraded says nothing")
				}
				wantKind(t, "the next capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
				wantKind(t, "another write", s.CreateUser(t.Context(), &hook.User{Email: "a@example.com"}), hook.Unavailable)
				wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
				wantEqual(t, "reads go on", ids(t, s, u.ID), []hook.ID{first})
				sleepUntilHealed()
				wantEqual(t, "degraded", s.Degraded(), "")
				must(t, s.Ready(t.Context()))
				wantEqual(t, "told", told, []string{message, ""})
				second := capture(t, s, u.ID, 1<<20)
				wantEqual(t, "stored", ids(t, s, u.ID), []hook.ID{second, first})
				wantCounts(t, s, u.ID)
			})
		})
	}
}

func breakWriter(t *testing.T, s *store.Store, pragma string) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.Query(pragma)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	}))
}

// TestClosesWhileBroken must not wait for a disk that does not come back.
func TestClosesWhileBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		breakWriter(t, s, "PRAGMA query_only = 1")
		errs := make(chan error, 100)
		for range cap(errs) {
			go func() { errs <- s.Capture(storetest.Request(u.ID, 10)) }()
		}
		must(t, s.Close())
		for range cap(errs) {
			wantKind(t, "a capture", <-errs, hook.Unavailable)
		}
	})
}

// TestAnotherProcessHoldsTheDatabase is busy, not broken: it passes. It takes the real time of the busy timeout.
func TestAnotherProcessHoldsTheDatabase(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	other := openRaw(t, path)
	exec(t, other, "BEGIN IMMEDIATE")
	wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
	wantEqual(t, "degraded", s.Degraded(), "")
	exec(t, other, "ROLLBACK")
	capture(t, s, u.ID, 10)
	wantCounts(t, s, u.ID)
}

// TestWriterSettings are what the promise of Capture stands on.
func TestWriterSettings(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	for pragma, want := range map[string]string{
		"synchronous": "2", "journal_mode": "wal", "auto_vacuum": "2", "foreign_keys": "1", "mmap_size": "0", "busy_timeout": "5000",
		"cell_size_check": "1", "wal_autocheckpoint": "4000", "journal_size_limit": "67108864",
	} {
		var got any
		must(t, s.Do(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow("PRAGMA " + pragma).Scan(&got) }))
		if fmt.Sprint(got) != want {
			t.Errorf("PRAGMA %s is %v, want %s", pragma, got, want)
		}
	}
}

// TestDiscardedNeverComesBack starts the server with a clock that was set back, on a database in which what was discarded is gone
// with its rows: what is captured then is not among what was discarded.
func TestDiscardedNeverComesBack(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	ahead := storetest.Routed(u.ID, 10, sub.ID)
	ahead.ReceivedAt = time.Now().Add(time.Hour)
	must(t, s.Capture(ahead))
	_, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	purge(t, s)
	wantEqual(t, "rows", number(t, s, "SELECT count(*) FROM deliveries"), 0)
	closeStore(t, s)
	s = storetest.Open(t, store.Options{Path: path, Key: key})
	r := route(t, s, u.ID, sub.ID)
	got, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", got, []hook.ID{r})
}
