package delivery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// turn writes what has come to its end, claims what is due, and returns when to do so again at the latest; zero when nothing
// is waiting.
func (w *Worker) turn(ctx context.Context) (next time.Time) {
	if err := w.recordMany(ctx); err != nil {
		return w.notStored(err)
	}
	results, release, wants := w.gather(ctx)
	t := store.Turn{Results: results, Release: release}
	for i, want := range wants {
		if len(t.Claims) >= turnClaims {
			w.leaveOut(wants[i:])
			wants = wants[:i]
			break
		}
		if err := want.read(ctx, w.Store); err != nil {
			w.Log.Warn("reading a queue failed", "queue", want.queue.text(), "error", err)
			want.failed = true
			continue
		}
		t.Results = append(t.Results, interruptions(want.claims)...)
		t.Claims = append(t.Claims, want.claims...)
	}
	var recorded store.Recorded
	if len(t.Results)+len(t.Release)+len(t.Claims) > 0 {
		var err error
		if recorded, err = w.Store.Record(context.WithoutCancel(ctx), t); err != nil {
			w.putBack(results, release, wants)
			return w.notStored(err)
		}
	}
	w.tell(recorded.Changes)
	return w.accept(ctx, results, release, wants, recorded)
}

// notStored logs that results were not stored, and returns when to try it again.
func (w *Worker) notStored(err error) (next time.Time) {
	if !hook.Is(err, hook.Unavailable) { // that has been logged where it was found
		w.Log.Error("storing the results of deliveries failed", "error", err)
	}
	return time.Now().Add(retryStore)
}

func (w *Worker) tell(changes []store.Changed) {
	if len(changes) > 0 && w.OnChange != nil {
		w.OnChange(changes)
	}
}

// recordMany writes results, in transactions of few bytes, until those that are left fit into one: hundreds of targets may answer at once
// with as much as is kept of an answer, and captures come between.
func (w *Worker) recordMany(ctx context.Context) error {
	for {
		part := w.takeMany()
		if part == nil {
			return nil
		}
		recorded, err := w.Store.Record(context.WithoutCancel(ctx), store.Turn{Results: part})
		if err != nil {
			w.putBack(part, nil, nil)
			return err
		}
		w.tell(recorded.Changes)
		w.mu.Lock()
		w.recorded(part, recorded.Changes)
		w.mu.Unlock()
	}
}

// takeMany takes as many results as one transaction is to have, when there are more.
func (w *Worker) takeMany() []store.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := 0
	for i := range w.results {
		if size += sizeOf(w.results[i].Attempt); i > 0 && size > turnBytes {
			part := w.results[:i:i]
			w.results = w.results[i:]
			return part
		}
	}
	return nil
}

// sizeOf returns about how many bytes an attempt takes on disk.
func sizeOf(a *hook.Attempt) (n int) {
	if a == nil {
		return 0
	}
	n = len(a.ResponseBody)
	for _, headers := range [][]hook.Header{a.RequestHeaders, a.ResponseHeaders} {
		for _, h := range headers {
			n += len(h.Name) + len(h.Value)
		}
	}
	return n
}

// recorded takes over that results are on disk, and what they have made of subscriptions.
func (w *Worker) recorded(results []store.Result, changes []store.Changed) {
	for i := range results {
		if q := w.queues[results[i].Claim.Queue()]; q != nil {
			q.recorded(&results[i])
		}
	}
	for _, c := range changes {
		if q := w.queues[c.ID]; q != nil {
			q.changed(c)
		}
	}
}

// interruptions are the results of attempts that a process that died was making, as far as anybody knows.
func interruptions(claims []store.Claim) (results []store.Result) {
	for i := range claims {
		c := &claims[i]
		if !c.Interrupted {
			continue
		}
		results = append(results, store.Result{
			Claim: *c, Probe: true, Next: hook.Next{State: c.State, Reason: c.Reason, At: c.NextAt},
			Attempt: &hook.Attempt{
				DeliveryID: c.ID, Number: c.AttemptCount + 1, Trigger: triggerOf(c, false), By: c.By, StartedAt: time.Now(),
				Error: "Hookkeeper was stopped while it sent this: the target may have received it",
			},
		})
		c.AttemptCount++
	}
	return results
}

// gather takes what is to be written, and says of which queues more is to be claimed, those first that were left out the longest.
func (w *Worker) gather(ctx context.Context) (results []store.Result, release []store.Claim, wants []*want) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.woken {
		if w.queues[id] == nil {
			w.queues[id] = newQueue(id)
		}
		w.queues[id].look = true
	}
	clear(w.woken)
	for id, q := range w.queues {
		if q.asleep(now) {
			continue
		}
		q.refresh(ctx, w.Store)
		w.release = append(w.release, q.giveBack()...)
		if want := q.want(now); want != nil {
			wants = append(wants, want)
		} else if q.idle() {
			delete(w.queues, id)
		}
	}
	slices.SortFunc(wants, func(a, b *want) int { return cmp.Compare(b.queue.late, a.queue.late) })
	results, release = w.results, w.release
	w.results, w.release = nil, nil
	return results, release, wants
}

// leaveOut keeps for the next turn what there was no room for in this one.
func (w *Worker) leaveOut(wants []*want) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, want := range wants {
		want.queue.look = true
		want.queue.late++
	}
}

// putBack keeps for the next turn what could not be stored.
func (w *Worker) putBack(results []store.Result, release []store.Claim, wants []*want) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results = append(results, w.results...)
	w.release = append(release, w.release...)
	for _, want := range wants {
		want.queue.look = true
	}
}

// accept takes over what was leased, starts sending, and returns when the next turn is due.
func (w *Worker) accept(ctx context.Context, results []store.Result, release []store.Claim, wants []*want, recorded store.Recorded) (next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded(results, recorded.Changes)
	for _, c := range release {
		if q := w.queues[c.Queue()]; q != nil {
			delete(q.claimed, c.ID)
		}
	}
	for _, want := range wants {
		want.queue.looked(want)
	}
	for _, c := range recorded.Leased {
		w.queues[c.Queue()].add(c)
	}
	now := time.Now()
	for _, q := range w.queues {
		if !q.asleep(now) {
			q.settle()
			q.refresh(ctx, w.Store) // what was just recorded may hold what was just leased
			w.release = append(w.release, q.giveBack()...)
			w.pump(q)
		}
		if at := q.nextLook(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if len(w.release) > 0 {
		return time.Now()
	}
	if soon := time.Now().Add(retryStore); w.Store.Broken() && (next.IsZero() || soon.Before(next)) {
		return soon
	}
	return next
}
