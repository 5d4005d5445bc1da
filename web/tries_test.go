package web

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestTriesAreLimited: one test of a target or dry run of a user at a time, and a few of all; others are told to wait.
func TestTriesAreLimited(t *testing.T) {
	t.Parallel()
	begun, free := make(chan struct{}), make(chan struct{})
	s := newSite(t, func(o *Options) {
		o.Try = func(context.Context, hook.Subscription, *hook.Request) hook.Attempt {
			begun <- struct{}{}
			<-free
			return hook.Attempt{Trigger: hook.TriggerTest, Status: http.StatusOK}
		}
	})
	type tester struct{ token, path string }
	testers := make([]tester, hook.MaxTries+1)
	for i := range testers {
		u := s.user(false)
		sub := storetest.Subscription(t, s.store, storetest.CaptureURLOf(t, s.store, u).ID)
		testers[i] = tester{s.token(u), "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix)}
	}
	test := func(by tester) answer { return s.api(by.token, "POST", by.path+"/test", "") }
	dryRun := func(by tester) answer { return s.api(by.token, "POST", by.path+"/dry-run", "") }
	wantRefused := func(what string, a answer) {
		t.Helper()
		wantStatus(t, what, a, http.StatusTooManyRequests)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: it does not say when to come back", what)
		}
	}

	var waiting sync.WaitGroup
	for i, by := range testers[:hook.MaxTries] {
		waiting.Go(func() { wantStatus(t, "a test", test(by), http.StatusOK) })
		<-begun
		wantRefused("a second test", test(by))
		wantRefused("a dry run beside it", dryRun(by))
		if i < hook.MaxTries-1 {
			wantStatus(t, "somebody else's dry run", dryRun(testers[hook.MaxTries]), http.StatusOK)
		}
	}
	wantRefused("one more on this server", test(testers[hook.MaxTries]))
	close(free)
	waiting.Wait()
	wantStatus(t, "a dry run afterwards", dryRun(testers[0]), http.StatusOK)
}
