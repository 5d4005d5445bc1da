package delivery

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

const parallelFilters = 2 // filters that are decided at a time

// filterTurns says whose filter is decided next, as far as that was not done at capture. How long it takes is a stranger's to
// choose, so it is decided apart from sending, one delivery of a queue at a time: the owners take turns, and the queues of an
// owner do. Whoever has one fast filter waits for one of each other owner at most. The worker's lock guards it.
type filterTurns struct {
	running int
	owners  []hook.ID            // of those that wait, the next one first
	waiting map[hook.ID][]*queue // of each of these owners, the next one first
}

// add lets a queue wait for its turn, once.
func (t *filterTurns) add(q *queue) {
	if q.deciding {
		return
	}
	q.deciding = true
	if len(t.waiting[q.owner]) == 0 {
		t.owners = append(t.owners, q.owner)
	}
	t.waiting[q.owner] = append(t.waiting[q.owner], q)
}

// next returns the queue whose turn it is, nil when none waits or enough are being decided.
func (t *filterTurns) next() *queue {
	if len(t.owners) == 0 || t.running >= parallelFilters {
		return nil
	}
	owner := t.owners[0]
	t.owners = slices.Delete(t.owners, 0, 1)
	q := t.waiting[owner][0]
	if t.waiting[owner] = slices.Delete(t.waiting[owner], 0, 1); len(t.waiting[owner]) > 0 {
		t.owners = append(t.owners, owner)
	} else {
		delete(t.waiting, owner)
	}
	return q
}

// startFilters decides as many filters as may be decided at a time.
func (w *Worker) startFilters() {
	for !w.stopping {
		q := w.filters.next()
		switch {
		case q == nil:
			return
		case q.undecided():
			w.filters.running++
			go w.decide(q, q.sub, q.ready[0])
		default: // paused, down, or changed while it waited
			q.deciding = false
		}
	}
}

// decide asks the filter of a queue for its first delivery, which then can be sent or has come to its end.
func (w *Worker) decide(q *queue, sub *subscription, c store.Claim) {
	next := w.byFilter(sub, &c)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filters.running--
	q.deciding = false
	if current := q.sub != nil && q.sub.program == sub.program; current && q.undecided() && q.ready[0].ID == c.ID {
		w.decided(q, next)
	}
	w.pump(q)
	w.startFilters()
	w.tellRested()
}

// decided takes over what the filter says of the first delivery of a queue: nil when it is to be sent.
func (w *Worker) decided(q *queue, next *hook.Next) {
	if next == nil {
		q.passed = q.ready[0].ID
		return
	}
	result := store.Result{Claim: q.ready[0], Next: *next}
	if putOff(&result) {
		q.rest = time.Now().Add(oursRest)
	}
	w.results = append(w.results, result)
	q.ready = q.ready[1:]
	w.signal()
}

// byFilter returns what becomes of a delivery that the filter does not let pass, nil when it does.
func (w *Worker) byFilter(sub *subscription, c *store.Claim) (next *hook.Next) {
	defer w.recovered(c, func(mistake hook.Next) { next = &mistake })
	request, _, next := w.load(w.sendCtx, c)
	if next == nil && c.Undecided {
		next = byConditions(&sub.Filter, request)
	}
	if next == nil && sub.Filter.JQ != "" {
		next = sub.byJQ(w.sendCtx, request)
	}
	return next
}

// byConditions decides the conditions that were too much work for the time in which a sender waits.
func byConditions(f *hook.Filter, r *hook.Request) *hook.Next {
	rule := filter.NewFacts(r, math.MaxInt).Match(f)
	if rule == hook.Delivered {
		return nil
	}
	return &hook.Next{State: hook.Skipped, Reason: hook.Clip(f.Rules()[rule], 200)}
}

// byJQ runs the jq condition, which is left to the worker because its time is a stranger's to choose.
func (sub *subscription) byJQ(ctx context.Context, r *hook.Request) *hook.Next {
	if sub.program == nil {
		return &hook.Next{State: hook.Failed, Reason: "the jq condition cannot be used: " + sub.broken.Error()}
	}
	switch verdict := sub.program.Judge(ctx, sub.Filter.JQ, r); {
	case verdict.Fails:
		return &hook.Next{State: hook.Failed, Reason: verdict.Rule}
	case !verdict.Matched:
		return &hook.Next{State: hook.Skipped, Reason: verdict.Rule}
	}
	return nil
}
