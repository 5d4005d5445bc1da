package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

const moreThanThereIs = 1 << 60

// TestDiskReserve asks for more free space than there is, and then for less.
func TestDiskReserve(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	first := capture(t, s, u.ID, 10)
	checkDisk := func(reserve int64, changes bool) {
		t.Helper()
		changed, err := s.CheckDisk(reserve)
		must(t, err)
		wantEqual(t, "changed", changed, changes)
	}
	checkDisk(0, false)
	checkDisk(moreThanThereIs, true)
	checkDisk(moreThanThereIs, false)
	wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
	wantKind(t, "ready", s.Ready(t.Context()), hook.Unavailable)
	if !strings.Contains(s.Degraded(), "HOOKKEEPER_DISK_RESERVE") {
		t.Errorf("degraded says %q", s.Degraded())
	}
	wantEqual(t, "reads go on", ids(t, s, u.ID), []hook.ID{first})
	must(t, s.DeleteRequest(t.Context(), hook.System, first, true)) // deleting is what helps
	checkDisk(1, true)
	wantEqual(t, "degraded", s.Degraded(), "")
	must(t, s.Ready(t.Context()))
	capture(t, s, u.ID, 10)
}

func TestRunTellsOfALowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s := storetest.Open(t, store.Options{
			DiskReserve: moreThanThereIs, OnDegraded: func(message string) { told = append(told, message) },
		})
		inBackground(t, s)
		synctest.Wait()
		if len(told) != 1 || told[0] == "" || told[0] != s.Degraded() {
			t.Errorf("told %q, degraded %q", told, s.Degraded())
		}
	})
}

// TestHealingDoesNotHideALowDisk has two reasons to refuse captures; when one has passed, the other is told.
func TestHealingDoesNotHideALowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		var told []string
		s := storetest.Open(t, store.Options{OnDegraded: func(message string) { told = append(told, message) }})
		breakWriter(t, s, "PRAGMA query_only = 1")
		wantKind(t, "a write", s.CreateUser(t.Context(), &hook.User{Email: "a@example.com"}), hook.Unavailable)
		_, err := s.CheckDisk(moreThanThereIs)
		must(t, err)
		sleepUntilHealed()
		if last := told[len(told)-1]; last == "" || last != s.Degraded() {
			t.Errorf("told %q at last, degraded is %q", last, s.Degraded())
		}
	})
}

// TestBallast is there while there is room, and given back when there is none.
func TestBallast(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	ballast := filepath.Join(filepath.Dir(path), "ballast")
	size := func(reserve int64) int64 {
		t.Helper()
		_, err := s.CheckDisk(reserve)
		must(t, err)
		info, err := os.Stat(ballast)
		if os.IsNotExist(err) {
			return -1
		}
		must(t, err)
		return info.Size()
	}
	wantEqual(t, "no reserve", size(0), -1)
	wantEqual(t, "a reserve of 8 MiB", size(8<<20), 1<<20)
	wantEqual(t, "once more", size(8<<20), 1<<20)
	wantEqual(t, "no room", size(moreThanThereIs), -1)
	wantEqual(t, "still no room", size(moreThanThereIs), -1)
	wantEqual(t, "room again", size(8<<20), 1<<20)
	wantEqual(t, "a smaller reserve", size(4<<20), -1)
	wantEqual(t, "and then", size(4<<20), 512<<10)
}
