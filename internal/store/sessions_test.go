package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// withSessions runs f on a store whose sessions may be idle for an hour, with a session that lives for a day.
func withSessions(t *testing.T, idle time.Duration, f func(t *testing.T, s *store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{SessionIdle: idle})
		must(t, s.CommitCtx(t.Context(), "hash", []byte("data"), time.Now().Add(24*time.Hour)))
		f(t, s)
	})
}

func wantSession(t *testing.T, s *store.Store, about, want string) {
	t.Helper()
	data, found, err := s.FindCtx(t.Context(), "hash")
	must(t, err)
	valid, err := s.SessionValid(t.Context(), "hash")
	must(t, err)
	if string(data) != want || found != (want != "") || valid != found {
		t.Errorf("%s: data %q, found %t, valid %t", about, data, found, valid)
	}
}

func TestSessionIsStored(t *testing.T) {
	withSessions(t, time.Hour, func(t *testing.T, s *store.Store) {
		wantSession(t, s, "new", "data")
		must(t, s.Commit("hash", []byte{0, 255}, time.Now().Add(time.Hour)))
		wantSession(t, s, "changed", "\x00\xff")
		must(t, s.Delete("hash"))
		wantSession(t, s, "deleted", "")
		must(t, s.Delete("hash"))
		if _, found, err := s.Find("another"); found || err != nil {
			t.Errorf("an unknown one: found %t, %v", found, err)
		}
	})
}

func TestSessionExpires(t *testing.T) {
	withSessions(t, 48*time.Hour, func(t *testing.T, s *store.Store) {
		time.Sleep(24*time.Hour - time.Microsecond)
		wantSession(t, s, "just before", "data")
		must(t, s.TouchSession(t.Context(), "hash")) // use does not make it longer
		time.Sleep(time.Microsecond)
		wantSession(t, s, "then", "")
	})
}

func TestIdleSessionEnds(t *testing.T) {
	withSessions(t, time.Hour, func(t *testing.T, s *store.Store) {
		time.Sleep(time.Hour - time.Microsecond)
		wantSession(t, s, "just before", "data")
		time.Sleep(time.Microsecond)
		wantSession(t, s, "then", "")
		must(t, s.TouchSession(t.Context(), "hash")) // as a page does that was open all the time
		wantSession(t, s, "touched too late", "")
	})
}

// TestUsedSessionLives touches a session as often as a page does, also where the idle time is short.
func TestUsedSessionLives(t *testing.T) {
	for _, idle := range []time.Duration{time.Minute, 4 * time.Minute, time.Hour} {
		withSessions(t, idle, func(t *testing.T, s *store.Store) {
			for range 20 {
				time.Sleep(idle / 3)
				must(t, s.TouchSession(t.Context(), "hash"))
				wantSession(t, s, "in use, idle "+idle.String(), "data")
			}
		})
	}
}

// TestTouchSeldomWrites counts the writes of a busy reader.
func TestTouchSeldomWrites(t *testing.T) {
	withSessions(t, 24*time.Hour, func(t *testing.T, s *store.Store) {
		writes, before := 0, int64(0)
		for range 60 * 60 {
			time.Sleep(time.Second)
			must(t, s.TouchSession(t.Context(), "hash"))
			if seen := number(t, s, "SELECT last_seen FROM sessions"); seen != before {
				writes, before = writes+1, seen
			}
		}
		if writes > 13 {
			t.Errorf("%d writes in an hour", writes)
		}
	})
}

func TestEndedSessionsAreRemoved(t *testing.T) {
	withSessions(t, time.Hour, func(t *testing.T, s *store.Store) {
		must(t, s.CommitCtx(t.Context(), "short", []byte("data"), time.Now().Add(time.Minute)))
		inBackground(t, s)
		synctest.Wait()
		wantEqual(t, "sessions", number(t, s, "SELECT count(*) FROM sessions"), 2)
		time.Sleep(10 * time.Minute)
		wantEqual(t, "sessions, one expired", number(t, s, "SELECT count(*) FROM sessions"), 1)
		time.Sleep(time.Hour)
		wantEqual(t, "sessions, one idle", number(t, s, "SELECT count(*) FROM sessions"), 0)
	})
}
