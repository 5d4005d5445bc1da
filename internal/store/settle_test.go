package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// rowsOf counts the rows that a subscription has in the database, its deliveries apart.
func rowsOf(t *testing.T, s *store.Store, subscription hook.ID) int64 {
	t.Helper()
	return number(t, s, `SELECT (SELECT count(*) FROM subscriptions WHERE id = $1) + (SELECT count(*) FROM subscription_stats WHERE subscription_id = $1)
		+ (SELECT count(*) FROM filter_rules WHERE subscription_id = $1) + (SELECT count(*) FROM replays WHERE subscription_id = $1)`, subscription)
}

func forget(t *testing.T, s *store.Store) {
	t.Helper()
	if done, err := s.ForgetSubscriptions(t.Context(), time.Now().Add(time.Minute)); err != nil || !done {
		t.Fatalf("forgetting deleted subscriptions: done = %t, %v", done, err)
	}
}

// TestDeletedSubscriptionIsForgotten when the last delivery that shows its name is gone, with everything that was only its own.
func TestDeletedSubscriptionIsForgotten(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	for range store.PurgeBatch { // more than are removed at a time
		r := hook.Replay{SubscriptionID: sub.ID}
		must(t, s.CreateReplay(ctx, hook.System, &r))
		must(t, errOf(s.CancelReplay(ctx, hook.System, r.ID, "cancelled")))
	}
	_, requests := replay(t, s, &sub, 1)
	sent := claim(t, s, sub.ID)
	must(t, errOf(s.Record(ctx, store.Turn{Results: []store.Result{result(sent[0], 200, hook.Next{State: hook.Succeeded})}})))
	must(t, s.DeleteSubscription(ctx, hook.System, sub.ID, false))
	must(t, s.Settle(ctx))
	forget(t, s)
	shown, err := s.Delivery(ctx, hook.System, sent[0].ID)
	must(t, err)
	wantEqual(t, "name of the deleted one", shown.Subscription, sub.Name)
	must(t, s.DeleteRequest(ctx, hook.System, requests[0], false))
	kept := storetest.Subscription(t, s, u.ID)
	if done, err := s.ForgetSubscriptions(ctx, time.Now()); err != nil || done {
		t.Errorf("without any time: done = %t, %v", done, err)
	}
	forget(t, s)
	wantEqual(t, "rows of the deleted one", rowsOf(t, s, sub.ID), 0)
	wantEqual(t, "rows of another", rowsOf(t, s, kept.ID), 2)
	storetest.WantSound(t, s)
}

// TestForgottenRuleIsNobodyElses: a request keeps the number of the rule that refused it, and must not be told of another rule.
func TestForgottenRuleIsNobodyElses(t *testing.T) {
	ctx := t.Context()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	picky := func() hook.Subscription {
		return storetest.Subscription(t, s, u.ID, func(s *hook.Subscription) {
			s.Filter.Conditions = []hook.Condition{{Field: "method", Op: hook.OpIs, Value: "PUT"}}
		})
	}
	refused := func(by hook.Subscription) hook.ID {
		r := storetest.Request(u.ID, 10)
		r.Routes = []hook.Route{{Subscription: by.ID}}
		must(t, s.Capture(r))
		refusals, err := s.Refusals(ctx, hook.System, r.ID)
		must(t, err)
		wantEqual(t, "refusals", len(refusals), 1)
		return r.ID
	}
	first := picky()
	request := refused(first)
	must(t, s.DeleteSubscription(ctx, hook.System, first.ID, false))
	forget(t, s)
	wantEqual(t, "rows of the deleted one", rowsOf(t, s, first.ID), 0)
	refused(picky())
	refusals, err := s.Refusals(ctx, hook.System, request)
	must(t, err)
	wantEqual(t, "refusals of a subscription that is gone", refusals, nil)
}

// TestSettledIsNotAskedAgain: what was discarded or deleted once costs no reading each second for good.
func TestSettledIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		ctx := t.Context()
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		discarded, deleted := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
		discard := func() {
			t.Helper()
			route(t, s, u.ID, discarded.ID)
			must(t, errOf(s.DiscardHeld(ctx, hook.System, discarded.ID, "discarded")))
			must(t, s.Settle(ctx))
			wantEqual(t, "unfinished rows", number(t, s, "SELECT count(*) FROM deliveries WHERE state < 2"), 0)
		}
		route(t, s, u.ID, deleted.ID)
		must(t, s.DeleteSubscription(ctx, hook.System, deleted.ID, true))
		discard()
		release, err := s.HoldReaders(ctx)
		must(t, err)
		err = s.Settle(ctx)
		must(t, release())
		if err != nil {
			t.Errorf("a second look reads: %v", err)
		}
		discard()
	})
}
