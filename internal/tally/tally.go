// Package tally counts which limits were met since the start, so that an operator sees them.
package tally

import (
	"sync/atomic"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Row is how often a limit was met.
type Row struct {
	Limit hook.Limit
	Count int64
}

// Tally counts. The zero value is ready, and nil counts nothing; it is safe for concurrent use.
type Tally struct{ counts [hook.Limits]atomic.Int64 }

// Count notes that a limit was met; the zero Limit is none.
func (t *Tally) Count(limit hook.Limit) {
	if t != nil {
		t.counts[limit].Add(1)
	}
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
