package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const replayColumns = `id, capture_url_id, subscription_id, state, since, until, filter, rate, total, queued, done, failed, up_to,
	cursor, made_by, reason, created_at, finished_at`

func scanReplay(row scanner) (r hook.Replay, err error) {
	var since, until, created, finished int64
	var filter string
	err = row.Scan(&r.ID, &r.CaptureURLID, &r.SubscriptionID, &r.State, &since, &until, &filter, &r.Rate, &r.Count, &r.Queued, &r.Done,
		&r.Failed, &r.UpTo, &r.Cursor, &r.By, &r.Reason, &created, &finished)
	if err != nil {
		return r, err
	}
	r.Since, r.Until, r.CreatedAt, r.FinishedAt = fromMicros(since), fromMicros(until), fromMicros(created), fromMicros(finished)
	r.Filter, err = decodeFilter(filter)
	return r, err
}

// CreateReplay starts a replay of what its capture URL has by now, or had up to UpTo, and sets its ID, CaptureURLID, UpTo and
// CreatedAt. NotFound when the actor may not see the subscription, Conflict when as many are running into it as may, Unavailable when
// there is no Room. The oldest that are over go.
func (s *Store) CreateReplay(ctx context.Context, actor hook.Actor, r *hook.Replay) error {
	err := s.do(ctx, func(tx *sql.Tx) error {
		e, err := s.visibleSub(actor, r.SubscriptionID)
		if err != nil {
			return err
		}
		if err := s.room(ctx, tx, e.url.id); err != nil {
			return err
		}
		var running int
		row := tx.QueryRowContext(ctx, "SELECT count(*) FROM replays WHERE subscription_id = $1 AND state = 0", r.SubscriptionID)
		if err := row.Scan(&running); err != nil {
			return err
		}
		if running >= hook.MaxReplays {
			return hook.LimitReplays.Errorf(hook.Conflict, "%d replays into this subscription are running, and that is the most. "+
				"Wait for one to end, or cancel one.", hook.MaxReplays)
		}
		now := time.Now()
		if r.ID, err = s.newID(ctx, tx, "replays", now); err != nil {
			return err
		}
		r.CaptureURLID = e.url.id
		if r.UpTo == 0 {
			r.UpTo = e.url.getStats().LastRequestID
		}
		r.CreatedAt, r.State = now.UTC().Truncate(time.Microsecond), hook.ReplayRunning
		_, err = tx.ExecContext(ctx, "INSERT INTO replays ("+replayColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, $10, 0, $11, '', $12, 0)`,
			r.ID, r.CaptureURLID, r.SubscriptionID, int(r.State), micros(r.Since), micros(r.Until), encodeFilter(r.Filter), r.Rate, r.Count,
			r.UpTo, r.By, micros(r.CreatedAt))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM replays WHERE id IN ("+overQuery+")", r.SubscriptionID, forgotten, hook.MaxReplaysKept)
		return err
	})
	if err == nil {
		s.tellReplay()
	}
	return err
}

// overQuery finds some of the replays into a subscription that are over, with all that they made, and behind so many newer ones.
const overQuery = "SELECT id FROM replays WHERE subscription_id = $1 AND state > 0 AND queued <= done + failed ORDER BY id DESC LIMIT $2 OFFSET $3"

func (s *Store) tellReplay() {
	if s.opts.OnReplay != nil {
		s.opts.OnReplay()
	}
}

// Replay returns one replay.
func (s *Store) Replay(ctx context.Context, actor hook.Actor, id hook.ID) (hook.Replay, error) {
	r, err := queryOne(ctx, s.read, "replay", scanReplay, "SELECT "+replayColumns+" FROM replays WHERE id = $1", id)
	if err != nil {
		return r, err
	}
	if _, err := s.visible(actor, r.CaptureURLID); err != nil {
		return hook.Replay{}, notFound("replay")
	}
	return r, nil
}

// Replays returns replays into a subscription, newest first, at most limit of those older than before; 0 = from the newest.
func (s *Store) Replays(ctx context.Context, actor hook.Actor, subscription, before hook.ID, limit int) ([]hook.Replay, error) {
	if _, err := s.visibleSub(actor, subscription); err != nil {
		return nil, err
	}
	if before == 0 {
		before = 1<<63 - 1
	}
	return queryAll(ctx, s.read, scanReplay, "SELECT "+replayColumns+" FROM replays WHERE subscription_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
		subscription, before, limit)
}

// RunningReplays returns the replays that have deliveries to make, oldest first.
func (s *Store) RunningReplays(ctx context.Context) ([]hook.Replay, error) {
	running, err := queryAll(ctx, s.read, scanReplay, runningQuery)
	slices.SortFunc(running, func(a, b hook.Replay) int { return cmp.Compare(a.ID, b.ID) })
	return running, err
}

// runningQuery reads an index of those alone. With an order it would go through all replays that there ever were instead.
const runningQuery = "SELECT " + replayColumns + " FROM replays WHERE state = 0"

// replayWindow is how many requests are passed over at a time, when they did not arrive in the time of a replay.
const replayWindow = 10_000

// EachReplayable calls f with requests of a replay behind its cursor, oldest first and at most limit of them, until f returns false:
// it has used that request all the same. Of one that is damaged f gets what can still be told. It does not look at the filter. It returns up to which request it has looked, however few of
// them f got, and whether there are no more: where most are too old, one read would not come to its end.
func (s *Store) EachReplayable(ctx context.Context, r *hook.Replay, limit int, f func(r *hook.Request, damaged bool) bool) (cursor hook.ID, done bool, err error) {
	u, err := s.visible(hook.System, r.CaptureURLID)
	if err != nil {
		return r.Cursor, false, err
	}
	ctx, end := limited(ctx, &err)
	defer end()
	after := max(r.Cursor, u.clearedUpTo())
	window, err := collect(ctx, s.read, scanID, "SELECT id FROM requests WHERE capture_url_id = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT 1 OFFSET $4",
		r.CaptureURLID, after, r.UpTo, replayWindow-1)
	if err != nil {
		return r.Cursor, false, err
	}
	upTo := r.UpTo
	if len(window) > 0 {
		upTo = window[0]
	}
	cursor, whole, err := s.replayableUpTo(ctx, r, after, upTo, limit, f)
	if whole {
		cursor = max(upTo, r.Cursor)
	}
	return cursor, whole && upTo == r.UpTo, err
}

// replayableUpTo is EachReplayable of the requests above after, up to upTo; whole when it got to the end of them.
func (s *Store) replayableUpTo(
	ctx context.Context, r *hook.Replay, after, upTo hook.ID, limit int, f func(r *hook.Request, damaged bool) bool,
) (cursor hook.ID, whole bool, err error) {
	until := int64(1<<63 - 1)
	if !r.Until.IsZero() {
		until = micros(r.Until)
	}
	cursor = r.Cursor
	rows, err := s.read.QueryContext(ctx, "SELECT "+requestColumns+` FROM requests
		WHERE capture_url_id = $1 AND id > $2 AND id <= $3 AND received_at >= $4 AND received_at < $5 ORDER BY id LIMIT $6`,
		r.CaptureURLID, after, upTo, micros(r.Since), until, limit)
	if err != nil {
		return cursor, false, err
	}
	defer rows.Close()
	given := 0
	for rows.Next() {
		request, err := scanRequest(rows)
		damaged := errors.Is(err, ErrDamaged)
		if err != nil && !damaged {
			return cursor, false, err
		}
		cursor = request.ID
		if given++; !f(request, damaged) {
			return cursor, false, nil
		}
	}
	return cursor, given < limit && rows.Err() == nil, rows.Err()
}

// AdvanceReplay makes the deliveries of some requests of a replay and moves its cursor, in one transaction: however often the
// process dies, none is made twice and none is left out. Requests that are gone by now are left out. done ends the replay.
// Conflict when it has been ended, or advanced, since r was read, Unavailable while there is no Room.
func (s *Store) AdvanceReplay(ctx context.Context, r *hook.Replay, cursor hook.ID, requests []hook.ID, done bool) error {
	var made []newDelivery
	return s.do(ctx, func(tx *sql.Tx) error {
		made = made[:0]
		if err := s.room(ctx, tx, r.CaptureURLID); err != nil {
			return err
		}
		for _, id := range requests {
			_, err := s.resendable(ctx, tx, hook.System, hook.Resend{RequestID: id, SubscriptionID: r.SubscriptionID})
			if hook.Is(err, hook.NotFound) && s.urls.load().subs[r.SubscriptionID] != nil {
				continue
			}
			if err != nil {
				return err
			}
			made = append(made, newDelivery{Delivery: hook.Delivery{
				RequestID: id, CaptureURLID: r.CaptureURLID, SubscriptionID: r.SubscriptionID, Trigger: hook.TriggerManual, By: r.By,
				Retry: true, ReplayID: r.ID,
			}})
		}
		state, finished := hook.ReplayRunning, int64(0)
		if done {
			state, finished = hook.ReplayDone, time.Now().UnixMicro()
		}
		result, err := tx.ExecContext(ctx, `UPDATE replays SET cursor = $3, queued = queued + $4, state = $5, finished_at = $6
			WHERE id = $1 AND state = 0 AND cursor = $2`, r.ID, r.Cursor, cursor, len(made), int(state), finished)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return cmpErr(err, hook.Errorf(hook.Conflict, "This replay is not running any more."))
		}
		return s.insertDeliveries(ctx, tx, made)
	}, func() { s.queued(made) })
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// CancelReplay ends a running replay, with a reason in words, and cancels those of its deliveries that are not finished.
// Conflict when it was cancelled before, or is done and has nothing unfinished.
func (s *Store) CancelReplay(ctx context.Context, actor hook.Actor, id hook.ID, reason string) (hook.Replay, error) {
	r, err := s.Replay(ctx, actor, id)
	if err != nil {
		return r, err
	}
	b := s.newBatch()
	err = s.do(ctx, func(tx *sql.Tx) error {
		b.tx = tx
		result, err := tx.ExecContext(ctx, "UPDATE replays SET state = $2, reason = $3, finished_at = $4 WHERE id = $1 AND state < 2 AND (state = 0 OR queued > done + failed)",
			id, int(hook.ReplayCancelled), reason, time.Now().UnixMicro())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return cmpErr(err, hook.Errorf(hook.Conflict, "This replay has come to its end already."))
		}
		return b.cancelReplayed(ctx, &r, reason)
	}, func() {
		s.calledOff.Add(1)
		b.apply()
		s.tellQueue(r.SubscriptionID)
	})
	if err != nil {
		return r, err
	}
	return s.Replay(ctx, actor, id)
}

// cancelReplayed cancels the unfinished deliveries of a replay, in the transaction that ends it: they are not many more than
// hook.MaxReplayAhead, however long the queue is that they stand in.
func (b *batch) cancelReplayed(ctx context.Context, r *hook.Replay, reason string) error {
	cancelled, err := queryAll(ctx, b.tx, func(row scanner) (c Claim, err error) {
		return c, row.Scan(&c.ID, &c.RequestID, &c.LastStatus)
	}, cancelQuery, r.ID, b.s.discardedUpTo(r.SubscriptionID), reason)
	if err != nil {
		return err
	}
	for i := range cancelled {
		c := &cancelled[i]
		c.CaptureURLID, c.SubscriptionID, c.ReplayID = r.CaptureURLID, r.SubscriptionID, r.ID
		if e := b.s.urls.load().subs[r.SubscriptionID]; e != nil {
			b.count(e, Result{Next: hook.Next{State: hook.Cancelled}}, true)
		}
		b.tell(c, hook.Cancelled)
	}
	return b.save(ctx)
}

// cancelQuery says that no replay has the id 0, which is how SQLite knows that the index has all it is to find.
const cancelQuery = `UPDATE deliveries SET state = 4, reason = $3, lease = 0, next_at = 0
	WHERE replay_id = $1 AND replay_id <> 0 AND state < 2 AND id > $2 RETURNING id, request_id, last_status`

// endReplayed counts deliveries that end without an attempt, by the replays that made them, 0 = none.
func endReplayed(ctx context.Context, tx execer, replays []hook.ID) error {
	ended := map[hook.ID]int64{}
	for _, id := range replays {
		ended[id]++
	}
	delete(ended, 0)
	for id, n := range ended {
		if _, err := tx.ExecContext(ctx, "UPDATE replays SET failed = failed + $2 WHERE id = $1", id, n); err != nil {
			return err
		}
	}
	return nil
}
