package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// everyID is above all ids.
const everyID hook.ID = 1<<63 - 1

// settle marks the rows of deliveries that were cancelled by discarding what a subscription held, or by deleting it: both take
// effect at once, and their rows follow. It comes round each second, and asks about each discard and each deletion until it has
// found no row once: what is made later has a higher id, or is not made at all.
func (s *Store) settle(ctx context.Context) error {
	for _, e := range s.urls.load().subs {
		if st := e.getStatus(); st.discarded > s.settled[e.id] {
			if err := s.cancelRows(ctx, e.id, st.discarded, st.reason); err != nil {
				return err
			}
		}
	}
	if !s.subsDeleted.Swap(false) {
		return nil
	}
	done, err := s.settleDeleted(ctx, time.Now().Add(upkeepEvery))
	if !done || err != nil {
		s.subsDeleted.Store(true)
	}
	return err
}

// settleDeleted asks about subscriptions that are deleted, and reports whether there was time for all.
func (s *Store) settleDeleted(ctx context.Context, until time.Time) (done bool, err error) {
	deleted, err := queryAll(ctx, s.read, scanID, "SELECT id FROM subscriptions WHERE deleted_at IS NOT NULL")
	for _, id := range deleted {
		if s.urls.load().subs[id] != nil || s.settled[id] == everyID {
			continue
		}
		if err != nil || time.Now().After(until) {
			return false, err
		}
		err = s.cancelRows(ctx, id, everyID, "the subscription was deleted")
	}
	return err == nil, err
}

// cancelRows marks unfinished deliveries of a subscription up to an id. Their subscription has counted them already, the replays
// that made them have not.
func (s *Store) cancelRows(ctx context.Context, subscription, upTo hook.ID, reason string) error {
	for ctx.Err() == nil {
		waiting, err := queryAll(ctx, s.read, scanID,
			"SELECT id FROM deliveries WHERE subscription_id = $1 AND state IN (0, 1) AND id <= $2 LIMIT $3", subscription, upTo, hurried)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			s.settled[subscription] = upTo
			return nil
		}
		err = s.inSlices(ctx, waiting, func(tx *sql.Tx, id hook.ID) error {
			_, err := tx.ExecContext(ctx, `UPDATE replays SET failed = failed + 1
				WHERE id = (SELECT replay_id FROM deliveries WHERE id = $1 AND state < 2)`, id)
			if err == nil {
				_, err = tx.ExecContext(ctx, "UPDATE deliveries SET state = 4, reason = $2, lease = 0, next_at = 0 WHERE id = $1 AND state < 2",
					id, reason)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetSubscriptions removes what is left of deleted subscriptions once no delivery shows their name any more. Whoever makes and
// deletes them in a loop leaves nothing behind. It reports whether there was time for all.
func (s *Store) forgetSubscriptions(ctx context.Context, until time.Time) (done bool, err error) {
	for after := hook.ID(0); time.Now().Before(until); {
		found, err := queryAll(ctx, s.read, scanID, `SELECT id FROM subscriptions WHERE id > $1 AND deleted_at IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription_id = subscriptions.id) ORDER BY id LIMIT $2`, after, hurried)
		if err != nil || len(found) == 0 {
			return err == nil, err
		}
		after = found[len(found)-1]
		found = slices.DeleteFunc(found, func(id hook.ID) bool { return s.urls.load().subs[id] != nil }) // not noticed yet
		if err := s.forgetAll(ctx, found); err != nil {
			return false, err
		}
	}
	return false, nil
}

// forgetSubscriptionsOf removes the subscriptions of a capture URL that is deleted and whose deliveries are gone, with their rules and
// their replays. It reports whether there was time for all.
func (s *Store) forgetSubscriptionsOf(ctx context.Context, captureURL hook.ID, until time.Time) (done bool, err error) {
	for time.Now().Before(until) {
		ids, err := queryAll(ctx, s.read, scanID, "SELECT id FROM subscriptions WHERE capture_url_id = $1 LIMIT $2", captureURL, purgeBatch)
		if err != nil || len(ids) == 0 {
			return err == nil, err
		}
		if err := s.forgetAll(ctx, ids); err != nil {
			return false, err
		}
	}
	return false, nil
}

// forgetAll removes deleted subscriptions, those with many rows a batch at a time.
func (s *Store) forgetAll(ctx context.Context, ids []hook.ID) error {
	for left := ids; len(left) > 0; {
		var again []hook.ID
		err := s.inSlices(ctx, left, func(tx *sql.Tx, id hook.ID) error {
			done, err := forgetSubscription(ctx, tx, id)
			if !done {
				again = append(again, id)
			}
			return err
		})
		if err != nil {
			return err
		}
		left = again
	}
	for _, id := range ids {
		delete(s.settled, id)
	}
	return nil
}

// forgetSubscription removes rows that belong to a subscription, at most a batch of each kind, and at last its own.
func forgetSubscription(ctx context.Context, tx *sql.Tx, id hook.ID) (done bool, err error) {
	for _, query := range []string{
		"DELETE FROM replays WHERE id IN (SELECT id FROM replays WHERE subscription_id = $1 LIMIT $2)",
		"DELETE FROM filter_rules WHERE id IN (SELECT id FROM filter_rules WHERE subscription_id = $1 LIMIT $2)",
	} {
		result, err := tx.ExecContext(ctx, query, id, purgeBatch)
		if err != nil {
			return false, err
		}
		if n, err := result.RowsAffected(); err != nil || n == purgeBatch {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM subscription_stats WHERE subscription_id = $1", id); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM subscriptions WHERE id = $1", id)
	return err == nil, err
}
