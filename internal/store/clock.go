package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// clockTolerance is how far the time of day may be set back without anybody noticing.
const clockTolerance = 10 * time.Second

// clock notices that the time of day was set back.
type clock struct {
	last time.Time
	owed []*following // set-backs that have not been followed to the end
}

// following is how far the rows have followed one set-back: what has been moved is not moved again when the rest fails and is tried
// again.
type following struct {
	by   time.Duration
	left []hook.ID // subscriptions with rows to move, 0 for resends to typed URLs
	at   Position  // of the first of them, up to which they have been moved
}

// newFollowing returns how to follow a set-back, nil when there was none.
func (s *Store) newFollowing(by time.Duration) []*following {
	if by == 0 {
		return nil
	}
	left := []hook.ID{0}
	for id := range s.urls.load().subs {
		left = append(left, id)
	}
	slices.Sort(left)
	return []*following{{by: by, left: left}}
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
func (s *Store) startClock(ctx context.Context) error {
	s.clock.last = time.Now()
	by, err := s.aheadOf(ctx, s.clock.last)
	s.clock.owed = s.newFollowing(by)
	return err
}

// keepUpWithClock follows the time of day when it was set back, and goes on with what failed the last time.
func (s *Store) keepUpWithClock(ctx context.Context) error {
	s.clock.owed = append(s.clock.owed, s.newFollowing(s.clock.wentBack(time.Now()))...)
	for len(s.clock.owed) > 0 {
		if err := s.followClock(ctx, s.clock.owed[0]); err != nil {
			return err
		}
		s.clock.owed = s.clock.owed[1:]
	}
	return nil
}

// followClock moves what is due in the future after the time of day was set back: otherwise deliveries that were about to be sent
// would wait for so long.
func (s *Store) followClock(ctx context.Context, f *following) error {
	for ; len(f.left) > 0; f.left, f.at = f.left[1:], (Position{}) {
		if err := s.moveDue(ctx, f); err != nil {
			return err
		}
		if err := s.moveHealth(ctx, f.left[0], f.by); err != nil {
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
	s.log.Warn("the time of day was set back: what was due is due all the same", "by", f.by.Round(time.Second).String())
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

// moveDue makes the deliveries of the first subscription that is left earlier by as much, those that are due in the future. Moved ones
// come to stand in front of where it goes on.
func (s *Store) moveDue(ctx context.Context, f *following) error {
	for all := false; !all; {
		at := f.at
		err := s.do(ctx, func(tx *sql.Tx) error {
			now := micros(time.Now())
			later, err := queryAll(ctx, tx, func(row scanner) (p Position, err error) { return p, row.Scan(&p.due, &p.id) }, dueLater,
				f.left[0], now, f.at.due, f.at.id, hurried)
			for _, p := range later {
				if err == nil {
					_, err = tx.ExecContext(ctx, `UPDATE deliveries SET due_at = max($2, due_at - $3),
						next_at = CASE next_at WHEN 0 THEN 0 ELSE max($2, next_at - $3) END WHERE id = $1`, p.id, now, f.by.Microseconds())
				}
				at = p
			}
			all = len(later) < hurried
			return err
		}, func() { f.at = at })
		if err != nil {
			return err
		}
	}
	return nil
}

// dueLater finds deliveries of a subscription that are due in the future, in the order of the queue.
const dueLater = `SELECT due_at, id FROM deliveries WHERE subscription_id = $1 AND state < 2 AND due_at > $2 AND (due_at, id) > ($3, $4)
	ORDER BY due_at, id LIMIT $5`

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
