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
	purgeBatch = 200     // rows
	purgeBytes = 8 << 20 // of them, unless a single one has more
	purgeFor   = 20 * time.Millisecond
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
func (w *writer) spend(ctx context.Context, b *budget, c *candidate) (fits bool, freed int64, err error) {
	if b.spent && (c.size > b.bytes || c.deliveries > 0 && time.Now().After(b.until)) {
		return false, 0, nil
	}
	b.spent = true
	if c.delivered > b.bytes {
		if freed, err = w.removeSomeDeliveries(ctx, c.id, b.bytes); freed > 0 || err != nil {
			return false, freed, err
		}
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

// removeSomeDeliveries deletes the oldest finished deliveries of a request, of no more bytes than given unless it is one, and
// returns their size.
func (w *writer) removeSomeDeliveries(ctx context.Context, request hook.ID, bytes int64) (freed int64, err error) {
	type delivery struct {
		id   hook.ID
		size int64
	}
	all, err := queryAll(ctx, w.conn, func(row scanner) (d delivery, err error) { return d, row.Scan(&d.id, &d.size) },
		"SELECT id, size FROM deliveries WHERE request_id = $1 AND state >= 2 AND size > 0 ORDER BY id", request)
	for _, d := range all {
		if err != nil || freed > 0 && freed+d.size > bytes {
			break
		}
		freed += d.size
		if _, err = w.conn.ExecContext(ctx, "DELETE FROM attempts WHERE delivery_id = $1", d.id); err == nil {
			_, err = w.conn.ExecContext(ctx, "DELETE FROM deliveries WHERE id = $1", d.id)
		}
	}
	return freed, err
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
