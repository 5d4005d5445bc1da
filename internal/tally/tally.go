// Package tally counts what was refused since the start, so that an operator sees which limits are met.
package tally

import (
	"cmp"
	"slices"
	"sync"
)

// Surface is where something was refused.
type Surface string

// The surfaces, in the words that people read.
const (
	Captures    Surface = "Requests to capture URLs"
	Dashboard   Surface = "Pages and live views"
	API         Surface = "API"
	Deliveries  Surface = "Deliveries"  // put off; without a status
	Connections Surface = "Connections" // closed before anything was read; without a status
)

// Row is how often a surface has answered with a status that refuses.
type Row struct {
	Surface Surface
	Status  int
	Count   int64
}

// Tally counts. The zero value is ready, and nil counts nothing; it is safe for concurrent use.
type Tally struct {
	mu     sync.Mutex
	counts map[Row]int64 // by rows without a count
}

// Count notes that something was refused with a status, 0 when there was no answer.
func (t *Tally) Count(surface Surface, status int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[Row]int64{}
	}
	t.counts[Row{Surface: surface, Status: status}]++
}

// Rows returns what was counted, by surface and status.
func (t *Tally) Rows() []Row {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []Row
	for row, n := range t.counts {
		row.Count = n
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Surface, b.Surface), cmp.Compare(a.Status, b.Status)) })
	return rows
}
