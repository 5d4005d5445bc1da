package store_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// makes is the ways in which deliveries are made of requests that are there, or are going to be.
func makes(t *testing.T, s *store.Store, request hook.ID, sub *hook.Subscription, running *hook.Replay, of hook.ID) map[string]error {
	ctx := t.Context()
	return map[string]error{
		"a resend":               errOf(s.Resend(ctx, hook.System, "", hook.Resend{RequestID: request, SubscriptionID: sub.ID})),
		"a resend to a URL":      errOf(s.Resend(ctx, hook.System, "", hook.Resend{RequestID: request, TargetURL: "https://a.example"})),
		"a delivery once more":   errOf(s.ResendDelivery(ctx, hook.System, "", of)),
		"deliveries once more":   errOf(s.ResendDeliveries(ctx, hook.System, "", of, of)),
		"a replay":               s.CreateReplay(ctx, hook.System, &hook.Replay{SubscriptionID: sub.ID}),
		"a replay that goes on":  s.AdvanceReplay(ctx, running, request, []hook.ID{request}, false),
		"no room, asked by name": s.Room(ctx, sub.CaptureURLID),
	}
}

// rowsMade counts what resends and replays have made.
func rowsMade(t *testing.T, s *store.Store) int64 {
	t.Helper()
	return number(t, s, "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM replays)")
}

// TestNothingIsMadeBelowTheReserve: what is resent takes room as what arrives does; a full disk fails deletions, too.
func TestNothingIsMadeBelowTheReserve(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	request := route(t, s, u.ID, sub.ID)
	running := hook.Replay{SubscriptionID: sub.ID}
	must(t, s.CreateReplay(t.Context(), hook.System, &running))
	made, err := s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: request, SubscriptionID: sub.ID})
	must(t, err)
	before := rowsMade(t, s)
	must(t, errOf(s.CheckDisk(1<<60)))
	for what, err := range makes(t, s, request, &sub, &running, made[0].ID) {
		wantKind(t, what, err, hook.Unavailable)
	}
	wantEqual(t, "rows", rowsMade(t, s), before)
	must(t, errOf(s.CheckDisk(0)))
	must(t, s.AdvanceReplay(t.Context(), &running, request, []hook.ID{request}, true))
	wantEqual(t, "rows when there is room", rowsMade(t, s), before+1)
}

// edited is a copy that takes up about a MiB and a third.
func edited() *hook.Edit {
	return &hook.Edit{Method: "POST", Path: "/", Body: bytes.Repeat([]byte("b"), hook.MaxEditedBody-300)}
}

// TestNothingIsMadeOfAFullURL: whoever resends edited copies in a loop comes to the end of what may be kept, and not of the disk. A
// request that alone is larger than that can be resent: it is there anyway.
func TestNothingIsMadeOfAFullURL(t *testing.T) {
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: hook.MinKeepBytes}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	request := capture(t, s, u.ID, 3*hook.MinKeepBytes)
	running := hook.Replay{SubscriptionID: sub.ID}
	must(t, s.CreateReplay(t.Context(), hook.System, &running))
	made, err := s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: request, SubscriptionID: sub.ID, Edit: edited()})
	must(t, err)
	again := func() error { return errOf(s.ResendDelivery(t.Context(), hook.System, "", made[0].ID)) }
	for n := 0; err == nil && n < 10; n++ {
		err = again()
	}
	before := rowsMade(t, s)
	for what, err := range makes(t, s, request, &sub, &running, made[0].ID) {
		wantKind(t, what, err, hook.Unavailable)
	}
	wantEqual(t, "rows", rowsMade(t, s), before)
	if held := stats(t, s, u.ID).Bytes; held > 7*hook.MinKeepBytes {
		t.Errorf("%d MiB are held", held>>20)
	}
	wantCounts(t, s, u.ID)
	must(t, errOf(s.ClearRequests(t.Context(), hook.System, u.ID, true)))
	must(t, s.Room(t.Context(), u.ID))
}

// TestResendsEditedCopiesLittleAtATime: 200 of a list at once would be 266 MiB in one transaction, for which every sender waits.
func TestResendsEditedCopiesLittleAtATime(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	request := route(t, s, u.ID)
	const n = 15
	r := hook.Resend{RequestID: request, SubscriptionID: sub.ID, Edit: edited()}
	err := errOf(s.Resend(ctx, hook.System, "", slices.Repeat([]hook.Resend{r}, n)...))
	wantLimit(t, "so many in one transaction", err, hook.LimitSelected)
	wantKind(t, "so many in one transaction", err, hook.Invalid)
	wantEqual(t, "made", rowsMade(t, s), 0)

	made, err := s.Resend(ctx, hook.System, "", r)
	must(t, err)
	ids := []hook.ID{made[0].ID}
	for len(ids) < n {
		again, err := s.ResendDelivery(ctx, hook.System, "", made[0].ID)
		must(t, err)
		ids = append(ids, again.ID)
	}
	most, err := s.WatchRows(ctx)
	must(t, err)
	made, err = s.ResendDeliveries(ctx, hook.System, "", ids...)
	must(t, err)
	wantEqual(t, "made", len(made), n)
	wantAtOnce(t, most, store.Inserted, "deliveries", store.CopyBytes/hook.MaxEditedBody)
	wantEqual(t, "edited", number(t, s, "SELECT count(DISTINCT length(edit)) FROM deliveries"), 1)
	wantCounts(t, s, u.ID)

	setKeep(t, s, u.ID, hook.Keep{Bytes: stats(t, s, u.ID).Bytes/2 + 5<<20}) // room for some more
	before := rowsMade(t, s)
	err = errOf(s.ResendDeliveries(ctx, hook.System, "", ids...))
	wantKind(t, "those for which there is no room", err, hook.Unavailable)
	if err == nil || !strings.Contains(err.Error(), " of 15 were resent, the others not.") || rowsMade(t, s) == before {
		t.Errorf("%d were made: %v", rowsMade(t, s)-before, err)
	}
}

// TestResendsAListLittleAtATime: what is chosen in a list is resent in 1,000 deliveries at the most, and not in one transaction.
func TestResendsAListLittleAtATime(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	r := hook.Resend{RequestID: route(t, s, u.ID), SubscriptionID: storetest.Subscription(t, s, u.ID).ID}
	most, err := s.WatchRows(t.Context())
	must(t, err)
	const n = 2*store.ResendBatch + 1
	made, err := s.ResendPossible(t.Context(), hook.System, "", slices.Repeat([]hook.Resend{r}, n)...)
	must(t, err)
	wantEqual(t, "made", len(made), n)
	wantAtOnce(t, most, store.Inserted, "deliveries", store.ResendBatch)
	wantCounts(t, s, u.ID)
	storetest.WantSound(t, s)
}

// TestResendsCount: one small request can be resent without end, and each delivery is a row with its places in the indexes.
func TestResendsCount(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	request := route(t, s, u.ID)
	before := stats(t, s, u.ID).Bytes
	must(t, errOf(s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: request, SubscriptionID: sub.ID})))
	if got := stats(t, s, u.ID).Bytes; got < before+100 {
		t.Errorf("a delivery counts as %d bytes", got-before)
	}
	wantCounts(t, s, u.ID)
	storetest.WantSound(t, s)
}

// TestReplaysThatAreOverAreForgotten: whoever starts and cancels them in a loop fills nothing with it. Those that still have something to
// send stay, so that they can be cancelled.
func TestReplaysThatAreOverAreForgotten(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub, other := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	waiting, _ := replay(t, s, &sub, 1)
	first := hook.Replay{SubscriptionID: other.ID}
	must(t, s.CreateReplay(ctx, hook.System, &first))
	must(t, errOf(s.CancelReplay(ctx, hook.System, first.ID, "cancelled")))
	var last hook.Replay
	for range hook.MaxReplaysKept + 30 {
		last = hook.Replay{SubscriptionID: sub.ID}
		must(t, s.CreateReplay(ctx, hook.System, &last))
		must(t, errOf(s.CancelReplay(ctx, hook.System, last.ID, "cancelled")))
	}
	if n := number(t, s, "SELECT count(*) FROM replays WHERE subscription_id = $1", sub.ID); n > hook.MaxReplaysKept+2 {
		t.Errorf("%d replays are kept", n)
	}
	for _, r := range []hook.Replay{waiting, first, last} {
		must(t, errOf(s.Replay(ctx, hook.System, r.ID)))
	}
	steps, err := s.Plan(ctx, store.OverQuery)
	must(t, err)
	if len(steps) != 1 || !strings.Contains(steps[0], "replays_by_subscription (subscription_id=?)") {
		t.Errorf("those that are over are found by %q", steps)
	}
}
