package delivery_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/delivery"
	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// house is a store with a worker on it.
type house struct {
	t       testing.TB
	path    string // of the database, "" when the store chose it
	store   *store.Store
	worker  *delivery.Worker
	url     hook.CaptureURL
	changes chan store.Changed
	news    chan hook.DeliveryNews
	replays atomic.Pointer[delivery.Replays]
	tally   tally.Tally
	stop    func() // ends the worker and waits for it
}

// newHouse starts a worker that may reach this machine.
func newHouse(t testing.TB, opts store.Options) *house {
	t.Helper()
	h := openHouse(t, opts)
	h.url = storetest.CaptureURL(t, h.store)
	h.start()
	return h
}

// openHouse makes a worker that has not been started.
func openHouse(t testing.TB, opts store.Options) *house {
	t.Helper()
	h := &house{t: t, path: opts.Path, changes: make(chan store.Changed, 100), news: make(chan hook.DeliveryNews, 10_000)}
	var worker *delivery.Worker
	opts.OnQueue = func(ids []hook.ID) { worker.Notify(ids) }
	opts.OnDelivery = func(news []hook.DeliveryNews) {
		for _, n := range news {
			select {
			case h.news <- n:
			default:
			}
		}
	}
	opts.OnReplay = func() {
		if job := h.replays.Load(); job != nil {
			job.Notify()
		}
	}
	opts.OnCommit = func(requests []*hook.Request) { worker.Captured(requests) }
	h.store = storetest.Open(t, opts)
	if _, ok := t.(*testing.T); ok { // of a benchmark it would take long
		t.Cleanup(func() { storetest.WantSound(t, h.store) })
	}
	worker = delivery.New(delivery.Options{
		Store: h.store, Guard: newGuard(t, "127.0.0.1"), Version: "1.2.3", Tally: &h.tally, Log: slog.New(slog.DiscardHandler),
		OnChange: func(all []store.Changed) {
			for _, c := range all {
				h.changes <- c
			}
		},
	})
	h.worker = worker
	return h
}

func newGuard(t testing.TB, allow string) *egress.Guard {
	t.Helper()
	list, errs := egress.ParseAllowList(allow)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	g := egress.New(egress.Options{Allow: list})
	t.Cleanup(g.Close)
	return g
}

func (h *house) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.worker.Run(ctx)
	}()
	h.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.t.Cleanup(h.stop)
}

// subscribe makes a subscription to a target.
func (h *house) subscribe(target string, change ...func(*hook.Subscription)) hook.Subscription {
	h.t.Helper()
	return storetest.Subscription(h.t, h.store, h.url.ID, append([]func(*hook.Subscription){func(s *hook.Subscription) {
		s.TargetURL, s.Signing.Scheme = target, hook.SignNone
	}}, change...)...)
}

// capture stores a request for subscriptions.
func (h *house) capture(subs ...hook.Subscription) *hook.Request {
	h.t.Helper()
	ids := make([]hook.ID, len(subs))
	for i, s := range subs {
		ids[i] = s.ID
	}
	r := storetest.Routed(h.url.ID, 10, ids...)
	if err := h.store.Capture(r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

// wait returns the delivery of a request once it is in one of the states.
func (h *house) wait(request hook.ID, states ...hook.State) (hook.Delivery, []hook.Attempt) {
	h.t.Helper()
	patience := time.After(10 * time.Second)
	for {
		all, err := h.store.Deliveries(context.Background(), hook.System, store.DeliveryPage{Request: request, Limit: 1})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, state := range states {
			if len(all) > 0 && all[0].State == state {
				attempts, err := h.store.Attempts(context.Background(), hook.System, all[0].ID)
				if err != nil {
					h.t.Fatal(err)
				}
				return all[0], attempts
			}
		}
		select {
		case <-h.news:
		case <-patience:
			h.t.Fatalf("the delivery does not become %v: %+v", states, all)
		}
	}
}

// received is a request as a target gets it.
type received struct {
	Method, URI string
	Header      http.Header
	Body        []byte
}

// sink is a target that answers as it is told and shows what it got.
type sink struct {
	URL string
	got chan received
}

func newSink(t testing.TB, answer http.HandlerFunc) *sink {
	t.Helper()
	s := &sink{got: make(chan received, 10_000)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.got <- received{r.Method, r.RequestURI, r.Header.Clone(), body}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

func (s *sink) next(t testing.TB) received {
	t.Helper()
	select {
	case r := <-s.got:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrives at the target")
		return received{}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func wantEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestDelivered: what was captured arrives byte for byte, once, and the attempt is logged.
func TestDelivered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", "a")
		_, _ = io.WriteString(w, "thanks")
	})
	sub := h.subscribe(s.URL + "/hooks?key=1")
	r := h.capture(sub)
	got := s.next(t)
	wantEqual(t, "body", got.Body, r.Body)
	wantEqual(t, "request line", got.Method+" "+got.URI, "POST /hooks?key=1")
	d, attempts := h.wait(r.ID, hook.Succeeded)
	wantEqual(t, "attempts", d.AttemptCount, 1)
	wantEqual(t, "status", d.LastStatus, 200)
	a := attempts[0]
	wantEqual(t, "the answer's body", string(a.ResponseBody), "thanks")
	wantEqual(t, "the answer's header", a.Answer("X-Answer"), "a")
	wantEqual(t, "where it went", a.URL, s.URL+"/hooks?key=1")
	if a.RemoteAddr == "" || a.Duration <= 0 || a.Timing.FirstByte <= 0 || a.StartedAt.IsZero() {
		t.Errorf("the attempt lacks something: %+v", a)
	}
	after, err := h.store.Subscription(t.Context(), hook.System, sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "counts", after.Counts, hook.DeliveryCounts{Succeeded: 1, Attempts: 1})
}

// TestWrongCountHoldsNothing: what is in a queue is found at the start, whatever its subscription counts, and upkeep mends that.
func TestWrongCountHoldsNothing(t *testing.T) {
	t.Parallel()
	target := newSink(t, status(200))
	h, sub, requests := withStats(t, "unfinished = $1", 0, target.URL, 1)
	h.start()
	h.wait(requests[0], hook.Succeeded)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.store.Run(ctx) }()
	h.waitCount(sub.ID, 0)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// waitCount waits until a subscription counts so many unfinished deliveries.
func (h *house) waitCount(sub hook.ID, want int64) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(10 * time.Second)
	for {
		status, err := h.store.Subscription(context.Background(), hook.System, sub)
		if err != nil {
			h.t.Fatal(err)
		}
		if status.Counts.Unfinished == want {
			return
		}
		select {
		case <-tick.C:
		case <-patience:
			h.t.Fatalf("the subscription counts %+v", status.Counts)
		}
	}
}
