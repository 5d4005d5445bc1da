package store_test

import (
	"context"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// replay makes n requests and a replay that has put all of them into the queue of a subscription.
func replay(t *testing.T, s *store.Store, sub *hook.Subscription, n int) (r hook.Replay, requests []hook.ID) {
	t.Helper()
	for range n {
		requests = append(requests, route(t, s, sub.CaptureURLID))
	}
	r = hook.Replay{SubscriptionID: sub.ID, Count: int64(n)}
	must(t, s.CreateReplay(t.Context(), hook.System, &r))
	must(t, s.AdvanceReplay(t.Context(), &r, r.UpTo, requests, true))
	return r, requests
}

// TestCancelReplayIsOneStep: whoever cancels a replay may leave before the answer, and all of its deliveries are cancelled.
func TestCancelReplayIsOneStep(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := storetest.Open(t, store.Options{OnDelivery: func(news []hook.DeliveryNews) {
		if news[0].State == hook.Cancelled {
			leave()
		}
	}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	const n = store.Hurried + 10
	r, _ := replay(t, s, &sub, n)
	_, _ = s.CancelReplay(ctx, hook.System, r.ID, "cancelled")
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Cancelled: n})
	got, _ := due(t, s, store.Queue{Subscription: sub.ID})
	wantEqual(t, "due", got, nil)
	r, err := s.Replay(t.Context(), hook.System, r.ID)
	must(t, err)
	wantEqual(t, "state", r.State, hook.ReplayCancelled)
	wantEqual(t, "cancelled", r.Failed, int64(n))
	storetest.WantSound(t, s)
}
