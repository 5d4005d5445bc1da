package capture

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestFilterDecidesAtCapture: a request is queued for whom it is for, and one without its body for nobody.
func TestFilterDecidesAtCapture(t *testing.T) {
	s := start(t, nil)
	all := storetest.Subscription(t, s.Store, s.url.ID)
	puts := storetest.Subscription(t, s.Store, s.url.ID, func(sub *hook.Subscription) {
		sub.Filter.Conditions = []hook.Condition{{Field: "method", Op: hook.OpIs, Value: "PUT"}}
	})
	const head = " /in/orders/a HTTP/1.1\nHost: x\nContent-Length: "
	for _, request := range []string{"POST" + head + "2\n\n", "PUT" + head + "2\n\n"} {
		if a := s.send(t, request, "hi"); a.status != 200 {
			t.Fatalf("status %d", a.status)
		}
	}
	if a := s.send(t, "PUT"+head+"100001\n\n", strings.Repeat("x", 100_001)); a.status != 413 {
		t.Fatalf("too large: status %d", a.status)
	}
	for sub, want := range map[hook.ID]int{all.ID: 2, puts.ID: 1} {
		found, err := s.Store.Due(t.Context(), store.Queue{ID: sub, Now: time.Now(), Limit: 10})
		if err != nil || len(found.Claims) != want {
			t.Errorf("%d deliveries are due, %v; want %d", len(found.Claims), err, want)
		}
	}
}

// TestFiltersLeaveWork: filters that look at more of a body than a sender should wait for leave the rest to the worker.
// Nobody's delivery is dropped for it, and what another filter refuses for less is refused.
func TestFiltersLeaveWork(t *testing.T) {
	s := start(t, nil)
	const searches = 10
	body := strings.Repeat("a", 100_000)
	unlike := hook.Condition{Field: "body", Op: hook.OpGlob, Value: "*" + strings.Repeat("a", 1000) + "b"}
	queue := func(conditions ...hook.Condition) hook.ID {
		return storetest.Subscription(t, s.Store, s.url.ID, func(sub *hook.Subscription) { sub.Filter.Conditions = conditions }).ID
	}
	puts := queue(unlike, hook.Condition{Field: "method", Op: hook.OpIs, Value: "PUT"})
	posts := queue(hook.Condition{Field: "method", Op: hook.OpIs, Value: "POST"})
	affordable := hook.FilterWork / len(body)
	var searching []hook.ID
	for range affordable/hook.MaxConditions + searches {
		// Any of them, so that each is looked at.
		id := storetest.Subscription(t, s.Store, s.url.ID, func(sub *hook.Subscription) {
			sub.Filter = hook.Filter{Any: true, Conditions: slices.Repeat([]hook.Condition{unlike}, hook.MaxConditions)}
		}).ID
		searching = append(searching, id)
	}
	if a := s.send(t, "POST /in/orders/a HTTP/1.1\nHost: x\nContent-Length: 100000\n\n", body); a.status != 200 {
		t.Fatalf("status %d", a.status)
	}
	due := func(sub hook.ID) []store.Claim {
		found, err := s.Store.Due(t.Context(), store.Queue{ID: sub, Now: time.Now(), Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return found.Claims
	}
	left := 0
	for _, sub := range searching {
		for _, c := range due(sub) {
			left++
			wantEqual(t, "undecided", c.Undecided, true)
		}
	}
	wantEqual(t, "filters left to the worker", left, searches)
	wantEqual(t, "deliveries refused for less", len(due(puts)), 0)
	claims := due(posts)
	wantEqual(t, "deliveries of the cheap filter", len(claims), 1)
	wantEqual(t, "undecided", claims[0].Undecided, false)
}
