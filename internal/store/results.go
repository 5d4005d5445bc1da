package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

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
	var turned []*subEntry
	for e, st := range b.subs {
		if before := e.getStatus(); before.health.Failing() != st.health.Failing() {
			turned = append(turned, e)
		}
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
	for _, e := range turned {
		b.s.showSubscription(e)
	}
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
	s.showSubscription(e)
}

// showSubscription tells those who look at a subscription that it is another than it was.
func (s *Store) showSubscription(e *subEntry) {
	if s.opts.OnSubscription != nil {
		s.opts.OnSubscription(e.url.id, e.id)
	}
}

func (s *Store) tellDeliveries(news []hook.DeliveryNews) {
	if s.opts.OnDelivery != nil && len(news) > 0 {
		s.opts.OnDelivery(news)
	}
}
