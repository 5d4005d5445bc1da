package store

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// index holds all capture URLs in memory. Readers take a snapshot without a lock; only the writer's goroutine changes
// it, and replaces it as a whole.
type index struct{ current atomic.Pointer[snapshot] }

// snapshot is never changed once it is in use.
type snapshot struct {
	byID   map[hook.ID]*urlEntry
	bySlug map[string]*urlEntry
	sorted []*urlEntry // newest first
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

	mu      sync.Mutex
	stats   hook.Stats
	cleared hook.ID // requests up to this one are deleted
	purged  hook.ID // and up to this one their rows are gone
}

func (u *urlEntry) get() *hook.CaptureURL { return u.fields.Load() }

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

// replace puts the capture URLs, newest first, in the place of all that were there.
func (x *index) replace(sorted []*urlEntry) {
	s := &snapshot{
		byID: make(map[hook.ID]*urlEntry, len(sorted)), bySlug: make(map[string]*urlEntry, len(sorted)), sorted: sorted,
	}
	for _, u := range sorted {
		s.byID[u.id] = u
		s.bySlug[u.get().Slug] = u
	}
	x.current.Store(s)
}

// add and remove are called once the change is on disk. What is added is the newest.
func (x *index) add(u *urlEntry) { x.replace(append([]*urlEntry{u}, x.load().sorted...)) }

func (x *index) remove(id hook.ID) {
	sorted := slices.Clone(x.load().sorted)
	x.replace(slices.DeleteFunc(sorted, func(u *urlEntry) bool { return u.id == id }))
}
