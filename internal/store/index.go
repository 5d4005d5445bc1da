package store

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// index holds all capture URLs in memory. Readers take a snapshot without a lock; only the writer's goroutine changes
// it, and replaces it as a whole.
type index struct {
	current atomic.Pointer[snapshot]
	changes atomic.Int64 // moves when a capture URL or subscription is made, changed or removed; see reload
}

// snapshot is never changed once it is in use.
type snapshot struct {
	byID   map[hook.ID]*urlEntry
	bySlug map[string]*urlEntry
	sorted []*urlEntry // newest first
	subs   map[hook.ID]*subEntry
}

// subsOf goes through the subscriptions of a capture URL, newest first, however many others there are.
func (s *snapshot) subsOf(captureURL hook.ID) iter.Seq[*subEntry] {
	return func(yield func(*subEntry) bool) {
		u := s.byID[captureURL]
		if u == nil {
			return
		}
		for _, sub := range u.getSubs() {
			if e := s.subs[sub.ID]; e != nil && !yield(e) { // nil: the list is newer than the snapshot, or older
				return
			}
		}
	}
}

// fields returns what each capture URL is now.
func (s *snapshot) fields() map[hook.ID]*hook.CaptureURL {
	all := make(map[hook.ID]*hook.CaptureURL, len(s.sorted))
	for _, u := range s.sorted {
		all[u.id] = u.get()
	}
	return all
}

// urlEntry is one capture URL and its counts. The pointer stays the same as long as the capture URL lives.
type urlEntry struct {
	id     hook.ID
	fields atomic.Pointer[hook.CaptureURL]
	subs   atomic.Pointer[[]*hook.Subscription] // newest first; nil = none

	mu      sync.Mutex
	stats   hook.Stats
	cleared hook.ID // requests up to this one are deleted
	purged  hook.ID // and up to this one their rows are gone
	held    hook.ID // what is left of the requests up to this one cannot be removed by retention
	bytes   int64   // of that
	seen    bool    // retention has looked at all that was there
	heldAt  time.Time
	waiting int64 // unfinished deliveries when that was found out
}

// heldUpTo returns behind which request retention looks for more.
func (u *urlEntry) heldUpTo() hook.ID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.held
}

// heldBytes returns how much of what is kept cannot be removed, as far as retention has looked; known is false when that is not all.
func (u *urlEntry) heldBytes() (bytes int64, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes, u.seen
}

// setHeld notes what retention found: requests up to an id that have to stay, 0 for none, with their bytes, and whether it has
// seen all there is. Only the writer's goroutine calls it and forgetHeld.
func (u *urlEntry) setHeld(upTo hook.ID, bytes int64, seen bool, unfinished int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = seen
	if upTo == 0 {
		return
	}
	if u.held == 0 {
		u.heldAt = time.Now()
	}
	u.held, u.bytes, u.waiting = upTo, u.bytes+bytes, max(u.waiting, unfinished)
}

// forgetHeld lets retention begin with the oldest request again: now and then, and when fewer deliveries are unfinished.
func (u *urlEntry) forgetHeld(now time.Time, unfinished int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if unfinished < u.waiting || now.Sub(u.heldAt) > heldAgain {
		u.held, u.bytes, u.seen = 0, 0, false
	}
	u.waiting = unfinished
}

func (u *urlEntry) get() *hook.CaptureURL { return u.fields.Load() }

// getSubs returns the list that captures read, which is never changed but replaced.
func (u *urlEntry) getSubs() []*hook.Subscription {
	if subs := u.subs.Load(); subs != nil {
		return *subs
	}
	return nil
}

func (u *urlEntry) setSubs(subs []*hook.Subscription) { u.subs.Store(&subs) }

func (u *urlEntry) getStats() hook.Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
}

func (u *urlEntry) setStats(stats hook.Stats) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats = stats
}

func (u *urlEntry) clearedUpTo() hook.ID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cleared
}

func (u *urlEntry) setCleared(upTo hook.ID, stats hook.Stats) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cleared, u.stats = upTo, stats
}

// unpurged returns the range of deleted requests whose rows are still there: above after, up to upTo.
func (u *urlEntry) unpurged() (after, upTo hook.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.purged, u.cleared
}

func (u *urlEntry) setPurged(upTo hook.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.purged = upTo
}

// setCounts takes the counts of other.
func (u *urlEntry) setCounts(other *urlEntry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats, u.cleared, u.purged = other.stats, other.cleared, other.purged
}

func (u *urlEntry) withStats() hook.CaptureURLStats {
	return hook.CaptureURLStats{CaptureURL: *u.get(), Stats: u.getStats()}
}

func (x *index) load() *snapshot { return x.current.Load() }

// replace puts the capture URLs, newest first, and their subscriptions in the place of all that were there.
func (x *index) replace(sorted []*urlEntry, subs map[hook.ID]*subEntry) {
	s := &snapshot{
		byID: make(map[hook.ID]*urlEntry, len(sorted)), bySlug: make(map[string]*urlEntry, len(sorted)), sorted: sorted,
		subs: subs,
	}
	for _, u := range sorted {
		s.byID[u.id] = u
		s.bySlug[u.get().Slug] = u
	}
	x.current.Store(s)
	x.changes.Add(1)
}

// replaceSubs puts other subscriptions in the place of those that were there. The capture URLs stay.
func (x *index) replaceSubs(subs map[hook.ID]*subEntry) {
	s := *x.load()
	s.subs = subs
	x.current.Store(&s)
	x.changes.Add(1)
}

// add and remove are called once the change is on disk. What is added is the newest.
func (x *index) add(u *urlEntry) {
	before := x.load()
	x.replace(append([]*urlEntry{u}, before.sorted...), before.subs)
}

func (x *index) remove(id hook.ID) {
	before := x.load()
	subs := maps.Clone(before.subs)
	maps.DeleteFunc(subs, func(_ hook.ID, e *subEntry) bool { return e.url.id == id })
	x.replace(slices.DeleteFunc(slices.Clone(before.sorted), func(u *urlEntry) bool { return u.id == id }), subs)
}

// subEntry is one subscription and what is known of it. The pointer stays the same as long as the subscription lives.
type subEntry struct {
	id     hook.ID
	url    *urlEntry
	fields atomic.Pointer[hook.Subscription]
	rules  atomic.Pointer[[]uint64] // the numbers of its filter's rules

	mu     sync.Mutex
	status subStatus
}

// subStatus is the row of subscription_stats.
type subStatus struct {
	counts    hook.DeliveryCounts
	health    hook.Health
	discarded hook.ID // unfinished deliveries up to this one are cancelled
	reason    string  // why they are
	hour      hour
}

func (e *subEntry) get() *hook.Subscription { return e.fields.Load() }

func (e *subEntry) getStatus() subStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status
}

func (e *subEntry) setStatus(status subStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
}

// queued notes deliveries that have been put into the queue.
func (e *subEntry) queued(n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.counts.Unfinished += n
}

func (e *subEntry) withStatus() hook.SubscriptionStatus {
	status := e.getStatus()
	return hook.SubscriptionStatus{
		Subscription: *e.get(), Health: status.health, Counts: status.counts, Hour: status.hour.at(time.Now()), Discarded: status.discarded,
	}
}

// setURL is called once a changed capture URL is on disk, and returns what it was.
func (x *index) setURL(u *urlEntry, fields *hook.CaptureURL) (before *hook.CaptureURL) {
	before = u.fields.Swap(fields)
	x.changes.Add(1)
	return before
}

// addSub and removeSub are called once the change is on disk; setSub when a subscription was changed. What is added is the newest.
func (x *index) addSub(e *subEntry) {
	subs := maps.Clone(x.load().subs)
	subs[e.id] = e
	x.replaceSubs(subs)
	e.url.setSubs(slices.Insert(slices.Clone(e.url.getSubs()), 0, e.get()))
}

func (x *index) removeSub(e *subEntry) {
	subs := maps.Clone(x.load().subs)
	delete(subs, e.id)
	x.replaceSubs(subs)
	e.url.setSubs(slices.DeleteFunc(slices.Clone(e.url.getSubs()), func(sub *hook.Subscription) bool { return sub.ID == e.id }))
}

func (x *index) setSub(e *subEntry, fields *hook.Subscription) {
	e.fields.Store(fields)
	subs := slices.Clone(e.url.getSubs())
	for i := range subs {
		if subs[i].ID == e.id {
			subs[i] = fields
		}
	}
	e.url.setSubs(subs)
	x.changes.Add(1)
}
