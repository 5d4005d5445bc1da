package delivery_test

import (
	"context"
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// underWay is a house in which the first of six deliveries is under way until answer is called, and the others are leased.
type underWay struct {
	*house
	sub      hook.Subscription
	requests []hook.ID
	sink     *sink
	answer   func()
}

func newUnderWay(t *testing.T) *underWay {
	t.Helper()
	hold := make(chan struct{})
	w := &underWay{answer: func() { close(hold) }, sink: newSink(t, func(http.ResponseWriter, *http.Request) { <-hold })}
	w.house, w.sub, w.requests = withHealth(t, hook.Health{}, w.sink.URL, 6, func(s *hook.Subscription) { s.Concurrency = 1 })
	w.start()
	wantEqual(t, "under way", w.sink.next(t).id(), w.requests[0].Text(hook.RequestPrefix))
	return w
}

func (r received) id() string { return r.Header.Get("Hookkeeper-Request-Id") }

// deliveries returns the deliveries of the requests.
func (w *underWay) deliveries() (all []hook.Delivery) {
	w.t.Helper()
	for _, id := range w.requests {
		of, err := w.store.Deliveries(context.Background(), hook.System, store.DeliveryPage{Request: id, Limit: 1})
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, of...)
	}
	return all
}

// leased counts the unfinished deliveries that somebody is to send.
func (w *underWay) leased() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM deliveries WHERE state < 2 AND lease <> 0").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestSendingIsWhatIsUnderWay: a delivery that is only leased is not seen as being sent.
func TestSendingIsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newUnderWay(t)
	for i, d := range w.deliveries() {
		want := hook.Pending
		if i == 0 {
			want = hook.Sending
		}
		wantEqual(t, "state", d.State, want)
	}
	w.answer()
	w.wait(w.requests[5], hook.Succeeded)
}

// TestCancelledIsNotSent cancels what is leased, in each way that leaves the subscription at work: what is captured next is what
// the target gets next.
func TestCancelledIsNotSent(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(context.Context, *underWay) error{
		"discard": func(ctx context.Context, w *underWay) error {
			_, err := w.store.DiscardHeld(ctx, hook.System, w.sub.ID, "discarded")
			return err
		},
		"clear": func(ctx context.Context, w *underWay) error {
			_, err := w.store.ClearRequests(ctx, hook.System, w.url.ID, true)
			return err
		},
		"cancel each": func(ctx context.Context, w *underWay) error {
			for _, d := range w.deliveries()[1:] {
				if _, err := w.store.CancelDelivery(ctx, hook.System, "", d.ID); err != nil {
					return err
				}
			}
			return nil
		},
		"delete each": func(ctx context.Context, w *underWay) error {
			for _, id := range w.requests[1:] {
				if err := w.store.DeleteRequest(ctx, hook.System, id, true); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUnderWay(t)
			if err := cancel(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			after := w.capture(w.sub)
			w.answer()
			wantEqual(t, "the next to arrive", w.sink.next(t).id(), after.ID.Text(hook.RequestPrefix))
			w.wait(after.ID, hook.Succeeded)
		})
	}
}

// TestHeldIsNotSent ends the work of the subscription: what was leased is given back, and nothing more arrives.
func TestHeldIsNotSent(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(context.Context, *underWay) error{
		"pause": func(ctx context.Context, w *underWay) error {
			_, err := w.store.UpdateSubscription(ctx, hook.System, w.sub.ID, func(s *hook.Subscription) error {
				s.Hold.Paused = true
				return nil
			})
			return err
		},
		"delete the subscription": func(ctx context.Context, w *underWay) error {
			return w.store.DeleteSubscription(ctx, hook.System, w.sub.ID, true)
		},
		"delete the capture URL": func(ctx context.Context, w *underWay) error {
			return w.store.DeleteCaptureURL(ctx, hook.System, w.url.ID, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUnderWay(t)
			if err := hold(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			w.answer()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			patience := time.After(10 * time.Second)
			for w.leased() > 1 { // that of a subscription that is gone is left to the attempt that was under way
				select {
				case <-tick.C:
				case <-patience:
					t.Fatal("what was leased is not given back")
				}
			}
			w.stop()
			wantEqual(t, "arrived", len(w.sink.got), 0)
		})
	}
}
