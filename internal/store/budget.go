package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// What one transaction removes or changes beside the captures, which wait for it. Deleting a row takes as long as it has pages, about
// 4 ms for each MiB.
const (
	purgeBatch  = 200     // rows
	deleteBatch = 500     // of the deliveries of a request that somebody waits to be rid of
	lookBatch   = 2000    // deliveries that it looks at for that; those of the last request it comes to may be more
	purgeBytes  = 8 << 20 // of them, unless a single one has more
	purgeFor    = 20 * time.Millisecond
)

// budget is what a transaction may still remove.
type budget struct {
	rows  int
	bytes int64
	until time.Time
	spent bool
}

// newBudget returns a budget of so many rows. What came in with the transaction may leave with it, beside the usual.
func newBudget(rows int, came int64) budget {
	return budget{rows: rows, bytes: purgeBytes + came, until: time.Now().Add(purgeFor)}
}

// spend takes what removing a request costs from the budget. When that is too much the request has to stay for the next
// transaction; the first one always fits, but for its deliveries: of more than fit the oldest are removed, and freed is their size.
func (w *writer) spend(ctx context.Context, b *budget, c *candidate, cancelled cancelledCounts) (fits bool, freed int64, err error) {
	if b.spent && (c.size > b.bytes || c.deliveries > purgeBatch || c.deliveries > 0 && time.Now().After(b.until)) {
		return false, 0, nil
	}
	b.spent = true
	if c.delivered > b.bytes || c.deliveries > purgeBatch {
		some, err := w.removeOldest(ctx, c.id, purgeBatch, b.bytes, cancelled)
		return false, some.size, err
	}
	b.bytes -= c.size
	return true, 0, nil
}

// removeDeliveries deletes the deliveries of a request with their attempts. Those that retention cancelled stay for a while,
// to say so.
func (w *writer) removeDeliveries(ctx context.Context, request hook.ID) error {
	if _, err := w.stmt.attemptsOf.ExecContext(ctx, int64(request)); err != nil {
		return err
	}
	_, err := w.stmt.deliveriesOf.ExecContext(ctx, int64(request), byRetention)
	return err
}

// removed is what one transaction took of the deliveries of a request.
type removed struct {
	all  bool // none is left
	size int64
}

// removeOldest deletes the oldest deliveries of a request with their attempts: at most so many, and of no more bytes than given
// unless it is one. It looks at no more than it removes, however many there are: unfinished ones leave no row that says why.
func (w *writer) removeOldest(ctx context.Context, request hook.ID, rows int, bytes int64, cancelled cancelledCounts) (r removed, err error) {
	type row struct {
		hook.Delivery
		size       int64
		unfinished bool
	}
	oldest, err := queryAll(ctx, w.conn, func(r scanner) (d row, err error) {
		return d, r.Scan(&d.ID, &d.SubscriptionID, &d.ReplayID, &d.size, &d.unfinished)
	}, "SELECT id, subscription_id, replay_id, size, state < 2 FROM deliveries WHERE request_id = $1 ORDER BY id LIMIT $2", request, rows)
	if err != nil {
		return r, err
	}
	r.all = len(oldest) < rows
	var last hook.ID
	var replays []hook.ID
	for i := range oldest {
		d := &oldest[i]
		if last != 0 && r.size+d.size > bytes {
			r.all = false
			break
		}
		last = d.ID
		r.size += d.size
		if !d.unfinished {
			continue
		}
		replays = append(replays, d.ReplayID)
		if w.s.discarded(&d.Delivery) {
			continue
		}
		if e := w.s.urls.load().subs[d.SubscriptionID]; e != nil {
			if err := cancelled.add(ctx, w.conn, e); err != nil {
				return r, err
			}
		}
	}
	if err := endReplayed(ctx, w.conn, replays); err != nil {
		return r, err
	}
	return r, w.removeUpTo(ctx, request, last)
}

// removeUpTo deletes the deliveries of a request up to one of them.
func (w *writer) removeUpTo(ctx context.Context, request, last hook.ID) error {
	for _, query := range []string{
		"DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE request_id = $1 AND id <= $2)",
		"DELETE FROM deliveries WHERE request_id = $1 AND id <= $2",
	} {
		if _, err := w.conn.ExecContext(ctx, query, request, last); err != nil {
			return err
		}
	}
	return nil
}

// inSlices runs f for each id, in transactions that take a moment each.
func (s *Store) inSlices(ctx context.Context, ids []hook.ID, f func(*sql.Tx, hook.ID) error) error {
	for len(ids) > 0 {
		n := 0
		err := s.do(ctx, func(tx *sql.Tx) error {
			for until := time.Now().Add(purgeFor); n < len(ids) && (n == 0 || time.Now().Before(until)); n++ {
				if err := f(tx, ids[n]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
