package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	// longDisabled is how long a subscription has to be disabled until what it holds gives way to retention.
	longDisabled = 7 * 24 * time.Hour
	// heldAgain is how often requests that retention had to leave are looked at again.
	heldAgain = time.Hour
	// cancelledFor is how long a delivery that retention cancelled outlives the age of its request.
	cancelledFor = 30 * 24 * time.Hour

	byRetention = "retention: its request was older than it may be"
)

// candidate is a request that is looked at, to be removed.
type candidate struct {
	id         hook.ID
	size       int64 // of its deliveries, too
	receivedAt int64
	deliveries int   // more than purgeBatch: nobody counted on
	delivered  int64 // the part of size that is theirs, of those that were counted
	unfinished bool  // some delivery is
}

// oldestQuery reads the oldest requests behind an id. The second form is for databases in which something is delivered.
const (
	oldestQuery = `SELECT id, stored_size, received_at, 0, 0, 0 FROM requests WHERE capture_url_id = $1 AND id > $2
		ORDER BY id LIMIT $3`
	oldestDelivered = `SELECT r.id, r.stored_size, r.received_at,
			(SELECT count(*) FROM (SELECT 1 FROM deliveries d WHERE d.request_id = r.id LIMIT $4)),
			coalesce((SELECT sum(size) FROM (SELECT d.size FROM deliveries d WHERE d.request_id = r.id LIMIT $4)), 0),
			EXISTS (SELECT 1 FROM (SELECT c.state FROM deliveries c WHERE c.request_id = r.id ORDER BY c.id LIMIT 200) WHERE state < 2)
			OR EXISTS (SELECT 1 FROM deliveries d WHERE d.request_id = r.id AND d.state < 2 AND d.origin <> 0)
		FROM requests r WHERE r.capture_url_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3`
)

// candidates reads at most limit of the oldest requests behind an id, and so many that it looks at few deliveries. It reports whether
// there may be more.
func (w *writer) candidates(ctx context.Context, captureURL, after hook.ID, limit int) (found []candidate, more bool, err error) {
	stmt, args := w.stmt.oldest, []any{int64(captureURL), int64(after), limit}
	if w.deliveryIDs.Last() != 0 {
		stmt, args = w.stmt.oldestDelivered, append(args, purgeBatch+1)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	deliveries := 0
	for deliveries < lookBatch && rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.size, &c.receivedAt, &c.deliveries, &c.delivered, &c.unfinished); err != nil {
			return nil, false, err
		}
		c.size += c.delivered
		deliveries += c.deliveries
		found = append(found, c)
	}
	return found, len(found) == limit || deliveries >= lookBatch, rows.Err()
}

// prune removes the oldest requests of t, within the budget: those over keep's count and bytes, and those that arrived before
// the cutoff. What came last is too much for its size only when the next comes, and what has not been delivered yet stays; see
// expired. It reports whether there may be more to look at.
func (w *writer) prune(ctx context.Context, t *touched, keep hook.Keep, cutoff time.Time, b budget) (more bool, err error) {
	if t.url.heldUpTo() != 0 {
		if n := w.s.UnfinishedOf(t.url.id); n == 0 { // nothing to wait for until upkeep comes round
			t.url.forgetHeld(time.Now(), n)
		}
	}
	found, more, err := w.candidates(ctx, t.url.id, max(t.url.clearedUpTo(), t.pruned, t.url.heldUpTo()), b.rows)
	if err != nil {
		return false, err
	}
	var gone []candidate
	for _, c := range found {
		old := c.receivedAt < micros(cutoff)
		if !old && !exceeds(t.stats, keep) {
			more = false
			break
		}
		if c.unfinished {
			expired, err := w.expired(ctx, c, cutoff)
			if err != nil {
				return false, err
			}
			if !expired {
				t.held = c.id
				t.heldBytes += c.size
				continue
			}
		}
		if !old && c.id == t.stats.LastRequestID {
			more = false
			break
		}
		fits, freed, err := w.spend(ctx, &b, &c, t.expired)
		t.stats.Bytes -= freed
		if err != nil {
			return false, err
		}
		if !fits {
			more = true
			break
		}
		if c.unfinished {
			err = w.cancelByRetention(ctx, t, c.id)
		}
		if err == nil && c.deliveries > 0 {
			err = w.removeDeliveries(ctx, c.id)
		}
		if err != nil {
			return false, err
		}
		gone = append(gone, c)
		t.stats.Kept--
		t.stats.Bytes -= c.size
	}
	t.pruning, t.seen = true, !more
	if len(gone) == 0 {
		return more, nil
	}
	t.holds = t.held != 0 || t.url.heldUpTo() != 0
	return more, w.remove(ctx, t, gone)
}

// exceeds reports whether there are more requests than keep says, or more bytes.
func exceeds(stats hook.Stats, keep hook.Keep) bool {
	return stats.Kept > keep.Requests || stats.Bytes > keep.Bytes
}

// remove deletes requests, whose deliveries are gone.
func (w *writer) remove(ctx context.Context, t *touched, gone []candidate) error {
	if !t.holds {
		last := gone[len(gone)-1].id
		_, err := w.stmt.prune.ExecContext(ctx, int64(t.url.id), int64(max(t.url.clearedUpTo(), t.pruned)), int64(last))
		t.pruned = last
		return err
	}
	for _, c := range gone { // some between them stay
		if _, err := w.stmt.pruneOne.ExecContext(ctx, int64(c.id)); err != nil {
			return err
		}
		t.removed = append(t.removed, c.id)
	}
	return nil
}

// removeUnfinished is removeDeliveries of a request whose deliveries may be unfinished: the replays that made them count those.
func (w *writer) removeUnfinished(ctx context.Context, tx *sql.Tx, request hook.ID) error {
	replays, err := queryAll(ctx, tx, scanID, "SELECT replay_id FROM deliveries WHERE id IN ("+unfinishedOf+")", request)
	if err == nil {
		err = endReplayed(ctx, tx, replays)
	}
	if err != nil {
		return err
	}
	return w.removeDeliveries(ctx, request)
}

// expired reports whether a request goes although it has not been delivered: when it is twice as old as it may be, or when
// the subscriptions that hold it have been disabled for long. Only upkeep, which has a cutoff, asks for that.
func (w *writer) expired(ctx context.Context, c candidate, cutoff time.Time) (bool, error) {
	if cutoff.IsZero() {
		return false, nil
	}
	now := time.Now()
	if c.receivedAt < micros(cutoff.Add(cutoff.Sub(now))) {
		return true, nil
	}
	if c.receivedAt >= micros(cutoff) {
		return false, nil // over by count or bytes only
	}
	holders, err := queryAll(ctx, w.conn, scanID, holdersQuery, c.id)
	for _, id := range holders {
		e := w.s.urls.load().subs[id]
		if id == 0 || e != nil && (!e.get().Hold.Disabled || now.Sub(e.get().Hold.DisabledAt) < longDisabled) {
			return false, err
		}
	}
	return err == nil, err
}

// unfinishedOf finds the unfinished deliveries of a request, however many are finished. What its capture made are its first, no more
// than a capture URL has subscriptions; the others have an index, to which captures add nothing.
const (
	unfinishedOf = firstUnfinished + " UNION ALL SELECT id FROM deliveries WHERE request_id = $1 AND state < 2 AND origin <> 0"

	firstUnfinished = `SELECT id FROM (SELECT id, state, origin FROM deliveries WHERE request_id = $1 ORDER BY id LIMIT 200)
		WHERE state < 2 AND origin = 0`
)

// holdersQuery finds the subscriptions that a request is still to be delivered to. Each step looks for the next one, however many
// deliveries one has.
const holdersQuery = `WITH RECURSIVE holds (id) AS (
		SELECT min(subscription_id) FROM deliveries WHERE request_id = $1 AND state < 2 AND origin <> 0
		UNION ALL
		SELECT (SELECT min(d.subscription_id) FROM deliveries d
			WHERE d.request_id = $1 AND d.state < 2 AND d.origin <> 0 AND d.subscription_id > holds.id)
		FROM holds WHERE holds.id IS NOT NULL)
	SELECT id FROM holds WHERE id IS NOT NULL
	UNION ALL SELECT subscription_id FROM deliveries WHERE id IN (` + firstUnfinished + ")"

// cancelByRetention ends the unfinished deliveries of a request. Those that were discarded are counted already. Their rows outlive it
// and count nowhere, so that their edited copies go.
func (w *writer) cancelByRetention(ctx context.Context, t *touched, request hook.ID) error {
	cancelled, err := queryAll(ctx, w.conn, func(row scanner) (d hook.Delivery, err error) {
		return d, row.Scan(&d.ID, &d.SubscriptionID, &d.ReplayID)
	}, `UPDATE deliveries SET state = 4, reason = $2, lease = 0, next_at = 0, size = 0, edit = x'' WHERE id IN (`+unfinishedOf+`)
		RETURNING id, subscription_id, replay_id`, request, byRetention)
	replays := make([]hook.ID, len(cancelled))
	for i := range cancelled {
		d := &cancelled[i]
		replays[i] = d.ReplayID
		if e := w.s.urls.load().subs[d.SubscriptionID]; e != nil && !w.s.discarded(d) && err == nil {
			err = t.expired.add(ctx, w.conn, e)
		}
	}
	if err != nil {
		return err
	}
	return endReplayed(ctx, w.conn, replays)
}

// notePruned notes what retention found, where nothing is written meanwhile.
func (s *Store) notePruned(t *touched) {
	if !t.pruning {
		return
	}
	unfinished := int64(0)
	if t.held != 0 {
		unfinished = s.UnfinishedOf(t.url.id)
	}
	t.url.setHeld(t.held, t.heldBytes, t.seen, unfinished)
}

// tellPruned tells what retention removed once that is on disk.
func (s *Store) tellPruned(t *touched) {
	if t.pruned != 0 && s.opts.OnPrune != nil {
		s.opts.OnPrune(t.url.id, t.pruned)
	}
	if len(t.removed) > 0 && s.opts.OnRemove != nil {
		s.opts.OnRemove(t.url.id, t.removed)
	}
}

// pruneSoon lets upkeep look at once for what retention removes.
func (s *Store) pruneSoon() {
	select {
	case s.pruneNow <- struct{}{}:
	default:
	}
}

// pruneAll removes what every capture URL holds above its age, count and bytes.
func (s *Store) pruneAll(ctx context.Context) error {
	for _, u := range s.urls.load().sorted {
		more, err := s.hasTooMuch(ctx, u)
		for first := true; more && err == nil && ctx.Err() == nil; first = false {
			more, err = s.pruneOnce(ctx, u, first)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasTooMuch reports whether retention may have something to remove: most capture URLs need no transaction to know.
func (s *Store) hasTooMuch(ctx context.Context, u *urlEntry) (bool, error) {
	stats, keep := u.getStats(), u.get().Keep.Or(s.opts.Keep)
	if stats.Kept == 0 || exceeds(stats, keep) {
		return stats.Kept > 0, nil
	}
	old, err := queryAll(ctx, s.read, func(row scanner) (old bool, err error) { return old, row.Scan(&old) },
		"SELECT received_at < $3 FROM requests WHERE capture_url_id = $1 AND id > $2 ORDER BY id LIMIT 1",
		u.id, u.clearedUpTo(), micros(cutoff(keep)))
	return len(old) > 0 && old[0], err
}

// cutoff returns before when a request has to have arrived to be too old.
func cutoff(keep hook.Keep) time.Time { return time.Now().AddDate(0, 0, -int(keep.Days)) }

// pruneOnce looks at one batch and reports whether there may be more. The first one of a look may begin with the oldest again.
func (s *Store) pruneOnce(ctx context.Context, u *urlEntry, first bool) (more bool, err error) {
	var t touched
	err = s.do(ctx, func(tx *sql.Tx) (err error) {
		if first {
			u.forgetHeld(time.Now(), s.UnfinishedOf(u.id))
		}
		t = touched{url: u, stats: u.getStats(), expired: cancelledCounts{}}
		keep := u.get().Keep.Or(s.opts.Keep)
		if more, err = s.writer.prune(ctx, &t, keep, cutoff(keep), newBudget(purgeBatch, 0)); err != nil {
			return err
		}
		return saveStats(ctx, tx, u.id, t.stats)
	}, func() {
		s.calledOff.Add(1)
		u.setStats(t.stats)
		t.expired.apply()
		s.notePruned(&t)
	})
	if err == nil {
		s.tellPruned(&t)
	}
	return more, err
}

// forgetCancelled removes deliveries that retention cancelled and that nobody can want to read about any more: also those of
// subscriptions that are deleted, and resends to typed URLs.
func (s *Store) forgetCancelled(ctx context.Context) error {
	subs, err := s.subscriptionsWith(ctx, s.read, hook.Cancelled, hook.Cancelled)
	for _, id := range subs {
		if err == nil {
			err = s.forgetCancelledOf(ctx, id)
		}
	}
	return err
}

func (s *Store) forgetCancelledOf(ctx context.Context, subscription hook.ID) error {
	keep := s.opts.Keep
	if e := s.urls.load().subs[subscription]; e != nil {
		keep = e.url.get().Keep.Or(keep)
	}
	before := hook.FirstIDAt(time.Now().AddDate(0, 0, -2*int(keep.Days)).Add(-cancelledFor))
	old, err := queryAll(ctx, s.read, scanID, `SELECT d.id FROM deliveries d WHERE d.subscription_id = $1 AND d.state = 4 AND d.id < $2
			AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.id = d.request_id) LIMIT $3`, subscription, before, purgeBatch)
	if err != nil {
		return err
	}
	return s.inSlices(ctx, old, func(tx *sql.Tx, id hook.ID) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM deliveries WHERE id = $1", id)
		return err
	})
}

// forgetDeliveries removes what is left of the deliveries of a capture URL that is deleted, and whose requests are gone: those that
// retention cancelled. It reports whether all are.
func (s *Store) forgetDeliveries(ctx context.Context, captureURL hook.ID) (done bool, err error) {
	done = true
	err = s.do(ctx, func(tx *sql.Tx) error {
		for _, query := range leftoverQueries {
			result, err := tx.ExecContext(ctx, "DELETE FROM deliveries WHERE id IN ("+query+")", captureURL, purgeBatch)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			done = done && n < purgeBatch
		}
		return nil
	})
	return done, err
}

// leftoverQueries find some of what forgetDeliveries removes. They are two, because those to typed URLs have an index of their own:
// others lead to the rows of everybody.
var leftoverQueries = []string{
	"SELECT d.id FROM deliveries d WHERE " + oneOffsOf + " AND d.state = 4 LIMIT $2",
	"SELECT d.id FROM subscriptions s JOIN deliveries d ON d.subscription_id = s.id WHERE s.capture_url_id = $1 AND d.state = 4 LIMIT $2",
}

// full returns why a capture URL takes nothing more: it holds twice the bytes it may, and what has not been delivered keeps them.
// nil when it takes more.
func (s *Store) full(captureURL hook.ID) error {
	u := s.urls.load().byID[captureURL]
	if u == nil {
		return nil
	}
	most := 2 * u.get().Keep.Or(s.opts.Keep).Bytes
	if u.getStats().Bytes < most || s.UnfinishedOf(captureURL) == 0 {
		return nil
	}
	switch held, known := u.heldBytes(); {
	case !known:
		s.pruneSoon()
	case held < most:
		return nil
	}
	return &hook.Error{Kind: hook.Unavailable, Limit: hook.LimitFull, Message: "This capture URL holds twice the bytes it may keep, because deliveries wait: " +
		"resume or discard them, or let it keep more."}
}

// Full returns the sentence that says why a capture URL takes nothing more, "" when it does.
func (s *Store) Full(captureURL hook.ID) string {
	if e, ok := errors.AsType[*hook.Error](s.full(captureURL)); ok {
		return e.Message
	}
	return ""
}
