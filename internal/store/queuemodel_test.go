package store_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// queueModel says what subscriptions count after any sequence of what can happen to deliveries, in the simplest way.
type queueModel struct {
	t        *testing.T
	opts     store.Options
	s        *store.Store
	url      hook.ID
	subs     map[hook.ID]*hook.DeliveryCounts
	requests []hook.ID // that are left, oldest first
	made     map[hook.ID]*modelDelivery
	claims   []store.Claim // whose attempts are under way
}

type modelDelivery struct {
	id, sub, request hook.ID
	unfinished, gone bool
}

// TestQueueModel does at random what can be done to deliveries while attempts are under way, and compares after each step.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &queueModel{
			t: t, opts: store.Options{Path: filepath.Join(t.TempDir(), strconv.Itoa(runs)), Key: seal.NewKey()},
			subs: map[hook.ID]*hook.DeliveryCounts{}, made: map[hook.ID]*modelDelivery{},
		}
		m.open()
		defer func() { closeStore(t, m.s) }()
		m.url = storetest.CaptureURL(t, m.s).ID
		m.subscribe(rt)
		m.subscribe(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":               m.check,
			"subscribe":      m.subscribe,
			"capture":        m.capture,
			"claim":          m.claim,
			"record":         m.record,
			"discard":        m.discard,
			"cancel":         m.cancel,
			"unsubscribe":    m.unsubscribe,
			"delete request": m.deleteRequest,
			"clear":          m.clear,
			"expire":         m.expire,
			"settle":         func(*rapid.T) { must(t, m.s.Settle(t.Context())) },
			"purge":          func(*rapid.T) { purge(t, m.s) },
			"reopen":         m.reopen,
		})
	})
}

func (m *queueModel) open() {
	var err error
	m.s, err = store.Open(m.t.Context(), m.opts)
	must(m.t, err)
}

func (m *queueModel) reopen(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "seldom") != 0 {
		rt.Skip("it takes long")
	}
	closeStore(m.t, m.s)
	m.claims = nil
	m.open()
}

func (m *queueModel) subscribe(rt *rapid.T) {
	if len(m.subs) == 2 {
		rt.Skip("more of them are not more interesting")
	}
	m.subs[storetest.Subscription(m.t, m.s, m.url).ID] = &hook.DeliveryCounts{}
}

// sub draws a subscription.
func (m *queueModel) sub(rt *rapid.T) hook.ID {
	if len(m.subs) == 0 {
		rt.Skip("there is no subscription")
	}
	ids := make([]hook.ID, 0, len(m.subs))
	for id := range m.subs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return rapid.SampledFrom(ids).Draw(rt, "subscription")
}

func (m *queueModel) capture(*rapid.T) {
	r := storetest.Routed(m.url, 10)
	for id := range m.subs {
		r.Routes = append(r.Routes, hook.Route{Subscription: id, Refused: hook.Delivered})
	}
	must(m.t, m.s.Capture(r))
	m.requests = append(m.requests, r.ID)
	all, err := m.s.Deliveries(m.t.Context(), hook.System, store.DeliveryPage{Request: r.ID, Limit: 10})
	must(m.t, err)
	for _, d := range all {
		m.made[d.ID] = &modelDelivery{id: d.ID, sub: d.SubscriptionID, request: r.ID, unfinished: true}
		m.subs[d.SubscriptionID].Unfinished++
	}
}

func (m *queueModel) claim(rt *rapid.T) {
	leased := claim(m.t, m.s, m.sub(rt))
	for _, c := range leased {
		if !m.made[c.ID].unfinished {
			rt.Fatalf("delivery %d is claimed and was cancelled", c.ID)
		}
		m.claims = slices.DeleteFunc(m.claims, func(old store.Claim) bool { return old.ID == c.ID })
	}
	m.claims = append(m.claims, leased...)
}

// record hands in what came of an attempt, whatever has happened to its delivery since.
func (m *queueModel) record(rt *rapid.T) {
	if len(m.claims) == 0 {
		rt.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(m.claims)-1).Draw(rt, "claim")
	c := m.claims[i]
	m.claims = slices.Delete(m.claims, i, i+1)
	next := rapid.SampledFrom([]hook.State{hook.Succeeded, hook.Failed, hook.Skipped, hook.Waiting}).Draw(rt, "state")
	_, err := m.s.Record(m.t.Context(), store.Turn{Results: []store.Result{result(c, 200, hook.Next{State: next})}})
	must(m.t, err)
	d := m.made[c.ID]
	counts := m.subs[d.sub]
	if d.gone || counts == nil {
		return
	}
	counts.Attempts++
	if !d.unfinished || next == hook.Waiting {
		return
	}
	d.unfinished = false
	counts.Unfinished--
	switch next {
	case hook.Succeeded:
		counts.Succeeded++
	case hook.Failed:
		counts.Failed++
	default:
		counts.Skipped++
	}
}

// end cancels the deliveries that are meant.
func (m *queueModel) end(meant func(*modelDelivery) bool) {
	for _, d := range m.made {
		if !d.unfinished || !meant(d) {
			continue
		}
		d.unfinished = false
		if counts := m.subs[d.sub]; counts != nil {
			counts.Unfinished--
			counts.Cancelled++
		}
	}
}

// drop ends the deliveries of requests that are gone.
func (m *queueModel) drop(requests ...hook.ID) {
	of := func(d *modelDelivery) bool { return slices.Contains(requests, d.request) }
	m.end(of)
	for _, d := range m.made {
		d.gone = d.gone || of(d)
	}
	m.requests = slices.DeleteFunc(m.requests, func(id hook.ID) bool { return slices.Contains(requests, id) })
}

func (m *queueModel) discard(rt *rapid.T) {
	id := m.sub(rt)
	n, err := m.s.DiscardHeld(m.t.Context(), hook.System, id, "discarded")
	must(m.t, err)
	if n != m.subs[id].Unfinished {
		rt.Fatalf("%d were discarded, want %d", n, m.subs[id].Unfinished)
	}
	m.end(func(d *modelDelivery) bool { return d.sub == id })
}

func (m *queueModel) cancel(rt *rapid.T) {
	var ids []hook.ID
	for id, d := range m.made {
		if !d.gone {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		rt.Skip("there is no delivery")
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(rt, "delivery")
	_, err := m.s.CancelDelivery(m.t.Context(), hook.System, "", id)
	if m.made[id].unfinished {
		must(m.t, err)
	} else if !hook.Is(err, hook.Conflict) {
		rt.Fatalf("cancelling delivery %d, which is finished: %v", id, err)
	}
	m.end(func(d *modelDelivery) bool { return d.id == id })
}

func (m *queueModel) unsubscribe(rt *rapid.T) {
	id := m.sub(rt)
	err := m.s.DeleteSubscription(m.t.Context(), hook.System, id, false)
	if m.subs[id].Unfinished > 0 {
		if !hook.Is(err, hook.Conflict) {
			rt.Fatalf("deleting subscription %d, which holds deliveries: %v", id, err)
		}
		err = m.s.DeleteSubscription(m.t.Context(), hook.System, id, true)
	}
	must(m.t, err)
	m.end(func(d *modelDelivery) bool { return d.sub == id })
	delete(m.subs, id)
}

func (m *queueModel) deleteRequest(rt *rapid.T) {
	if len(m.requests) == 0 {
		rt.Skip("there is no request")
	}
	id := rapid.SampledFrom(m.requests).Draw(rt, "request")
	must(m.t, m.s.DeleteRequest(m.t.Context(), hook.System, id, true))
	m.drop(id)
}

func (m *queueModel) clear(*rapid.T) {
	_, err := m.s.ClearRequests(m.t.Context(), hook.System, m.url, true)
	must(m.t, err)
	m.drop(slices.Clone(m.requests)...)
}

// expire makes the oldest request older than retention waits for deliveries.
func (m *queueModel) expire(rt *rapid.T) {
	if len(m.requests) < 2 {
		rt.Skip("the newest request stays")
	}
	oldest := m.requests[0]
	must(m.t, m.s.Do(m.t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE requests SET received_at = $1 WHERE id = $2", time.Now().AddDate(0, 0, -1000).UnixMicro(), oldest)
		return err
	}))
	must(m.t, m.s.Prune(m.t.Context()))
	m.drop(oldest)
}

func (m *queueModel) check(rt *rapid.T) {
	for id, want := range m.subs {
		if diff := cmp.Diff(*want, counts(m.t, m.s, id)); diff != "" {
			rt.Fatalf("counts of %d (-want +got):\n%s", id, diff)
		}
	}
	problems, err := m.s.Check(m.t.Context())
	must(m.t, err)
	if len(problems) > 0 {
		rt.Fatalf("the check finds: %q", problems)
	}
	for _, d := range m.made {
		if d.gone {
			continue
		}
		got, err := m.s.Delivery(m.t.Context(), hook.System, d.id)
		must(m.t, err)
		if got.State.Finished() == d.unfinished {
			rt.Fatalf("delivery %d is %s, want unfinished %v", d.id, got.State, d.unfinished)
		}
	}
}
