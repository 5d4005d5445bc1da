package capture

import (
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
		found, err := s.Store.Due(t.Context(), store.Queue{Subscription: sub, Now: time.Now(), Limit: 10})
		if err != nil || len(found.Claims) != want {
			t.Errorf("%d deliveries are due, %v; want %d", len(found.Claims), err, want)
		}
	}
}
