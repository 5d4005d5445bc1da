package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// clockTolerance is how far the time of day may be set back without anybody noticing.
const clockTolerance = 10 * time.Second

// clock notices that the time of day was set back.
type clock struct {
	last   time.Time
	behind time.Duration // by how much it was set back and nothing has followed yet
}

// wentBack returns by how much the time of day was set back since the last call: the monotonic clock went on meanwhile.
func (c *clock) wentBack(now time.Time) time.Duration {
	last := c.last
	c.last = now
	if last.IsZero() {
		return 0
	}
	return setBack(now.Sub(last), now.Round(0).Sub(last.Round(0)))
}

// setBack returns by how much the time of day was set back when it shows that less has passed than has.
func setBack(passed, shown time.Duration) time.Duration { return noticeable(passed - shown) }

func noticeable(by time.Duration) time.Duration {
	if by < clockTolerance {
		return 0
	}
	return by
}

// newestTimes reads when the newest request and the newest delivery were made, by the clock that there was. Those from before the
// clock was last followed say nothing about it any more.
const newestTimes = `SELECT at FROM (SELECT last_request_id, last_request_at AS at FROM capture_url_stats ORDER BY last_request_id DESC LIMIT 1) r
		WHERE last_request_id > (SELECT value FROM meta WHERE key = 'followed_request_id')
	UNION ALL
	SELECT at FROM (SELECT id, created_at AS at FROM deliveries ORDER BY id DESC LIMIT 1) d
		WHERE id > (SELECT value FROM meta WHERE key = 'followed_delivery_id')`

// aheadOf returns by how much the newest request or delivery is ahead of now: the time of day was set back while nobody served. Ids
// do not tell: they stay ahead, and each start would find the same again.
func (s *Store) aheadOf(ctx context.Context, now time.Time) (ahead time.Duration, err error) {
	newest, err := collect(ctx, s.read, func(row scanner) (at int64, err error) { return at, row.Scan(&at) }, newestTimes)
	for _, at := range newest {
		ahead = max(ahead, noticeable(fromMicros(at).Sub(now)))
	}
	return ahead, err
}

// startClock notices that the time of day was set back while nobody served, before anything is stored that hides it.
func (s *Store) startClock(ctx context.Context) (err error) {
	s.clock.last = time.Now()
	s.clock.behind, err = s.aheadOf(ctx, s.clock.last)
	return err
}

// keepUpWithClock follows the time of day when it was set back, and tries again what failed the last time.
func (s *Store) keepUpWithClock(ctx context.Context) error {
	s.clock.behind += s.clock.wentBack(time.Now())
	err := s.followClock(ctx, s.clock.behind)
	if err == nil {
		s.clock.behind = 0
	}
	return err
}

// followClock moves what is due in the future after the time of day was set back: otherwise deliveries that were about to be sent
// would wait for so long.
func (s *Store) followClock(ctx context.Context, by time.Duration) error {
	if by == 0 {
		return nil
	}
	subs := []hook.ID{0} // resends to typed URLs
	for id := range s.urls.load().subs {
		subs = append(subs, id)
	}
	for _, id := range subs {
		for _, state := range []hook.State{hook.Pending, hook.Waiting} {
			if err := s.moveDue(ctx, id, state, by); err != nil {
				return err
			}
		}
		if err := s.moveHealth(ctx, id, by); err != nil {
			return err
		}
	}
	queues, err := s.Queues(ctx)
	if err != nil {
		return err
	}
	if err := s.noteFollowed(ctx); err != nil {
		return err
	}
	s.log.Warn("the time of day was set back: what was due is due all the same", "by", by.Round(time.Second).String())
	s.tellQueue(queues...)
	return nil
}

// noteFollowed notes that what there is by now has been moved.
func (s *Store) noteFollowed(ctx context.Context) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		for key, id := range map[string]hook.ID{"followed_request_id": s.writer.ids.Last(), "followed_delivery_id": s.writer.deliveryIDs.Last()} {
			if _, err := tx.ExecContext(ctx, "UPDATE meta SET value = $2 WHERE key = $1", key, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// moveDue makes deliveries of one subscription and state that are due in the future due earlier.
func (s *Store) moveDue(ctx context.Context, subscription hook.ID, state hook.State, by time.Duration) error {
	for after := hook.ID(0); ctx.Err() == nil; {
		now := time.Now()
		ids, err := queryAll(ctx, s.read, func(row scanner) (id hook.ID, err error) { return id, row.Scan(&id) },
			"SELECT id FROM deliveries WHERE subscription_id = $1 AND state = $2 AND id > $3 AND due_at > $4 ORDER BY id LIMIT $5",
			subscription, int(state), after, micros(now), hurried)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		err = s.inSlices(ctx, ids, func(tx *sql.Tx, id hook.ID) error {
			_, err := tx.ExecContext(ctx, `UPDATE deliveries SET due_at = max($2, due_at - $3),
				next_at = CASE next_at WHEN 0 THEN 0 ELSE max($2, next_at - $3) END WHERE id = $1 AND due_at > $2`, id, micros(now), by.Microseconds())
			return err
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// moveHealth makes the next probe of a target that is down, and the end of a pause it asked for, earlier.
func (s *Store) moveHealth(ctx context.Context, subscription hook.ID, by time.Duration) error {
	e := s.urls.load().subs[subscription]
	if e == nil {
		return nil
	}
	var status subStatus
	return s.do(ctx, func(tx *sql.Tx) error {
		now := time.Now()
		status = e.getStatus()
		for _, t := range []*time.Time{&status.health.ProbeAt, &status.health.QuietUntil} {
			if t.After(now) {
				*t = t.Add(-by)
			}
		}
		return saveStatus(ctx, tx, subscription, &status)
	}, func() { e.setStatus(status) })
}
