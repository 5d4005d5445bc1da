package store_test

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestSubscriptionsOfOneUser: those of a user have a common limit in memory; what does not grow may be changed all the same.
func TestSubscriptionsOfOneUser(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	owner := storetest.User(t, s, false)
	create := func(owner hook.User, size int) (hook.Subscription, error) {
		sub := hook.NewSubscription()
		sub.CaptureURLID = storetest.CaptureURLOf(t, s, owner).ID
		sub.Name = strings.Repeat("x", size-sub.Size()) // longer than one may be, which is not for the store to know
		return sub, s.CreateSubscription(t.Context(), hook.System, &sub)
	}
	change := func(sub hook.Subscription, f func(*hook.Subscription)) error {
		return errOf(s.UpdateSubscription(t.Context(), hook.System, sub.ID, func(sub *hook.Subscription) error {
			f(sub)
			return nil
		}))
	}
	least := new(hook.Subscription).Size()
	full, err := create(owner, hook.MaxSubscriptionBytes-least)
	must(t, err)
	wantKind(t, "one byte too much", errOf(create(owner, least+1)), hook.Conflict)
	sub, err := create(owner, least)
	must(t, err)
	wantKind(t, "a longer name", change(sub, func(s *hook.Subscription) { s.Name = "x" }), hook.Conflict)
	wantKind(t, "a condition", change(sub, func(s *hook.Subscription) { s.Filter.JQ = "." }), hook.Conflict)
	must(t, change(sub, func(s *hook.Subscription) { s.Signing.Secrets = []hook.Secret{{Text: "another"}} }))
	must(t, change(full, func(s *hook.Subscription) { s.Name = "" }))
	must(t, change(sub, func(s *hook.Subscription) { s.Name = "x" }))
	must(t, errOf(create(storetest.User(t, s, false), least+1))) // another user has a limit of their own
}

// TestTellsOfTrouble: those who look are told when a subscription begins to fail and when it does not fail any more, and not of
// each attempt.
func TestTellsOfTrouble(t *testing.T) {
	told := 0
	s := storetest.Open(t, store.Options{OnSubscription: func(_, _ hook.ID) { told++ }})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	for range 5 {
		route(t, s, u.ID, sub.ID)
	}
	claims := claim(t, s, sub.ID)
	told = 0
	var got []int
	for i, status := range []int{200, 500, 500, 200, 200} {
		_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(claims[i], status, hook.Next{State: hook.Succeeded})}})
		must(t, err)
		_, trouble := s.CountSubscriptions(u.ID)
		got = append(got, told, trouble)
	}
	wantEqual(t, "times told, in trouble", got, []int{0, 0, 1, 1, 1, 1, 2, 0, 2, 0})
}
