// Package tally counts which limits were met since the start, so that an operator sees them, and the owner of a capture URL
// those of its requests.
package tally

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const mostURLs = 10_000 // capture URLs that are remembered; then all begin anew

// Row is how often a limit was met.
type Row struct {
	Limit hook.Limit
	Count int64
}

// URLRow is how often requests to one capture URL met a limit, and when last.
type URLRow struct {
	Row
	Last time.Time
}

// Tally counts. The zero value is ready, and nil counts nothing; it is safe for concurrent use.
type Tally struct {
	counts [hook.Limits]atomic.Int64

	mu   sync.Mutex
	urls map[hook.ID][]URLRow
}

// Count notes that a limit was met; the zero Limit is none.
func (t *Tally) Count(limit hook.Limit) {
	if t != nil {
		t.counts[limit].Add(1)
	}
}

// CountURL is Count for a request to a capture URL.
func (t *Tally) CountURL(url hook.ID, limit hook.Limit) {
	if t == nil {
		return
	}
	t.Count(limit)
	t.mu.Lock()
	defer t.mu.Unlock()
	rows, known := t.urls[url]
	if !known && (t.urls == nil || len(t.urls) >= mostURLs) {
		t.urls = map[hook.ID][]URLRow{}
	}
	i := slices.IndexFunc(rows, func(r URLRow) bool { return r.Limit == limit })
	if i < 0 {
		i, rows = len(rows), append(rows, URLRow{Row: Row{Limit: limit}})
		t.urls[url] = rows
	}
	rows[i].Count++
	rows[i].Last = time.Now()
}

// Rows returns the limits that were met, in their order.
func (t *Tally) Rows() (rows []Row) {
	if t == nil {
		return nil
	}
	for i := range t.counts[1:] {
		limit := hook.Limit(i + 1)
		if n := t.counts[limit].Load(); n > 0 {
			rows = append(rows, Row{limit, n})
		}
	}
	return rows
}

// OfURL returns the limits that requests to a capture URL met, the newest first.
func (t *Tally) OfURL(url hook.ID) []URLRow {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	rows := slices.Clone(t.urls[url])
	t.mu.Unlock()
	slices.SortFunc(rows, func(a, b URLRow) int { return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Limit, b.Limit)) })
	return rows
}
