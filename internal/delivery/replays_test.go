package delivery_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/delivery"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// startReplays runs the job until stop is called.
func (h *house) startReplays() (stop func()) {
	h.t.Helper()
	job := delivery.NewReplays(h.store, slog.New(slog.DiscardHandler))
	h.replays.Store(job)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- job.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// captureMany stores n requests without a delivery and returns their ids.
func (h *house) captureMany(n int) (ids []hook.ID) {
	h.t.Helper()
	for range n {
		r := storetest.Routed(h.url.ID, 10)
		if err := h.store.Capture(r); err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// until waits for a replay that is as ok wants it.
func (h *house) until(id hook.ID, ok func(hook.Replay) bool) hook.Replay {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(20 * time.Second)
	for {
		r, err := h.store.Replay(h.t.Context(), hook.System, id)
		if err != nil {
			h.t.Fatal(err)
		}
		if ok(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-patience:
			h.t.Fatalf("the replay stands at %+v", r)
		}
	}
}

// TestReplay: every stored request that fits is delivered once, in its order, with the id that it has; a job that is
// stopped on the way goes on where it was.
func TestReplay(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	s := newSink(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Hookkeeper-Request-Id"))
	})
	h := newHouse(t, store.Options{})
	ids := h.captureMany(350)
	sub := h.subscribe(s.URL, func(sub *hook.Subscription) { sub.Concurrency = 1 })
	r := hook.Replay{SubscriptionID: sub.ID, Count: int64(len(ids)), By: "ann@example.com"}
	if err := h.store.CreateReplay(t.Context(), hook.System, &r); err != nil {
		t.Fatal(err)
	}
	h.captureMany(1) // too late to belong to it
	stop := h.startReplays()
	h.until(r.ID, func(r hook.Replay) bool { return r.Queued > 0 })
	stop()
	h.startReplays()
	end := h.until(r.ID, func(r hook.Replay) bool { return r.Done == int64(len(ids)) })
	wantEqual(t, "state", end.State, hook.ReplayDone)
	wantEqual(t, "queued", end.Queued, int64(len(ids)))
	var want []string
	for _, id := range ids {
		want = append(want, id.Text(hook.RequestPrefix))
	}
	mu.Lock()
	defer mu.Unlock()
	wantEqual(t, "delivered", got, want)
}

// TestReplayOfSome: the filter decides, and so do since and until.
func TestReplayOfSome(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	ids := h.captureMany(3)
	middle, err := h.store.Request(t.Context(), hook.System, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	sub := storetest.Subscription(t, h.store, h.url.ID)
	h.startReplays()
	for about, test := range map[string]struct {
		replay hook.Replay
		want   int64
	}{
		"since":          {hook.Replay{Since: middle.ReceivedAt}, 2},
		"until":          {hook.Replay{Until: middle.ReceivedAt}, 1},
		"method":         {hook.Replay{Filter: hook.Filter{Conditions: []hook.Condition{{Field: "method", Op: hook.OpIs, Value: middle.Method}}}}, 3},
		"another method": {hook.Replay{Filter: hook.Filter{Conditions: []hook.Condition{{Field: "method", Op: hook.OpIs, Value: "TRACE"}}}}, 0},
	} {
		test.replay.SubscriptionID = sub.ID
		if err := h.store.CreateReplay(t.Context(), hook.System, &test.replay); err != nil {
			t.Fatal(err)
		}
		end := h.until(test.replay.ID, func(r hook.Replay) bool { return r.State == hook.ReplayDone })
		wantEqual(t, about, end.Queued, test.want)
	}
}

// TestReplayOfADamagedRequest: a stored request that is damaged holds up no replay. Its delivery fails and says why.
func TestReplayOfADamagedRequest(t *testing.T) {
	t.Parallel()
	s := newSink(t, status(http.StatusOK))
	path := filepath.Join(t.TempDir(), "hookkeeper.db")
	h := newHouse(t, store.Options{Path: path})
	sub := h.subscribe(s.URL)
	ids := h.captureMany(3)
	db := openBeside(t, path)
	var body []byte
	if err := db.QueryRow("SELECT body FROM requests WHERE id = $1", ids[1]).Scan(&body); err != nil {
		t.Fatal(err)
	}
	setBody := func(b []byte) {
		if _, err := db.Exec("UPDATE requests SET body = $2 WHERE id = $1", ids[1], b); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { setBody(body) }) // so that the check at the end finds nothing else
	setBody([]byte("not what came"))
	r := hook.Replay{SubscriptionID: sub.ID, Count: 3}
	if err := h.store.CreateReplay(t.Context(), hook.System, &r); err != nil {
		t.Fatal(err)
	}
	h.startReplays()
	end := h.until(r.ID, func(r hook.Replay) bool { return r.Done+r.Failed == 3 })
	wantEqual(t, "state", end.State, hook.ReplayDone)
	wantEqual(t, "failed", end.Failed, int64(1))
	if d, _ := h.wait(ids[1], hook.Failed); !strings.Contains(d.Reason, "the request cannot be read") {
		t.Errorf("it failed because %q", d.Reason)
	}
}

// TestReplayIsBounded: no more than fit wait to be sent, and cancelling ends those that wait.
func TestReplayIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	sub := storetest.Subscription(t, h.store, h.url.ID)
	_, err := h.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(sub *hook.Subscription) error {
		sub.Hold.Paused = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.captureMany(hook.MaxReplayAhead + 200)
	r := hook.Replay{SubscriptionID: sub.ID, Count: hook.MaxReplayAhead + 200}
	if err := h.store.CreateReplay(t.Context(), hook.System, &r); err != nil {
		t.Fatal(err)
	}
	h.startReplays()
	h.until(r.ID, func(r hook.Replay) bool { return r.Queued == hook.MaxReplayAhead })
	end, err := h.store.CancelReplay(t.Context(), hook.System, r.ID, "cancelled")
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "state", end.State, hook.ReplayCancelled)
	wantEqual(t, "cancelled", end.Failed, int64(hook.MaxReplayAhead))
	status, err := h.store.Subscription(t.Context(), hook.System, sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "unfinished", status.Counts.Unfinished, int64(0))
	if _, err := h.store.CancelReplay(t.Context(), hook.System, r.ID, "again"); !hook.Is(err, hook.Conflict) {
		t.Errorf("cancelled twice: %v", err)
	}
}

// TestReplayKeepsItsRate: with 20 a second, 10 take about half a second, whatever the target can take.
func TestReplayKeepsItsRate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	sub := storetest.Subscription(t, h.store, h.url.ID)
	h.captureMany(11)
	r := hook.Replay{SubscriptionID: sub.ID, Rate: 20}
	if err := h.store.CreateReplay(t.Context(), hook.System, &r); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.startReplays()
	h.until(r.ID, func(r hook.Replay) bool { return r.Queued == 11 })
	if took := time.Since(began); took < 450*time.Millisecond {
		t.Errorf("11 deliveries were made in %v", took)
	}
}
