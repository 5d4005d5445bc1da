package store_test

import (
	"context"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// owned is what one user has.
type owned struct {
	replay       hook.ID
	user         hook.User
	url          hook.CaptureURL
	request      hook.ID
	subscription hook.Subscription
	delivery     hook.ID // of request to subscription
	token        hook.Token
	reserved     string // the slug of a capture URL that is deleted
}

// ofActor calls each method that takes an actor on what somebody has. seen is what it gave, nil where that is only an
// error; others tells that an admin's own are meant, not everybody's.
var ofActor = map[string]struct {
	call   func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error
	others bool // System sees those of all users, an admin only their own
}{
	"CaptureURL": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.CaptureURL(ctx, actor, o.url.ID))
	}},
	"CaptureURLs": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		list, err := s.CaptureURLs(ctx, actor, store.CaptureURLPage{})
		return listed(list, err, func(u hook.CaptureURLStats) bool { return u.ID == o.url.ID })
	}},
	"UpdateCaptureURL": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.UpdateCaptureURL(ctx, actor, o.url.ID, func(*hook.CaptureURL) error { return nil }))
	}},
	"Requests": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Requests(ctx, actor, o.url.ID, store.RequestPage{Limit: 1}))
	}},
	"Request": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Request(ctx, actor, o.request))
	}},
	"LatestRequest": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.LatestRequest(ctx, actor, o.url.ID))
	}},
	"EachRequest": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.EachRequest(ctx, actor, o.url.ID, 1, func(*hook.Request) error { return nil })
	}},
	"Neighbours": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		_, _, err := s.Neighbours(ctx, actor, o.url.ID, o.request)
		return err
	}},
	"CaptureURLOf": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.CaptureURLOf(ctx, actor, o.request))
	}},
	"DeleteRequest": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.DeleteRequest(ctx, actor, o.request, true)
	}},
	"ClearRequests": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.ClearRequests(ctx, actor, o.url.ID, true))
	}},
	"DeleteCaptureURL": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.DeleteCaptureURL(ctx, actor, o.url.ID, true)
	}},
	"CreateSubscription": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		sub := hook.NewSubscription()
		sub.CaptureURLID, sub.Name = o.url.ID, "a"
		return s.CreateSubscription(ctx, actor, &sub)
	}},
	"Subscription": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Subscription(ctx, actor, o.subscription.ID))
	}},
	"Subscriptions": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		list, err := s.Subscriptions(ctx, actor, store.SubscriptionPage{})
		return listed(list, err, func(sub hook.SubscriptionStatus) bool { return sub.ID == o.subscription.ID })
	}},
	"UpdateSubscription": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.UpdateSubscription(ctx, actor, o.subscription.ID, func(sub *hook.Subscription) error {
			sub.Name = "b"
			return nil
		}))
	}},
	"DeleteSubscription": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.DeleteSubscription(ctx, actor, o.subscription.ID, true)
	}},
	"DeliverNow": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.DeliverNow(ctx, actor, o.subscription.ID)
	}},
	"DiscardHeld": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.DiscardHeld(ctx, actor, o.subscription.ID, "discarded"))
	}},
	"OldestUnfinished": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.OldestUnfinished(ctx, actor, o.subscription.ID))
	}},
	"Deliveries": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		list, err := s.Deliveries(ctx, actor, store.DeliveryPage{Limit: 100})
		return listed(list, err, func(d hook.Delivery) bool { return d.ID == o.delivery })
	}},
	"Delivery": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Delivery(ctx, actor, o.delivery))
	}},
	"Attempts": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Attempts(ctx, actor, o.delivery))
	}},
	"AttemptsSize": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.AttemptsSize(ctx, actor, o.delivery))
	}},
	"LastAttempt": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.LastAttempt(ctx, actor, o.delivery))
	}},
	"Summary": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Summary(ctx, actor, o.request))
	}},
	"Edit": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Edit(ctx, actor, o.delivery))
	}},
	"CancelDelivery": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.CancelDelivery(ctx, actor, "a@example.com", o.delivery))
	}},
	"Resend": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Resend(ctx, actor, "a@example.com", hook.Resend{RequestID: o.request, SubscriptionID: o.subscription.ID}))
	}},
	"ResendDelivery": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.ResendDelivery(ctx, actor, "a@example.com", o.delivery))
	}},
	"ResendPossible": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		made, err := s.ResendPossible(ctx, actor, "a@example.com", hook.Resend{RequestID: o.request, SubscriptionID: o.subscription.ID})
		if err == nil && len(made) == 0 {
			err = hook.Errorf(hook.NotFound, "left out")
		}
		return err
	}},
	"ResendDeliveries": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		made, err := s.ResendDeliveries(ctx, actor, "a@example.com", o.delivery)
		if err == nil && len(made) == 0 {
			return hook.Errorf(hook.NotFound, "left out")
		}
		return err
	}},
	"CreateReplay": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.CreateReplay(ctx, actor, &hook.Replay{SubscriptionID: o.subscription.ID})
	}},
	"Replay": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Replay(ctx, actor, o.replay))
	}},
	"Replays": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Replays(ctx, actor, o.subscription.ID, 0, 10))
	}},
	"CancelReplay": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.CancelReplay(ctx, actor, o.replay, "cancelled"))
	}},
	"Refusals": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.Refusals(ctx, actor, o.request))
	}},
	"RecentTargets": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return errOf(s.RecentTargets(ctx, actor, o.url.ID))
	}},
	"ReservedSlugs": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		list, err := s.ReservedSlugs(ctx, actor, "", 100)
		return listed(list, err, func(r store.ReservedSlug) bool { return r.Slug == o.reserved })
	}},
	"ReleaseSlugs": {call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.ReleaseSlugs(ctx, actor, o.reserved)
	}},
	"Tokens": {others: true, call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		list, err := s.Tokens(ctx, actor)
		return listed(list, err, func(t hook.Token) bool { return t.ID == o.token.ID })
	}},
	"RevokeToken": {others: true, call: func(ctx context.Context, s *store.Store, actor hook.Actor, o owned) error {
		return s.RevokeToken(ctx, actor, o.token.ID)
	}},
}

// listed turns a list into what a method for one item would say.
func listed[T any](list []T, err error, is func(T) bool) error {
	for _, item := range list {
		if is(item) {
			return err
		}
	}
	if err != nil {
		return err
	}
	return hook.Errorf(hook.NotFound, "not in the list")
}

// nobodys is what nobody has.
var nobodys = owned{
	replay: 1, request: 1, delivery: 1, reserved: "nobodys",
	user: hook.User{ID: 1}, url: hook.CaptureURL{ID: 1}, subscription: hook.Subscription{ID: 1, CaptureURLID: 1}, token: hook.Token{ID: 1},
}

// TestOnlyOwnersSee asks for what somebody else has, in every way there is.
func TestOnlyOwnersSee(t *testing.T) {
	for name, method := range ofActor {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, store.Options{})
			own := func(admin bool) owned {
				o := owned{user: storetest.User(t, s, admin)}
				o.url = storetest.CaptureURLOf(t, s, o.user)
				o.subscription = storetest.Subscription(t, s, o.url.ID)
				o.request = route(t, s, o.url.ID, o.subscription.ID)
				found, err := s.Due(t.Context(), store.Queue{ID: o.subscription.ID, Now: time.Now(), Limit: 1})
				must(t, err)
				o.delivery = found.Claims[0].ID
				replay := hook.Replay{SubscriptionID: o.subscription.ID}
				must(t, s.CreateReplay(t.Context(), hook.System, &replay))
				o.replay = replay.ID
				o.token = hook.Token{UserID: o.user.ID, Name: "a"}
				must(t, s.CreateToken(t.Context(), &o.token, sha256.Sum256([]byte(o.user.Email))))
				o.reserved = o.user.ID.Text("chosen-")
				deleted := hook.CaptureURL{OwnerID: o.user.ID, Name: "a", Slug: o.reserved}
				must(t, s.CreateCaptureURL(t.Context(), &deleted))
				must(t, s.DeleteCaptureURL(t.Context(), hook.System, deleted.ID, true))
				return o
			}
			ann, bob, admin := own(false), own(false), own(true)
			adminActor := hook.Actor{UserID: admin.user.ID, Admin: true}
			for about, actor := range map[string]hook.Actor{
				"another user": {UserID: bob.user.ID}, "nobody": {}, "an unknown user": {UserID: 1},
			} {
				err := method.call(t.Context(), s, actor, ann)
				wantKind(t, about, err, hook.NotFound)
				if unknown := method.call(t.Context(), s, actor, nobodys); err != nil && unknown != nil && err.Error() != unknown.Error() {
					t.Errorf("%s can tell what ann has, %q, from what nobody has, %q", about, err, unknown)
				}
			}
			if method.others {
				wantKind(t, "an admin", method.call(t.Context(), s, adminActor, ann), hook.NotFound)
			} else {
				must(t, method.call(t.Context(), s, adminActor, admin))
				must(t, method.call(t.Context(), s, adminActor, own(false)))
			}
			must(t, method.call(t.Context(), s, hook.System, bob))
			wantCounts(t, s, ann.url.ID) // nobody took anything away
			must(t, method.call(t.Context(), s, hook.Actor{UserID: ann.user.ID}, ann))
		})
	}
}

// TestEveryMethodWithAnActorIsTried finds methods that the table does not have.
func TestEveryMethodWithAnActorIsTried(t *testing.T) {
	typ := reflect.TypeFor[*store.Store]()
	for method := range typ.Methods() {
		for arg := range method.Type.Ins() {
			if _, tried := ofActor[method.Name]; arg == reflect.TypeFor[hook.Actor]() && !tried {
				t.Errorf("%s takes an actor and is not tried", method.Name)
			}
		}
	}
}
