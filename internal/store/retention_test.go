package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// setKeep changes the retention of a capture URL.
func setKeep(t *testing.T, s *store.Store, captureURL hook.ID, keep hook.Keep) {
	t.Helper()
	_, err := s.UpdateCaptureURL(t.Context(), hook.System, captureURL, func(u *hook.CaptureURL) error {
		u.Keep = keep
		return nil
	})
	must(t, err)
}

func TestKeepsSoManyRequests(t *testing.T) {
	var pruned hook.ID
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Requests: 5}, OnPrune: func(_, upTo hook.ID) { pruned = upTo }})
	u := storetest.CaptureURL(t, s)
	var all []hook.ID
	for range 20 {
		all = append(all, capture(t, s, u.ID, 10))
	}
	want := slices.Clone(all[15:])
	slices.Reverse(want)
	wantEqual(t, "kept", ids(t, s, u.ID), want)
	wantEqual(t, "told", pruned, all[14])
	wantEqual(t, "received", stats(t, s, u.ID).Received, int64(20))
	wantCounts(t, s, u.ID)
}

// TestKeepsSoManyBytes counts headers and path, too. The newest request stays, however large it is.
func TestKeepsSoManyBytes(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: 100_000}})
	u := storetest.CaptureURL(t, s)
	capture(t, s, u.ID, 60_000)
	second := capture(t, s, u.ID, 60_000)
	wantEqual(t, "kept", ids(t, s, u.ID), []hook.ID{second})
	large := capture(t, s, u.ID, 300_000)
	wantEqual(t, "kept", ids(t, s, u.ID), []hook.ID{large})
	must(t, s.Prune(t.Context()))
	wantEqual(t, "kept by upkeep", ids(t, s, u.ID), []hook.ID{large})
	small := capture(t, s, u.ID, 10)
	wantEqual(t, "kept", ids(t, s, u.ID), []hook.ID{small})
	r := storetest.Request(u.ID, 0)
	r.Headers = append(r.Headers, hook.Header{Name: "X-A", Value: string(make([]byte, 99_990))})
	must(t, s.Capture(r))
	wantEqual(t, "kept beside long headers", ids(t, s, u.ID), []hook.ID{r.ID})
	wantCounts(t, s, u.ID)
}

func TestKeepsSoManyDays(t *testing.T) {
	pruned := map[hook.ID]hook.ID{}
	s := storetest.Open(t, store.Options{
		Keep: hook.Keep{Days: 30}, OnPrune: func(u, upTo hook.ID) { pruned[u] = upTo },
	})
	owner := storetest.User(t, s, false)
	old, mixed, forever := storetest.CaptureURLOf(t, s, owner), storetest.CaptureURLOf(t, s, owner), storetest.CaptureURLOf(t, s, owner)
	setKeep(t, s, forever.ID, hook.Keep{Days: hook.MaxKeepDays})
	aged := func(u hook.ID, days int) hook.ID {
		r := storetest.Request(u, 10)
		r.ReceivedAt = time.Now().AddDate(0, 0, -days)
		must(t, s.Capture(r))
		return r.ID
	}
	aged(old.ID, 40)
	aged(old.ID, 35)
	const many = 450 // more than two batches
	var last hook.ID
	for range many {
		last = aged(mixed.ID, 31)
	}
	young := []hook.ID{aged(mixed.ID, 29), aged(mixed.ID, 0)}
	slices.Reverse(young)
	ancient := aged(forever.ID, 5000)
	recent := aged(forever.ID, 0)
	must(t, s.Prune(t.Context()))
	wantEqual(t, "all of them are old", ids(t, s, old.ID), nil)
	wantEqual(t, "young ones stay", ids(t, s, mixed.ID), young)
	wantEqual(t, "a setting of its own", ids(t, s, forever.ID), []hook.ID{recent, ancient})
	wantEqual(t, "told", pruned[mixed.ID], last)
	wantEqual(t, "nothing told", pruned[forever.ID], 0)
	for _, u := range []hook.ID{old.ID, mixed.ID, forever.ID} {
		wantCounts(t, s, u)
	}
}

// TestCatchesUpInSmallSteps lowers the limit far below what is there: captures remove a few each, and upkeep all.
func TestCatchesUpInSmallSteps(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	for range 100 {
		capture(t, s, u.ID, 10)
	}
	setKeep(t, s, u.ID, hook.Keep{Requests: 10})
	capture(t, s, u.ID, 10)
	wantEqual(t, "kept after one capture", stats(t, s, u.ID).Kept, int64(100-store.PruneExtra))
	must(t, s.Prune(t.Context()))
	wantEqual(t, "kept after upkeep", len(ids(t, s, u.ID)), 10)
	wantCounts(t, s, u.ID)
}

// TestRetentionLeavesOthersAlone fills one capture URL: its neighbour loses nothing.
func TestRetentionLeavesOthersAlone(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Requests: 3}})
	quiet, busy := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	want := []hook.ID{capture(t, s, quiet.ID, 10)}
	for range 50 {
		capture(t, s, busy.ID, 10)
	}
	wantEqual(t, "the quiet one", ids(t, s, quiet.ID), want)
}

// TestSpaceIsGivenBack deletes much: the file shrinks.
func TestSpaceIsGivenBack(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	for range 30 {
		capture(t, s, u.ID, 1<<20)
	}
	full := pages(t, s)
	_, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	purge(t, s)
	for before := full + 1; ; {
		must(t, s.Vacuum(t.Context()))
		now := pages(t, s)
		if now >= before {
			break
		}
		before = now
	}
	const kept, step = 16 << 20 / 4096, 256 // free pages that stay for the captures to come, and how exact that is
	if got := pages(t, s); got > kept+step || got < kept-step {
		t.Errorf("%d pages of %d are left, want about %d", got, full, kept)
	}
}

func pages(t *testing.T, s *store.Store) int64 { return number(t, s, "PRAGMA page_count") }
