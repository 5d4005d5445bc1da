package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// hurried is how many deliveries are read at a time to be changed; see inSlices.
const hurried = 500

// resumed notes the end of a hold in what is known of the target and reports whether there was one. The time on hold does
// not count as time of failing; one that was disabled starts afresh.
func (st *subStatus) resumed(before, after *hook.Subscription, now time.Time) bool {
	switch {
	case before.Hold.Disabled && !after.Hold.Disabled:
		st.health = hook.Health{LastOK: st.health.LastOK, LastOutcome: st.health.LastOutcome, LastFailedAt: st.health.LastFailedAt}
	case before.Hold.Paused && !after.Hold.Paused:
		st.health.Resumed(before.Hold.PausedAt, now)
	default:
		return false
	}
	return true
}

// DiscardHeld cancels all unfinished deliveries of a subscription, with a reason in words, and returns how many. They are
// cancelled at once; their rows follow in the background.
func (s *Store) DiscardHeld(ctx context.Context, actor hook.Actor, id hook.ID, reason string) (n int64, err error) {
	var e *subEntry
	var status subStatus
	err = s.do(ctx, func(tx *sql.Tx) error {
		if e, err = s.visibleSub(actor, id); err != nil {
			return err
		}
		status = e.getStatus()
		n = status.counts.Unfinished
		status.discard(s.writer.deliveryIDs.Last(), reason)
		return saveStatus(ctx, tx, id, &status)
	}, func() {
		e.setStatus(status)
		s.tellSubscription(e)
	})
	return n, err
}

func (st *subStatus) discard(upTo hook.ID, reason string) {
	st.counts.Cancelled += st.counts.Unfinished
	st.counts.Unfinished = 0
	st.discarded, st.reason = upTo, reason
}

// DeliverNow ends every pause of a subscription's deliveries but those that people made: waiting ones are due, a target that
// is down is tried at once.
func (s *Store) DeliverNow(ctx context.Context, actor hook.Actor, id hook.ID) error {
	now := time.Now()
	var e *subEntry
	var status subStatus
	err := s.do(ctx, func(tx *sql.Tx) (err error) {
		if e, err = s.visibleSub(actor, id); err != nil {
			return err
		}
		status = e.getStatus()
		status.health.QuietUntil = time.Time{}
		if status.health.Down() {
			status.health.ProbeAt = now
		}
		return saveStatus(ctx, tx, id, &status)
	}, func() { e.setStatus(status) })
	for more := err == nil; more; {
		if more, err = s.hurry(ctx, id, now); err != nil {
			return err
		}
	}
	if err == nil {
		s.tellSubscription(e)
	}
	return err
}

// hurry makes some of the waiting deliveries due and reports whether there are more.
func (s *Store) hurry(ctx context.Context, id hook.ID, now time.Time) (more bool, err error) {
	waiting, err := queryAll(ctx, s.read, func(row scanner) (id hook.ID, err error) { return id, row.Scan(&id) },
		"SELECT id FROM deliveries WHERE subscription_id = $1 AND state = 1 AND next_at > $2 ORDER BY id LIMIT $3", id, micros(now), hurried)
	if err != nil {
		return false, err
	}
	return len(waiting) == hurried, s.inSlices(ctx, waiting, func(tx *sql.Tx, delivery hook.ID) error {
		_, err := tx.ExecContext(ctx, "UPDATE deliveries SET due_at = min(due_at, $2), next_at = 0 WHERE id = $1 AND state = 1 AND next_at > $2",
			delivery, micros(now))
		return err
	})
}

// DeleteSubscription removes a subscription at once. Its finished deliveries stay with their requests under its name, the
// unfinished ones become cancelled: Conflict with their number unless cancel says that this is meant.
func (s *Store) DeleteSubscription(ctx context.Context, actor hook.Actor, id hook.ID, cancel bool) error {
	var e *subEntry
	return s.do(ctx, func(tx *sql.Tx) (err error) {
		if e, err = s.visibleSub(actor, id); err != nil {
			return err
		}
		if n := e.getStatus().counts.Unfinished; n > 0 && !cancel {
			return unfinishedConflict(n)
		}
		_, err = tx.ExecContext(ctx, "UPDATE subscriptions SET deleted_at = $2 WHERE id = $1", id, time.Now().UnixMicro())
		return err
	}, func() {
		s.urls.removeSub(e)
		s.subsDeleted.Store(true)
		s.tellSubscription(e)
	})
}

// unfinishedConflict is the error of a deletion that would cancel n deliveries without having been told to.
func unfinishedConflict(n int64) error {
	return hook.Errorf(hook.Conflict, "This would cancel %d unfinished deliveries. Say that you mean it: ?unfinished=cancel.", n)
}
