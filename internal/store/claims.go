package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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

// claimColumns are read in the order of scanClaim.
const claimColumns = `d.id, d.request_id, d.capture_url_id, d.subscription_id, d.state, d.due_at, d.next_at, d.lease, d.used,
	d.attempt_count, d.last_status, d.origin, d.retry, d.sign_as, d.replay_id, d.made_by, d.target_url,
	length(d.edit) > 0, d.created_at, d.undecided, length(d.edit) + coalesce((SELECT r.body_size FROM requests r WHERE r.id = d.request_id), 0)`

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

// editJSON is how an edited copy is stored.
type editJSON struct {
	Method  string       `json:"method"`
	Path    []byte       `json:"path"`
	Query   []byte       `json:"query"`
	Headers []headerJSON `json:"headers"`
	Body    []byte       `json:"body"` // null = the request's
}

func encodeEdit(e *hook.Edit) []byte {
	if e == nil {
		return []byte{}
	}
	doc := editJSON{Method: e.Method, Path: []byte(e.Path), Query: []byte(e.Query), Body: e.Body}
	for _, h := range e.Headers {
		doc.Headers = append(doc.Headers, headerJSON{h.Name, []byte(h.Value)})
	}
	return []byte(encodeJSON(doc))
}

func decodeEdit(b []byte) (*hook.Edit, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var doc editJSON
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("an edited copy is damaged: %w", err)
	}
	e := &hook.Edit{Method: doc.Method, Path: string(doc.Path), Query: string(doc.Query), Body: doc.Body}
	for _, h := range doc.Headers {
		e.Headers = append(e.Headers, hook.Header{Name: h.Name, Value: string(h.Value)})
	}
	return e, nil
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
	isDue     = ` AND d.state < 2 AND d.due_at <= $2 AND d.id > $3 AND (d.due_at, d.id) > ($4, $5) ORDER BY d.due_at, d.id LIMIT $6`

	dueQuery       = selectDue + ofSubscription + isDue
	dueOneOffQuery = selectDue + oneOffsOf + isDue
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
	stmt, of := &s.often.due, q.ID
	if of < 0 {
		stmt, of = &s.often.dueOneOff, -of
	}
	found, err := queryAll(ctx, stmt, scanClaim, "", of, now, s.discardedUpTo(q.ID), q.From.due, q.From.id, limit)
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
	queues, err := s.subscriptionsWith(ctx, hook.Pending, hook.Waiting)
	if err != nil || !slices.Contains(queues, 0) {
		return queues, err
	}
	queues = slices.DeleteFunc(queues, func(id hook.ID) bool { return id == 0 })
	for _, state := range []hook.State{hook.Pending, hook.Waiting} {
		urls, err := s.oneOffURLs(ctx, hook.System, state)
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
func (s *Store) subscriptionsWith(ctx context.Context, from, to hook.State) ([]hook.ID, error) {
	return queryAll(ctx, s.read, scanID, `WITH RECURSIVE has (id) AS (
			SELECT min(subscription_id) FROM deliveries
			UNION ALL
			SELECT (SELECT min(subscription_id) FROM deliveries WHERE subscription_id > has.id) FROM has WHERE has.id IS NOT NULL)
		SELECT id FROM has WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription_id = has.id AND d.state BETWEEN $1 AND $2)`,
		int(from), int(to))
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

// Result is what became of a claimed delivery.
type Result struct {
	Claim   Claim
	Attempt *hook.Attempt // nil when none was made: the filter or the request forbade it
	Counts  bool          // the attempt uses up one of the schedule
	Probe   bool          // it was to see whether the target is back: the delivery keeps its place in the queue
	Tells   bool          // it says something about the health of the subscription's target
	Next    hook.Next

	QuietUntil time.Time // the target asked for a pause; zero = it did not
	Disable    string    // why the subscription is to be disabled; "" = it is not
}

// Turn is what a worker writes in one transaction: first the results, then the claims that it gives back unsent, then new
// claims.
type Turn struct {
	Results []Result
	Release []Claim
	Claims  []Claim
}

// Recorded is what came of a Turn.
type Recorded struct {
	Leased  []Claim // of the claims, those that were not cancelled or finished meanwhile
	Changes []Changed
}

// Changed tells what attempts made of a subscription.
type Changed struct {
	hook.SubscriptionStatus
	Change hook.Change // WentDown, Recovered or Disabled
}

// Record stores a turn, all of it or nothing. A result counts only under the lease of its claim.
func (s *Store) Record(ctx context.Context, turn Turn) (Recorded, error) {
	b := s.newBatch()
	var leased []Claim
	err := s.do(ctx, func(tx *sql.Tx) error {
		b.tx = tx
		for _, r := range turn.Results {
			if err := b.record(ctx, r); err != nil {
				return err
			}
		}
		for _, c := range turn.Release {
			if _, err := s.writer.stmt.release.ExecContext(ctx, c.ID, c.Lease); err != nil {
				return err
			}
		}
		for _, c := range turn.Claims {
			ok, err := b.lease(ctx, &c)
			if err != nil {
				return err
			}
			if ok {
				leased = append(leased, c)
			}
		}
		return b.save(ctx)
	}, b.apply, func() { s.underWay.end(turn.Results) })
	if err != nil {
		return Recorded{}, err
	}
	return Recorded{Leased: leased, Changes: b.changed()}, nil
}

// batch is one transaction of claims and results.
type batch struct {
	s    *Store
	tx   *sql.Tx
	subs map[*subEntry]*subStatus
	urls map[*urlEntry]int64 // bytes that attempts add
	news []hook.DeliveryNews

	replays map[hook.ID]*replayCounts
	holds   map[*subEntry]*hook.Subscription // those that are disabled
	changes []change
}

type change struct {
	sub  *subEntry
	what hook.Change
}

func (s *Store) newBatch() *batch {
	return &batch{
		s: s, subs: map[*subEntry]*subStatus{}, urls: map[*urlEntry]int64{}, replays: map[hook.ID]*replayCounts{},
		holds: map[*subEntry]*hook.Subscription{},
	}
}

// replayCounts is what a batch adds to a replay.
type replayCounts struct{ done, failed int64 }

// status returns what a subscription's row will say. It is called on the writer's goroutine, where nothing else
// changes it.
func (b *batch) status(e *subEntry) *subStatus {
	st := b.subs[e]
	if st == nil {
		before := e.getStatus()
		st = &before
		b.subs[e] = st
	}
	return st
}

func (b *batch) lease(ctx context.Context, c *Claim) (bool, error) {
	if b.s.discarded(&c.Delivery) || b.s.gone(&c.Delivery) {
		return false, nil
	}
	c.Lease, c.seen = b.s.leases.Add(1), b.s.calledOff.Load()
	result, err := b.s.writer.stmt.lease.ExecContext(ctx, c.ID, c.Lease)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// record stores a result. One that comes under an old lease, or for a delivery that was cancelled meanwhile, leaves its
// attempt and changes nothing else; of a delivery that is gone, or whose request is, it leaves nothing.
func (b *batch) record(ctx context.Context, r Result) error {
	c := &r.Claim
	if b.s.gone(&c.Delivery) {
		return nil
	}
	var attempt attemptRow
	size := int64(0)
	if r.Attempt != nil {
		attempt = newAttemptRow(r.Attempt)
		size = attempt.size()
		c.AttemptCount, c.LastStatus = r.Attempt.Number, r.Attempt.Status
		if r.Counts {
			c.Used++
		}
	}
	changed, known, err := b.finish(ctx, &r, size)
	if err != nil || !known {
		return err
	}
	if r.Attempt != nil {
		freed, err := b.insertAttempt(ctx, &attempt)
		if err != nil {
			return err
		}
		if u := b.s.urls.load().byID[c.CaptureURLID]; u != nil {
			b.urls[u] += size - freed
		}
	}
	if e := b.s.urls.load().subs[c.SubscriptionID]; e != nil {
		b.count(e, r, changed)
		return b.judge(ctx, e, r)
	}
	return nil
}

// finish writes the next state of a delivery. changed is false when the result came too late for that, known when there is
// no such delivery any more, or only to say that retention cancelled it.
func (b *batch) finish(ctx context.Context, r *Result, size int64) (changed, known bool, err error) {
	if changed, err = b.move(ctx, r, size); changed || err != nil {
		return changed, changed, err
	}
	c := &r.Claim
	result, err := b.tx.ExecContext(ctx, `UPDATE deliveries SET size = size + $2, attempt_count = max(attempt_count, $3)
		WHERE id = $1 AND EXISTS (SELECT 1 FROM requests r WHERE r.id = request_id)`, c.ID, size, c.AttemptCount)
	if err != nil {
		return false, false, err
	}
	n, err := result.RowsAffected()
	return false, n == 1, err
}

// move writes the next state of a delivery that is still to be had under the lease of the result.
func (b *batch) move(ctx context.Context, r *Result, size int64) (moved bool, err error) {
	c := &r.Claim
	if b.s.discarded(&c.Delivery) {
		return false, nil
	}
	moves := r.Next.State == hook.Waiting && !r.Probe && !b.ordered(c.SubscriptionID)
	result, err := b.s.writer.stmt.finish.ExecContext(ctx, c.ID, c.Lease, int(r.Next.State), r.Next.Reason, micros(r.Next.At), c.Used,
		c.AttemptCount, c.LastStatus, size, moves)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if n == 1 && err == nil {
		b.tell(c, r.Next.State)
	}
	return n == 1, err
}

// judge notes what a result says about the subscription's target.
func (b *batch) judge(ctx context.Context, e *subEntry, r Result) error {
	if !r.Tells || r.Attempt == nil {
		return nil
	}
	health, now := &b.status(e).health, time.Now()
	disable := r.Disable
	if r.Attempt.OK() {
		if health.Succeeded(now) {
			b.changes = append(b.changes, change{e, hook.Recovered})
		}
		return nil
	}
	switch health.FailedAttempt(r.Claim.ID, r.Attempt.Words(), now, r.Probe) {
	case hook.WentDown:
		b.changes = append(b.changes, change{e, hook.WentDown})
	case hook.Died:
		disable = cmp.Or(disable, "every attempt has failed since "+health.FailingSince.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if r.QuietUntil.After(health.QuietUntil) {
		health.QuietUntil = r.QuietUntil
	}
	if disable == "" {
		return nil
	}
	return b.disable(ctx, e, disable, now)
}

func (b *batch) disable(ctx context.Context, e *subEntry, reason string, now time.Time) error {
	if e.get().Hold.Disabled || b.holds[e] != nil {
		return nil
	}
	fields := *e.get()
	fields.Hold.Disabled, fields.Hold.DisabledReason, fields.Hold.DisabledAt = true, reason, now.UTC().Truncate(time.Microsecond)
	b.holds[e] = &fields
	b.changes = append(b.changes, change{e, hook.Disabled})
	_, err := b.tx.ExecContext(ctx, "UPDATE subscriptions SET disabled = $2, disabled_reason = $3, disabled_at = $4 WHERE id = $1",
		e.id, true, reason, micros(now))
	return err
}

// changed returns the changes with the subscriptions as they are now.
func (b *batch) changed() []Changed {
	var all []Changed
	for _, c := range b.changes {
		all = append(all, Changed{c.sub.withStatus(), c.what})
	}
	return all
}

// tell notes what others are told of a delivery that has changed.
func (b *batch) tell(c *Claim, state hook.State) {
	b.news = append(b.news, hook.DeliveryNews{
		ID: c.ID, RequestID: c.RequestID, CaptureURLID: c.CaptureURLID, SubscriptionID: c.SubscriptionID, ReplayID: c.ReplayID,
		State: state, LastStatus: c.LastStatus,
	})
	if c.ReplayID == 0 || !state.Finished() {
		return
	}
	counts := b.replays[c.ReplayID]
	if counts == nil {
		counts = &replayCounts{}
		b.replays[c.ReplayID] = counts
	}
	if state == hook.Succeeded {
		counts.done++
	} else {
		counts.failed++
	}
}

func (b *batch) ordered(subscription hook.ID) bool {
	e := b.s.urls.load().subs[subscription]
	return e != nil && e.get().Ordered
}

func (b *batch) count(e *subEntry, r Result, changed bool) {
	status := b.status(e)
	counts := &status.counts
	if r.Attempt != nil {
		counts.Attempts++
		status.hour.add(r.Attempt.StartedAt, r.Attempt.OK())
	}
	if !changed || !r.Next.State.Finished() {
		return
	}
	counts.Unfinished--
	switch r.Next.State {
	case hook.Succeeded:
		counts.Succeeded++
	case hook.Failed:
		counts.Failed++
	case hook.Skipped:
		counts.Skipped++
	case hook.Cancelled:
		counts.Cancelled++
	}
}

// attemptRow is an attempt with its headers as they are stored.
type attemptRow struct {
	*hook.Attempt
	request, response []byte
}

func newAttemptRow(a *hook.Attempt) attemptRow {
	return attemptRow{a, appendHeaders([]byte{}, a.RequestHeaders), appendHeaders([]byte{}, a.ResponseHeaders)}
}

// size is what the attempt adds to the size of its delivery.
func (a *attemptRow) size() int64 {
	return int64(perRequest + len(a.request) + len(a.response) + len(a.ResponseBody))
}

// insertAttempt stores an attempt and returns the size of the one that made room for it: the first and the last ones of a
// delivery are kept.
func (b *batch) insertAttempt(ctx context.Context, a *attemptRow) (freed int64, err error) {
	_, err = b.s.writer.stmt.attempt.ExecContext(ctx, a.DeliveryID, a.Number, int(a.Trigger), a.By, micros(a.StartedAt),
		a.Duration.Microseconds(), a.Timing.DNS.Microseconds(), a.Timing.Connect.Microseconds(), a.Timing.TLS.Microseconds(),
		a.Timing.FirstByte.Microseconds(), a.RemoteAddr, a.TLS, a.Status, a.Error, a.Method, a.URL,
		a.request, a.response, notNil(a.ResponseBody), a.ResponseTruncated)
	middle := a.Number - hook.LastAttemptsKept
	if err != nil || middle <= hook.FirstAttemptsKept {
		return 0, err
	}
	err = b.tx.QueryRowContext(ctx, `DELETE FROM attempts WHERE delivery_id = $1 AND number = $2
		RETURNING $3 + length(request_headers) + length(response_headers) + length(response_body)`, a.DeliveryID, middle, perRequest).
		Scan(&freed)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		_, err = b.tx.ExecContext(ctx, "UPDATE deliveries SET size = size - $2 WHERE id = $1", a.DeliveryID, freed)
	}
	return freed, err
}

func (b *batch) save(ctx context.Context) error {
	for e, st := range b.subs {
		if err := saveStatus(ctx, b.tx, e.id, st); err != nil {
			return err
		}
	}
	for id, n := range b.replays {
		_, err := b.tx.ExecContext(ctx, "UPDATE replays SET done = done + $2, failed = failed + $3 WHERE id = $1", id, n.done, n.failed)
		if err != nil {
			return err
		}
	}
	for u, size := range b.urls {
		if size == 0 {
			continue
		}
		stats := u.getStats()
		stats.Bytes += size
		if err := saveStats(ctx, b.tx, u.id, stats); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) apply() {
	for e, st := range b.subs {
		e.setStatus(*st)
	}
	for e, fields := range b.holds {
		b.s.urls.setSub(e, fields)
	}
	for u, size := range b.urls {
		stats := u.getStats()
		stats.Bytes += size
		u.setStats(stats)
	}
	b.s.tellDeliveries(b.news)
	for _, c := range b.changes {
		b.s.tellSubscription(c.sub)
	}
}

// saveStatus writes the row of subscription_stats.
func saveStatus(ctx context.Context, tx *sql.Tx, id hook.ID, st *subStatus) error {
	_, err := tx.ExecContext(ctx, `UPDATE subscription_stats SET unfinished = $2, succeeded = $3, failed = $4, cancelled = $5,
			skipped = $6, attempts = $7, health = $8, discarded_up_to = $9, discard_reason = $10, hour = $11
		WHERE subscription_id = $1`, id, st.counts.Unfinished, st.counts.Succeeded, st.counts.Failed, st.counts.Cancelled,
		st.counts.Skipped, st.counts.Attempts, encodeJSON(st.health), st.discarded, st.reason, st.hour.encode())
	return err
}

func (s *Store) tellQueue(queues ...hook.ID) {
	if s.opts.OnQueue != nil {
		s.opts.OnQueue(queues)
	}
}

// tellSubscription tells everybody of a change of a subscription that is on disk.
func (s *Store) tellSubscription(e *subEntry) {
	s.tellQueue(e.id)
	if s.opts.OnSubscription != nil {
		s.opts.OnSubscription(e.url.id, e.id)
	}
}

func (s *Store) tellDeliveries(news []hook.DeliveryNews) {
	if s.opts.OnDelivery != nil && len(news) > 0 {
		s.opts.OnDelivery(news)
	}
}
