package delivery

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

const (
	maxClaimed  = 256              // deliveries of one queue that are leased and not sent yet
	maxInFlight = 256              // those that were sent and whose results are not on disk: so many may come twice after a kill
	quickRefill = time.Second      // a batch that lasts shorter than this is doubled, one that lasts longer is halved
	rateAhead   = 2 * time.Second  // of a queue with a rate, how much is claimed ahead
	headEvery   = time.Second      // how often a long queue is looked at from its head while it is worked on
	reread      = 10 * time.Second // when reading a queue failed
)

// subscription is a subscription as a queue knows it. It is replaced, never changed.
type subscription struct {
	hook.SubscriptionStatus
	program *filter.Program // nil without a jq condition
	broken  error           // why there is no program although there is a condition
}

// queue is the window on the deliveries of one subscription, or on the resends from one capture URL to typed URLs. The worker's lock guards it.
type queue struct {
	id      hook.ID       // see store.Claim.Queue
	sub     *subscription // nil for typed URLs, and when it is gone
	gone    bool          // the subscription, or the capture URL of resends, was deleted
	claimed map[hook.ID]bool
	ready   []store.Claim // leased and not under way yet, in their order
	owner   hook.ID       // of its capture URL
	passed  hook.ID       // the first of ready, when the filter lets it pass
	probe   hook.ID       // the delivery that probes a target that is down; 0 = none
	sending int
	limiter *rate.Limiter // nil = no limit
	ramp    int           // attempts at a time while the target comes back; 0 = as many as the subscription says

	look    bool           // the store may have more
	late    int            // turns in a row that had no room for what it asks
	dry     bool           // the target is down and there was nothing to probe it with
	next    time.Time      // when it will have; zero = nothing is known
	batch   int            // how many are claimed at a time
	refill  time.Time      // when that was done last
	from    store.Position // where to go on claiming; the head again after headEvery
	headAt  time.Time      // when that was done last
	turn    store.ProbeTurn
	rest    time.Time // nothing is sent until then, after a fault of ours
	unread  time.Time // nothing is claimed until then, because that failed
	blocked bool      // among Worker.blocked

	waits    *time.Timer // for the rate or the rest, nil = none runs
	resumeAt time.Time   // when it ends

	deciding bool // among those that wait for their filter, or it is being decided
}

func newQueue(id hook.ID) *queue {
	return &queue{id: id, claimed: map[hook.ID]bool{}, batch: hook.DefaultConcurrency}
}

// typed reports whether the queue is one of resends to typed URLs.
func (q *queue) typed() bool { return q.id < 0 }

func (q *queue) text() string {
	if q.typed() {
		return (-q.id).Text(hook.CaptureURLPrefix)
	}
	return q.id.Text(hook.SubscriptionPrefix)
}

// idle reports whether the queue can be forgotten.
func (q *queue) idle() bool {
	return len(q.claimed) == 0 && !q.look && q.next.IsZero() && q.waits == nil && !q.blocked && q.nextLook().IsZero()
}

// refresh reads the subscription again, which costs next to nothing.
func (q *queue) refresh(ctx context.Context, st *store.Store) {
	if q.typed() {
		u, err := st.CaptureURL(ctx, hook.System, -q.id)
		q.owner, q.gone = u.OwnerID, err != nil
		return
	}
	status, err := st.Subscription(ctx, hook.System, q.id)
	if q.gone = err != nil; q.gone {
		q.sub = nil
		return
	}
	before := q.sub
	q.sub = &subscription{SubscriptionStatus: status}
	if u, err := st.CaptureURL(ctx, hook.System, status.CaptureURLID); err == nil {
		q.owner = u.OwnerID
	}
	if jq := status.Filter.JQ; jq != "" {
		if before != nil && before.Filter.JQ == jq {
			q.sub.program, q.sub.broken = before.program, before.broken
		} else {
			q.sub.program, q.sub.broken = filter.Compile(jq)
			q.passed = 0
		}
	}
	if before == nil || before.Rate != status.Rate {
		q.limiter = nil
		if status.Rate > 0 {
			q.limiter = rate.NewLimiter(rate.Limit(status.Rate), 1)
		}
	}
}

// asleep reports whether there is nothing to do for the queue until its next look, unless somebody tells: most are, and a turn
// must not cost more for them.
func (q *queue) asleep(now time.Time) bool {
	return !q.look && len(q.claimed) == 0 && q.nextLook().After(now)
}

// held reports whether nothing at all may be sent.
func (q *queue) held() bool {
	return q.gone || q.sub != nil && (q.sub.Hold.Disabled || q.sub.Hold.Paused)
}

func (q *queue) down() bool { return q.sub != nil && q.sub.Health.Down() }

func (q *queue) discarded(id hook.ID) bool { return q.sub != nil && id <= q.sub.Discarded }

// giveBack returns what was claimed and is not to be sent any more.
func (q *queue) giveBack() (back []store.Claim) {
	keep := q.ready[:0]
	for _, c := range q.ready {
		if q.held() || q.discarded(c.ID) || q.down() && c.ID != q.probe && !q.sub.SendsAnyway(&c.Delivery) {
			back = append(back, c)
		} else {
			keep = append(keep, c)
		}
	}
	q.ready = keep
	return back
}

// undecided reports whether the filter has to be asked before the first of ready is sent: also when a process died that had
// claimed it, and may not have asked.
func (q *queue) undecided() bool {
	if len(q.ready) == 0 || q.sub == nil {
		return false
	}
	c := &q.ready[0]
	return c.ID != q.passed && c.Trigger == hook.TriggerCapture && (c.AttemptCount == 0 || c.Interrupted) && (q.sub.Filter.JQ != "" || c.Undecided)
}

// limit is how many attempts may be under way.
func (q *queue) limit() int {
	switch {
	case q.sub == nil:
		return hook.DefaultConcurrency
	case q.sub.Ordered:
		return 1
	case q.ramp > 0:
		return min(q.ramp, q.sub.Concurrency)
	}
	return q.sub.Concurrency
}

// pause returns how long to wait before the next attempt, after a fault of ours or for the rate; 0 takes that attempt out of the
// rate.
func (q *queue) pause() time.Duration {
	if rest := time.Until(q.rest); rest > 0 {
		return rest
	}
	if q.limiter == nil {
		return 0
	}
	now := time.Now()
	r := q.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// wants reports whether there is an attempt to make that the queue's own limits allow.
func (q *queue) wants() bool {
	return len(q.ready) > 0 && q.sending < q.limit() && q.inFlight() < maxInFlight
}

// inFlight is how many were sent, or are being sent, and have no result on disk.
func (q *queue) inFlight() int { return len(q.claimed) - len(q.ready) }

func (q *queue) take() store.Claim {
	c := q.ready[0]
	q.ready = q.ready[1:]
	q.sending++
	return c
}

func (q *queue) add(c store.Claim) {
	q.claimed[c.ID] = true
	q.ready = append(q.ready, c)
}

// recorded notes that a result is on disk.
func (q *queue) recorded(r *store.Result) {
	delete(q.claimed, r.Claim.ID)
	if r.Claim.ID == q.probe {
		q.probe = 0
	}
	if r.Attempt != nil && r.Attempt.OK() && q.ramp > 0 {
		if q.ramp *= 2; q.sub == nil || q.ramp >= q.sub.Concurrency {
			q.ramp = 0
		}
	}
	switch {
	case q.sub != nil && q.sub.Ordered:
		q.look = true
	case r.Next.State == hook.Waiting && !r.Next.At.IsZero():
		q.nextAt(r.Next.At)
	}
}

// nextAt notes when something will be due. Only the time of day counts, as for what the store says: a time with a reading of the
// monotonic clock is compared by that with some times and not with others, and comes out wrong when the clock has been set.
func (q *queue) nextAt(at time.Time) {
	if at = at.Round(0); q.next.IsZero() || at.Before(q.next) {
		q.next = at
	}
}

// changed notes what attempts made of the subscription.
func (q *queue) changed(c store.Changed) {
	q.look = true
	if c.Change == hook.Recovered {
		q.ramp, q.turn = 1, store.ProbeTurn{}
	}
}

// nextLook returns the time of day when the queue has to be looked at without anybody telling; zero = not.
func (q *queue) nextLook() time.Time {
	now := time.Now().Round(0)
	switch {
	case q.held():
		return time.Time{}
	case q.rest.After(now):
		return q.rest.Round(0)
	case q.unread.After(now):
		return q.unread.Round(0)
	case !q.typed() && q.sub.Health.QuietUntil.After(now):
		return q.sub.Health.QuietUntil.Round(0)
	case q.down() && q.look && !q.stocked():
		return now
	case q.down() && (q.probe != 0 || q.dry || len(q.claimed) > 0): // what ends of these tells
		return time.Time{}
	case q.down():
		return q.sub.Health.ProbeAt.Round(0)
	case q.look && !q.stocked() && (q.sub == nil || !q.sub.Ordered || len(q.claimed) == 0):
		return now
	}
	if q.next.IsZero() && !q.look && len(q.claimed) == 0 {
		return q.rested()
	}
	return q.next
}

// rested returns when a queue has rested as long as its rate asks for after its last attempt; zero when it has. Until then it is
// remembered, because a new one could send at once.
func (q *queue) rested() time.Time {
	if q.limiter == nil {
		return time.Time{}
	}
	missing := 1 - q.limiter.Tokens()
	if missing <= 0 {
		return time.Time{}
	}
	return time.Now().Round(0).Add(time.Duration(missing / float64(q.limiter.Limit()) * float64(time.Second)))
}

// want is what a queue asks of the store, and what it gets.
type want struct {
	queue  *queue
	ask    store.Queue
	probe  bool
	byHand bool

	claims []store.Claim
	found  store.Found
	turn   store.ProbeTurn
	failed bool
}

// want returns what is to be claimed now; nil = nothing.
func (q *queue) want(now time.Time) *want {
	if !q.next.IsZero() && !now.Before(q.next) {
		q.look, q.next = true, time.Time{}
	}
	if q.held() { // whoever ends that tells
		q.look, q.next = false, time.Time{}
		return nil
	}
	if q.rest.After(now) || q.unread.After(now) || q.sub != nil && q.sub.Health.QuietUntil.After(now) {
		return nil
	}
	w := &want{queue: q, ask: store.Queue{ID: q.id, Now: now}, turn: q.turn}
	switch {
	case q.down():
		q.dry = q.dry && !q.look
		w.probe = !q.dry && len(q.claimed) == 0 && !now.Before(q.sub.Health.ProbeAt)
		w.byHand = q.look && !q.stocked()
	case !q.look:
		return nil
	case q.sub != nil && q.sub.Ordered:
		if len(q.claimed) > 0 {
			return nil
		}
		w.ask.Ordered = true
	case q.stocked():
		return nil
	}
	if q.down() && !w.probe && !w.byHand {
		return nil
	}
	q.look = false
	q.size(now)
	w.ask.Limit = min(q.batch, maxClaimed-len(q.ready))
	if w.ask.Limit <= 0 {
		q.look = true
		return nil
	}
	if now.Sub(q.headAt) > headEvery || q.down() || w.ask.Ordered {
		q.from, q.headAt = store.Position{}, now
	}
	w.ask.From = q.from
	w.ask.Skip = make(map[hook.ID]bool, len(q.claimed))
	for id := range q.claimed {
		w.ask.Skip[id] = true
	}
	return w
}

// stocked reports whether enough is claimed for now.
func (q *queue) stocked() bool { return len(q.ready) > q.batch/2 }

// size adapts how many are claimed at a time to how fast they go.
func (q *queue) size(now time.Time) {
	least, most := hook.DefaultConcurrency, maxClaimed
	if q.sub != nil {
		least = q.sub.Concurrency
		if q.sub.Rate > 0 {
			most = int(min(q.sub.Rate*rateAhead.Seconds(), maxClaimed)) + 1
		}
	}
	if now.Sub(q.refill) < quickRefill {
		q.batch *= 2
	} else {
		q.batch /= 2
	}
	q.batch = min(max(q.batch, least), most)
	q.refill = now
}

// read asks the store.
func (w *want) read(ctx context.Context, st *store.Store) (err error) {
	switch {
	case w.probe:
		w.claims, w.turn, err = w.nextProbe(ctx, st)
	case w.byHand:
		w.claims, err = st.DueByHand(ctx, w.ask)
	default:
		w.found, err = st.Due(ctx, w.ask)
		w.claims = w.found.Claims
	}
	return err
}

// nextProbe returns the delivery to try a target with that is down. An ordered queue is probed with its head.
func (w *want) nextProbe(ctx context.Context, st *store.Store) ([]store.Claim, store.ProbeTurn, error) {
	if w.queue.sub.Ordered {
		w.ask.Ordered, w.ask.EvenIfWaiting = true, true
		found, err := st.Due(ctx, w.ask)
		return found.Claims, w.turn, err
	}
	c, turn, err := st.NextProbe(ctx, w.ask.ID, w.turn)
	if c == nil || err != nil {
		return nil, turn, err
	}
	return []store.Claim{*c}, turn, nil
}

// settle ends a probe that could not be leased.
func (q *queue) settle() {
	if !q.claimed[q.probe] {
		q.probe = 0
	}
}

// looked takes over what the store said.
func (q *queue) looked(w *want) {
	q.late = 0
	switch {
	case w.failed:
		q.unread, q.look = time.Now().Add(reread), true
		return
	case w.probe:
		q.turn, q.dry = w.turn, len(w.claims) == 0
		if !q.dry {
			q.probe = w.claims[0].ID
		}
		q.look = q.look || w.byHand && !q.dry
		return
	case w.byHand:
		q.look = q.look || len(w.claims) == w.ask.Limit // there may be more
		return
	case w.found.More:
		q.look, q.from = true, w.found.Last
		return
	}
	if w.ask.From != (store.Position{}) {
		q.look = true // once more from the head: what was there may be due again, or have come late
	}
	q.from = store.Position{}
	if !w.found.Next.IsZero() {
		q.nextAt(w.found.Next)
	}
}
