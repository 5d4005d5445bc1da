package delivery

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestTurnsOfJQ: owners take turns, and the queues of an owner do; one that waits already does not wait twice.
func TestTurnsOfJQ(t *testing.T) {
	turns := filterTurns{waiting: map[hook.ID][]*queue{}}
	for _, q := range []*queue{{id: 11, owner: 1}, {id: 12, owner: 1}, {id: 13, owner: 1}, {id: 21, owner: 2}, {id: 31, owner: 3}, {id: 22, owner: 2}} {
		turns.add(q)
		turns.add(q)
	}
	var order []hook.ID
	for q := turns.next(); q != nil; q = turns.next() {
		order = append(order, q.id)
	}
	if want := []hook.ID{11, 21, 31, 12, 22, 13}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
	turns.add(&queue{id: 41, owner: 4})
	turns.running = parallelFilters
	if q := turns.next(); q != nil {
		t.Errorf("%d has a turn while %d are being decided", q.id, parallelFilters)
	}
}

// TestWaitingForJQ: what waits for its condition is not under way, so it takes nothing from deliveries without one.
func TestWaitingForJQ(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	url := storetest.CaptureURL(t, st)
	sub := storetest.Subscription(t, st, url.ID, func(s *hook.Subscription) { s.Filter.JQ = "." })
	for range 20 {
		if err := st.Capture(storetest.Routed(url.ID, 1, sub.ID)); err != nil {
			t.Fatal(err)
		}
	}
	w := New(Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	w.filters.running = parallelFilters // nothing else gets a turn
	w.Notify([]hook.ID{sub.ID})
	w.turn(t.Context())
	if q := w.queues[sub.ID]; len(q.ready) == 0 || !q.deciding || w.room.sending != 0 || w.room.bytes != 0 {
		t.Errorf("%d are leased, %d are under way with %d bytes", len(q.ready), w.room.sending, w.room.bytes)
	}
}

// TestRestAfterUnreadable: when the request could not be read for its condition, the queue rests, and does not run through all it
// has.
func TestRestAfterUnreadable(t *testing.T) {
	w := New(Options{Store: storetest.Open(t, store.Options{}), Log: slog.New(slog.DiscardHandler)})
	q := newQueue(1)
	q.sub = &subscription{}
	q.sub.Filter.JQ, q.sub.Concurrency = ".", 1
	for id := range hook.ID(3) {
		q.add(store.Claim{Delivery: hook.Delivery{ID: id + 1}})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decided(q, w.later("a test", nil))
	w.pump(q)
	if q.deciding || q.waits == nil || len(q.ready) != 2 {
		t.Errorf("the next one is asked at once: %+v", q)
	}
	w.stopping = true
}
