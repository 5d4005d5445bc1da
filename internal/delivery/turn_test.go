package delivery

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestTurnIsBounded: after a start with many long queues, no turn claims of all of them, because captures wait for what it writes.
// Queues that it had no room for come first in the next one.
func TestTurnIsBounded(t *testing.T) {
	t.Parallel()
	const queues = turnClaims/maxClaimed + 4
	st := storetest.Open(t, store.Options{})
	url := storetest.CaptureURL(t, st)
	var ids []hook.ID
	for range queues {
		sub := storetest.Subscription(t, st, url.ID, func(sub *hook.Subscription) { sub.Concurrency = maxClaimed })
		ids = append(ids, sub.ID)
	}
	for range maxClaimed {
		if err := st.Capture(storetest.Routed(url.ID, 1, ids...)); err != nil {
			t.Fatal(err)
		}
	}
	w := New(Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	w.stopping = true // nothing is sent
	w.Notify(ids)
	count := func() (claimed, served int) {
		for _, q := range w.queues {
			if claimed += len(q.claimed); len(q.claimed) > 0 {
				served++
			}
		}
		return claimed, served
	}
	if next := w.turn(t.Context()); next.IsZero() {
		t.Error("no other turn follows")
	}
	if claimed, served := count(); claimed != turnClaims || served != queues-4 {
		t.Errorf("one turn claims %d of %d queues", claimed, served)
	}
	left := map[hook.ID]bool{}
	for id, q := range w.queues {
		left[id] = len(q.claimed) == 0
		clear(q.claimed) // as if all were done
		q.ready, q.look = nil, true
	}
	_, _, wants := w.gather(t.Context())
	for i, want := range wants {
		if first := i < 4; left[want.queue.id] != first {
			t.Errorf("number %d of the next turn: left out before is %t", i, !first)
		}
	}
	if w.putBack(nil, nil, wants); len(wants) != queues {
		t.Errorf("%d queues want more", len(wants))
	}
	w.turn(t.Context())
	for id, q := range w.queues {
		if left[id] && (len(q.claimed) == 0 || q.late != 0) {
			t.Errorf("a queue that was left out has %d claims, and was left out %d times", len(q.claimed), q.late)
		}
	}
}

// TestResultsAreWrittenInParts: of many answers that come at once, as large as they are kept, no transaction writes more than a few, because
// captures wait for it.
func TestResultsAreWrittenInParts(t *testing.T) {
	t.Parallel()
	const answers, size = 100, hook.MaxResponseKept
	var most, told int // of the results in a transaction, and of all
	st := storetest.Open(t, store.Options{OnDelivery: func(news []hook.DeliveryNews) { most, told = max(most, len(news)), told+len(news) }})
	url := storetest.CaptureURL(t, st)
	sub := storetest.Subscription(t, st, url.ID)
	for range answers {
		if err := st.Capture(storetest.Routed(url.ID, 1, sub.ID)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := st.Due(t.Context(), store.Queue{ID: sub.ID, Now: time.Now(), Limit: answers})
	if err != nil {
		t.Fatal(err)
	}
	leased, err := st.Record(t.Context(), store.Turn{Claims: found.Claims})
	if err != nil {
		t.Fatal(err)
	}
	w := New(Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	w.stopping = true // nothing is sent
	for _, c := range leased.Leased {
		w.results = append(w.results, store.Result{Claim: c, Counts: true, Next: hook.Next{State: hook.Failed}, Attempt: &hook.Attempt{
			DeliveryID: c.ID, Number: 1, StartedAt: time.Now(), Status: 500, ResponseBody: make([]byte, size),
		}})
	}
	most, told = 0, 0
	w.turn(t.Context())
	if told != answers || most > turnBytes/size {
		t.Errorf("%d of %d results are written, %d at once; want %d at once at most", told, answers, most, turnBytes/size)
	}
}
