package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

const (
	stopGrace  = 8 * time.Second        // for attempts that are under way when the worker stops
	lookEvery  = time.Minute            // how often every queue is looked at, whatever was told
	retryStore = 500 * time.Millisecond // when the store failed
	giveWay    = 40 * time.Millisecond  // from turn to turn while the store is busy with captures
	turnClaims = hook.MaxSending        // claims after which a turn asks no further queue: captures wait for what it writes
	turnBytes  = 2 << 20                // of results, after which another transaction begins: captures come between
)

// Options are the parts of a Worker.
type Options struct {
	Store   *store.Store
	Guard   *egress.Guard
	Version string // of Hookkeeper, for the User-Agent
	// OnChange tells that subscriptions went down, recovered or were disabled. It must not block; may be nil.
	OnChange func([]store.Changed)
	Tally    *tally.Tally // counts what is put off; may be nil
	Log      *slog.Logger
}

// Worker delivers. Notify and Try may be called at any time; Run does the work.
type Worker struct {
	Options
	wake   chan struct{}
	recent recent
	told   rate.Sometimes // when deliveries are put off

	mu       sync.Mutex
	queues   map[hook.ID]*queue
	woken    map[hook.ID]struct{} // queues to look at
	results  []store.Result       // not stored yet
	release  []store.Claim        // to be given back unsent
	room     room
	blocked  []*queue // had something to send when there was no room, in the order of their turns
	filters  filterTurns
	stopping bool
	rested   chan struct{} // gets a value when stopping and nothing is under way

	sendCtx context.Context // of the attempts
	cancel  context.CancelFunc
}

// New returns a worker that does nothing until Run.
func New(o Options) *Worker {
	w := &Worker{
		Options: o, wake: make(chan struct{}, 1), rested: make(chan struct{}, 1), told: rate.Sometimes{Interval: oursTold},
		queues: map[hook.ID]*queue{}, woken: map[hook.ID]struct{}{}, filters: filterTurns{waiting: map[hook.ID][]*queue{}},
	}
	w.sendCtx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Notify tells that queues, see store.Claim.Queue, may have something to send, or that their subscriptions may have changed.
func (w *Worker) Notify(queues []hook.ID) {
	w.mu.Lock()
	for _, id := range queues {
		w.woken[id] = struct{}{}
	}
	w.mu.Unlock()
	w.signal()
}

// Captured tells of requests that are on disk now; see store.Options.OnCommit. They are not changed.
func (w *Worker) Captured(requests []*hook.Request) { w.recent.keep(requests) }

func (w *Worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. Then it claims nothing more, gives the attempts under way some time to come to their end and
// stores what came of them.
func (w *Worker) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			w.stop()
			return nil
		case <-w.wake:
		case <-timer.C:
		}
		if now := time.Now(); now.Sub(looked) >= lookEvery {
			looked = now
			w.wakeAll(ctx)
		}
		began := time.Now()
		next := w.turn(ctx)
		if w.Store.Busy() && !w.rest(ctx, time.Until(began.Add(giveWay))) {
			w.stop()
			return nil
		}
		wait := time.Until(looked.Add(lookEvery))
		if !next.IsZero() {
			wait = min(wait, time.Until(next))
		}
		timer.Reset(wait)
	}
}

// rest leaves the machine to captures: those who sent them wait for their answers, while deliveries can catch up later. It
// reports whether ctx goes on.
func (w *Worker) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// wakeAll looks at every queue that has something in it.
func (w *Worker) wakeAll(ctx context.Context) {
	all, err := w.Store.Queues(ctx)
	if err != nil {
		w.Log.Warn("reading which queues have something in them failed", "error", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range all {
		w.woken[id] = struct{}{}
	}
}

// pump starts as many attempts of a queue as may be under way.
func (w *Worker) pump(q *queue) {
	for more := true; more; {
		more = w.start(q)
	}
}

// start makes the next attempt of a queue, if one more may be under way, or notes what it waits for.
func (w *Worker) start(q *queue) bool {
	if w.stopping || !q.wants() || w.Store.Broken() { // what came of it could not be kept, and would pile up
		return false
	}
	if q.undecided() {
		if rest := time.Until(q.rest); rest > 0 {
			w.resumeIn(q, rest)
			return false
		}
		w.filters.add(q)
		w.startFilters()
		return false
	}
	if !w.room.lets(q) {
		w.block(q)
		return false
	}
	if wait := q.pause(); wait > 0 {
		w.resumeIn(q, wait)
		return false
	}
	place := w.room.first(q)
	w.room.take(place)
	go w.deliver(q, q.take(), q.sub, place)
	return true
}

// block puts a queue behind those that wait for room.
func (w *Worker) block(q *queue) {
	if !q.blocked {
		q.blocked = true
		w.blocked = append(w.blocked, q)
	}
}

// serve lets the queues that wait for room start one attempt each, in turn, until there is none. Those that room was kept from come
// again when nobody needs it: the one that it was kept for may have to wait for its rate.
func (w *Worker) serve() {
	kept := w.room.next
	w.serveOnce()
	if kept != nil && w.room.next == nil {
		w.serveOnce()
	}
}

// serveOnce leaves those that there was no room for in front of those that were served.
func (w *Worker) serveOnce() {
	var passed []*queue
	defer clear(w.room.served)
	for len(w.blocked) > 0 && !w.room.full() {
		q := w.blocked[0]
		w.blocked = w.blocked[1:]
		if q.wants() && !w.room.lets(q) {
			passed = append(passed, q)
			continue
		}
		q.blocked = false
		if w.start(q) {
			w.room.hasServed(q)
			w.block(q)
		}
	}
	if len(passed) > 0 {
		w.blocked = append(passed, w.blocked...)
	}
}

// resumeIn goes on with a queue after a while, or earlier when that was said before.
func (w *Worker) resumeIn(q *queue, wait time.Duration) {
	at := time.Now().Add(wait)
	switch {
	case q.waits == nil:
		q.waits = time.AfterFunc(wait, func() { w.resume(q) })
	case at.Before(q.resumeAt):
		q.waits.Reset(wait)
	default:
		return
	}
	q.resumeAt = at
}

// resume goes on with a queue that had sent as much as its rate allows, or rested.
func (w *Worker) resume(q *queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.waits = nil
	w.pump(q)
}

// deliver makes one attempt and hands in what came of it, or gives back what is not to be sent any more.
func (w *Worker) deliver(q *queue, c store.Claim, sub *subscription, taken place) {
	begun, err := w.Store.Begin(w.sendCtx, &c)
	var result store.Result
	if begun {
		result = w.attempt(w.sendCtx, sub, c)
	} else if err != nil {
		w.Log.Warn("reading a delivery failed: it is put off", "delivery", c.ID.Text(hook.DeliveryPrefix), "error", err)
	}
	w.mu.Lock()
	q.sending--
	w.room.giveBack(taken)
	switch {
	case !begun:
		w.release = append(w.release, c)
		q.look = true
	case putOff(&result):
		q.rest = time.Now().Add(oursRest)
		fallthrough
	default:
		w.results = append(w.results, result)
	}
	w.serve() // those that have waited come before the queue that has just had its turn
	w.pump(q)
	w.tellRested()
	w.mu.Unlock()
	w.signal()
}

// busy reports whether something is under way.
func (w *Worker) busy() bool { return w.room.sending+w.filters.running > 0 }

// tellRested tells stop when nothing is under way any more.
func (w *Worker) tellRested() {
	if w.stopping && !w.busy() {
		select {
		case w.rested <- struct{}{}:
		default:
		}
	}
}

// stop waits for what is under way, cuts it off when that takes too long, and stores the results.
func (w *Worker) stop() {
	w.mu.Lock()
	w.stopping = true
	busy := w.busy()
	for _, q := range w.queues {
		w.release = append(w.release, q.ready...)
		q.ready = nil
	}
	w.mu.Unlock()
	if busy {
		patience := time.NewTimer(stopGrace)
		defer patience.Stop()
		select {
		case <-w.rested:
		case <-patience.C:
			w.cancel()
			<-w.rested
		}
	}
	w.cancel()
	w.mu.Lock()
	t := store.Turn{Results: w.results, Release: w.release}
	w.results, w.release = nil, nil
	w.mu.Unlock()
	if len(t.Results)+len(t.Release) == 0 {
		return
	}
	if _, err := w.Store.Record(context.Background(), t); err != nil {
		w.Log.Error("storing the last results of deliveries failed: they will be sent again", "error", err)
	}
}
