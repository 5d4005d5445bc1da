package store

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// The queue of a subscription is its unfinished deliveries in the order of due_at, and so is that of the resends from a capture
// URL to typed URLs, so that nobody waits for the slow targets that others typed in. A worker claims from it with a lease
// before it sends, and what it reports later counts only under that lease. Claiming does not take a row out of the queue:
// the worker leaves out what it has claimed itself, and what a process that died had claimed is free at once.

// Claim is a delivery that the caller is to send.
type Claim struct {
	hook.Delivery
	Lease       int64
	Interrupted bool  // a process that died was sending it: nobody knows how that ended
	Undecided   bool  // the filter has not said yet whether it wants the request
	BodySize    int64 // of the request and the edited copy
	dueAt       int64
	seen        int64 // of Store.calledOff, when it was leased
}

// Queue returns the id of the queue that a claim is in: that of its subscription, or for a resend to a typed URL that of its capture
// URL, below zero.
func (c *Claim) Queue() hook.ID { return queueOf(&c.Delivery) }

func queueOf(d *hook.Delivery) hook.ID {
	if d.SubscriptionID == 0 {
		return -d.CaptureURLID
	}
	return d.SubscriptionID
}

// Queue says what to claim of a queue.
type Queue struct {
	ID      hook.ID // see Claim.Queue
	Now     time.Time
	Limit   int
	Skip    map[hook.ID]bool // claimed already by the caller
	From    Position         // look only behind it
	Ordered bool             // only the head, and only when it is due

	EvenIfWaiting bool // with Ordered: the head whether it is due or not
}

// claimColumns are read in the order of scanClaim. A body that was not kept has the size that its sender announced, which may be any.
const claimColumns = `d.id, d.request_id, d.capture_url_id, d.subscription_id, d.state, d.due_at, d.next_at, d.lease, d.used,
	d.attempt_count, d.last_status, d.origin, d.retry, d.sign_as, d.replay_id, d.made_by, d.target_url,
	length(d.edit) > 0, d.created_at, d.undecided, length(d.edit) + coalesce((SELECT CASE WHEN r.flags & 1 THEN 0 ELSE r.body_size END FROM requests r WHERE r.id = d.request_id), 0)`

func scanClaim(row scanner) (c Claim, err error) {
	var next, created int64
	err = row.Scan(&c.ID, &c.RequestID, &c.CaptureURLID, &c.SubscriptionID, &c.State, &c.dueAt, &next, &c.Lease, &c.Used,
		&c.AttemptCount, &c.LastStatus, &c.Trigger, &c.Retry, &c.SignAs, &c.ReplayID, &c.By, &c.TargetURL, &c.Edited, &created,
		&c.Undecided, &c.BodySize)
	if err != nil {
		return c, err
	}
	c.NextAt, c.CreatedAt = fromMicros(next), fromMicros(created)
	c.Interrupted = c.Lease != 0
	return c, nil
}

// Position is a place in a queue. The zero Position is its head.
type Position struct {
	due int64
	id  hook.ID
}

// Found is what Due found.
type Found struct {
	Claims []Claim
	More   bool      // there may be more behind Last that is due
	Last   Position  // of the last delivery that was looked at
	Next   time.Time // when there is no more: when the next one will be due, zero when there is none
}

const (
	selectDue = "SELECT " + claimColumns + " FROM deliveries d WHERE "
	isDue     = ` AND d.state < 2 AND d.due_at <= $2 AND (d.due_at, d.id) > ($4, $5) ORDER BY d.due_at, d.id LIMIT $6`

	dueQuery       = selectDue + ofSubscription + " AND d.id > $3" + isDue
	dueOneOffQuery = selectDue + oneOffsOf + " AND d.request_id > $3" + isDue
)

// ofQueue returns the condition of the rows of a queue, and its $1.
func ofQueue(id hook.ID) (where string, arg hook.ID) {
	if id < 0 {
		return oneOffsOf, -id
	}
	return ofSubscription, id
}

// Due returns the deliveries that can be claimed now. Nothing is written.
func (s *Store) Due(ctx context.Context, q Queue) (f Found, err error) {
	now, limit := micros(q.Now), q.Limit
	if q.From == (Position{}) {
		limit += len(q.Skip)
	}
	if q.Ordered {
		limit, now = 1, math.MaxInt64
	}
	stmt, of, gone := &s.often.due, q.ID, s.discardedUpTo(q.ID)
	if of < 0 {
		stmt, of = &s.often.dueOneOff, -of
		gone = s.clearedUpTo(of)
	}
	found, err := queryAll(ctx, stmt, scanClaim, "", of, now, gone, q.From.due, q.From.id, limit)
	if err != nil {
		return Found{}, err
	}
	for _, c := range found {
		if q.Ordered && c.NextAt.After(q.Now) && !q.EvenIfWaiting {
			return Found{Next: c.NextAt}, nil
		}
		if !q.Skip[c.ID] && len(f.Claims) < q.Limit {
			f.Claims = append(f.Claims, c)
			f.Last = Position{c.dueAt, c.ID}
		}
	}
	f.More = len(found) == limit && !q.Ordered
	if f.More && len(f.Claims) == 0 {
		f.Last = Position{found[limit-1].dueAt, found[limit-1].ID}
	}
	if !f.More && !q.Ordered {
		f.Next, err = s.nextDue(ctx, q.ID, now)
	}
	return f, err
}

// Queues returns the ids of the queues that have something in them. The rows are asked, not the counts.
func (s *Store) Queues(ctx context.Context) ([]hook.ID, error) {
	queues, err := s.subscriptionsWith(ctx, s.work, hook.Pending, hook.Waiting)
	if err != nil || !slices.Contains(queues, 0) {
		return queues, err
	}
	queues = slices.DeleteFunc(queues, func(id hook.ID) bool { return id == 0 })
	for _, state := range []hook.State{hook.Pending, hook.Waiting} {
		urls, err := s.oneOffURLs(ctx, s.work, hook.System, state)
		if err != nil {
			return nil, err
		}
		for _, u := range urls {
			if !slices.Contains(queues, -u) {
				queues = append(queues, -u)
			}
		}
	}
	return queues, nil
}

// subscriptionsWith returns the subscriptions, 0 for typed URLs, that have deliveries in a range of stored states. Each step looks for
// the next subscription: it does not matter how many deliveries one has.
func (s *Store) subscriptionsWith(ctx context.Context, db querier, from, to hook.State) ([]hook.ID, error) {
	return queryAll(ctx, db, scanID, `WITH RECURSIVE has (id) AS (
			SELECT min(subscription_id) FROM deliveries
			UNION ALL
			SELECT (SELECT min(subscription_id) FROM deliveries WHERE subscription_id > has.id) FROM has WHERE has.id IS NOT NULL)
		SELECT id FROM has WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription_id = has.id AND d.state BETWEEN $1 AND $2)`,
		int(from), int(to))
}

// clearedUpTo returns up to which request all are deleted of a capture URL, whether their rows are gone or not.
func (s *Store) clearedUpTo(captureURL hook.ID) hook.ID {
	if u := s.urls.load().byID[captureURL]; u != nil {
		return u.clearedUpTo()
	}
	return math.MaxInt64
}

func (s *Store) discardedUpTo(subscription hook.ID) hook.ID {
	if e := s.urls.load().subs[subscription]; e != nil {
		return e.getStatus().discarded
	}
	return 0
}

// DueByHand returns the deliveries of a queue that somebody asked for and that have not been tried: see
// hook.SubscriptionStatus.SendsAnyway.
func (s *Store) DueByHand(ctx context.Context, q Queue) (claims []Claim, err error) {
	found, err := queryAll(ctx, s.work, scanClaim, "SELECT "+claimColumns+` FROM deliveries d WHERE d.subscription_id = $1 AND d.id > $2
		AND d.state = 0 AND d.origin = 3 AND d.replay_id = 0 AND d.attempt_count = 0 ORDER BY d.id LIMIT $3`,
		q.ID, s.discardedUpTo(q.ID), q.Limit+len(q.Skip))
	for _, c := range found {
		if !q.Skip[c.ID] && len(claims) < q.Limit {
			claims = append(claims, c)
		}
	}
	return claims, err
}

// ProbeTurn says whose turn it is while a target is down: the oldest delivery, the newest, the second oldest and so on, so
// that one poisonous request cannot hold a healthy target down. The zero ProbeTurn begins with the oldest.
type ProbeTurn struct {
	newest         bool
	old, new       hook.ID // tried last from either end
	oldDue, newDue int64
}

// NextProbe returns the delivery to try a target with that is down, due or not, and the turn after it; nil when there is
// none.
func (s *Store) NextProbe(ctx context.Context, subscription hook.ID, turn ProbeTurn) (*Claim, ProbeTurn, error) {
	query, due, id := oldestBehind, turn.oldDue, turn.old
	if turn.newest {
		query, due, id = newestBefore, turn.newDue, turn.new
		if id == 0 {
			due = math.MaxInt64
		}
	}
	discarded := s.discardedUpTo(subscription)
	found, err := queryAll(ctx, s.work, scanClaim, query, subscription, due, id, discarded)
	if err == nil && len(found) == 0 { // everything has had its turn: again from the oldest
		turn = ProbeTurn{}
		found, err = queryAll(ctx, s.work, scanClaim, oldestBehind, subscription, 0, 0, discarded)
	}
	if err != nil || len(found) == 0 {
		return nil, ProbeTurn{}, err
	}
	c := found[0]
	if turn.newest {
		turn.newDue, turn.new = c.dueAt, c.ID
	} else {
		turn.oldDue, turn.old = c.dueAt, c.ID
	}
	turn.newest = !turn.newest
	return &c, turn, nil
}

const (
	oldestBehind = "SELECT " + claimColumns + ` FROM deliveries d
		WHERE d.subscription_id = $1 AND d.state < 2 AND (d.due_at, d.id) > ($2, $3) AND d.id > $4 ORDER BY d.due_at, d.id LIMIT 1`
	newestBefore = "SELECT " + claimColumns + ` FROM deliveries d
		WHERE d.subscription_id = $1 AND d.state < 2 AND (d.due_at, d.id) < ($2, $3) AND d.id > $4 ORDER BY d.due_at DESC, d.id DESC LIMIT 1`
)

// nextDue returns when the first delivery of a queue behind now is due, zero when there is none.
func (s *Store) nextDue(ctx context.Context, queue hook.ID, now int64) (time.Time, error) {
	where, of := ofQueue(queue)
	due, err := queryAll(ctx, s.work, func(row scanner) (due int64, err error) { return due, row.Scan(&due) },
		"SELECT d.due_at FROM deliveries d WHERE "+where+" AND d.state < 2 AND d.due_at > $2 ORDER BY d.due_at LIMIT 1", of, now)
	if err != nil || len(due) == 0 {
		return time.Time{}, err
	}
	return fromMicros(due[0]), nil
}
