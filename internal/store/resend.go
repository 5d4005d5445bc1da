package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Resend makes new deliveries of old requests, all or none, and returns them. by is the e-mail address of who asked.
// NotFound when the actor may not see a request or a subscription, Conflict when a subscription belongs to another capture
// URL or a request was not kept whole, Invalid for an edited copy that cannot be sent and for more of them than one transaction
// writes, Unavailable when there is no Room.
func (s *Store) Resend(ctx context.Context, actor hook.Actor, by string, resends ...hook.Resend) ([]hook.Delivery, error) {
	for _, r := range resends {
		if r.Edit != nil {
			if err := r.Edit.Validate(); err != nil {
				return nil, err
			}
		}
	}
	if len(resends) == 0 {
		return nil, nil
	}
	made := make([]newDelivery, len(resends))
	err := s.do(ctx, func(tx *sql.Tx) error {
		for i, r := range resends {
			captureURL, err := s.resendable(ctx, tx, actor, r)
			if err != nil {
				return err
			}
			made[i] = newDelivery{
				Delivery: hook.Delivery{
					RequestID: r.RequestID, CaptureURLID: captureURL, SubscriptionID: r.SubscriptionID, TargetURL: r.TargetURL,
					Trigger: hook.TriggerManual, By: by, Retry: r.Retry, SignAs: r.SignAs, Edited: r.Edited(),
				},
				edit: r.Edit, editOf: r.EditOf,
			}
		}
		if err := s.roomFor(ctx, tx, made); err != nil {
			return err
		}
		return s.insertDeliveries(ctx, tx, made)
	}, func() { s.queued(made) })
	if err != nil {
		return nil, err
	}
	return s.readBack(ctx, made)
}

// ResendDelivery makes a new delivery of what another one sends, to the same target.
func (s *Store) ResendDelivery(ctx context.Context, actor hook.Actor, by string, id hook.ID) (hook.Delivery, error) {
	r, err := s.sameAgain(ctx, actor, id)
	if err != nil {
		return hook.Delivery{}, err
	}
	made, err := s.Resend(ctx, actor, by, r)
	if err != nil {
		return hook.Delivery{}, err
	}
	return made[0], nil
}

// ResendDeliveries is ResendDelivery for many, as ResendPossible.
func (s *Store) ResendDeliveries(ctx context.Context, actor hook.Actor, by string, ids ...hook.ID) ([]hook.Delivery, error) {
	var resends []hook.Resend
	for _, id := range ids {
		r, err := s.sameAgain(ctx, actor, id)
		if err == nil {
			resends = append(resends, r)
		} else if !hook.Is(err, hook.NotFound) {
			return nil, err
		}
	}
	return s.ResendPossible(ctx, actor, by, resends...)
}

// ResendPossible is Resend without those whose request or subscription is gone, or whose request was not kept whole. Many are made in
// several transactions: an error says how many were made before it, and they are returned too.
func (s *Store) ResendPossible(ctx context.Context, actor hook.Actor, by string, resends ...hook.Resend) ([]hook.Delivery, error) {
	var possible []hook.Resend
	for _, r := range resends {
		_, err := s.resendable(ctx, s.read, actor, r)
		switch {
		case hook.Is(err, hook.NotFound) || hook.Is(err, hook.Conflict):
		case err != nil:
			return nil, err
		default:
			possible = append(possible, r)
		}
	}
	return s.resendInParts(ctx, actor, by, possible)
}

// resendInParts is Resend in transactions of few rows and bytes each.
func (s *Store) resendInParts(ctx context.Context, actor hook.Actor, by string, resends []hook.Resend) (made []hook.Delivery, err error) {
	for left := resends; len(left) > 0; {
		n, bytes := 0, int64(0)
		for ; n < min(len(left), resendBatch); n++ {
			size, err := s.copied(ctx, left[n])
			if err != nil {
				return made, partly(err, len(made), len(resends))
			}
			if bytes += size; n > 0 && bytes > copyBytes {
				break
			}
		}
		some, err := s.Resend(ctx, actor, by, left[:n]...)
		if err != nil {
			return made, partly(err, len(made), len(resends))
		}
		made, left = append(made, some...), left[n:]
	}
	return made, nil
}

// sameAgain returns what sends the same as a delivery that the actor may see.
func (s *Store) sameAgain(ctx context.Context, actor hook.Actor, id hook.ID) (hook.Resend, error) {
	d, err := s.Delivery(ctx, actor, id)
	r := hook.Resend{RequestID: d.RequestID, SubscriptionID: d.SubscriptionID, Retry: true}
	if d.Edited {
		r.EditOf = d.ID
	}
	if d.SubscriptionID == 0 {
		r.TargetURL, r.Retry, r.SignAs = d.TargetURL, d.Retry, d.SignAs
	}
	return r, err
}

// resendable returns the capture URL of a request that the actor may resend as r says.
func (s *Store) resendable(ctx context.Context, from querier, actor hook.Actor, r hook.Resend) (captureURL hook.ID, err error) {
	flags, err := queryAll(ctx, from, func(row scanner) (flags int64, err error) { return flags, row.Scan(&captureURL, &flags) },
		"SELECT capture_url_id, flags FROM requests WHERE id = $1", r.RequestID)
	if err != nil {
		return 0, err
	}
	if len(flags) == 0 {
		return 0, notFound("request")
	}
	u, err := s.visible(actor, captureURL)
	if err != nil || r.RequestID <= u.clearedUpTo() {
		return 0, notFound("request")
	}
	if flags[0]&flagTruncated != 0 && !r.Edited() {
		return 0, hook.Errorf(hook.Conflict, "The body of this request was over the limit and was not kept: it cannot be sent again.")
	}
	if flags[0]&flagTruncated != 0 && r.Edit != nil && r.Edit.Body == nil {
		return 0, hook.Errorf(hook.Conflict, "The body of this request was over the limit and was not kept: give the copy one, or an empty one.")
	}
	for _, id := range []hook.ID{r.SubscriptionID, r.SignAs} {
		if id == 0 {
			continue
		}
		e, err := s.visibleSub(actor, id)
		if err != nil {
			return 0, err
		}
		if e.url.id != captureURL && id == r.SubscriptionID {
			return 0, hook.Errorf(hook.Conflict, "This subscription belongs to another capture URL. Resend to its target URL instead.")
		}
	}
	return captureURL, nil
}

// newDelivery is a delivery to be inserted.
type newDelivery struct {
	hook.Delivery
	edit   *hook.Edit
	editOf hook.ID // the delivery whose edited copy it takes; 0 = none
	size   int64
}

// insertDeliveries inserts deliveries that are due now, gives them their ids and counts them.
func (s *Store) insertDeliveries(ctx context.Context, tx *sql.Tx, made []newDelivery) error {
	now := time.Now()
	queued, bytes, copied := map[hook.ID]int64{}, map[hook.ID]int64{}, int64(0)
	for i := range made {
		d := &made[i]
		d.ID, d.CreatedAt = s.writer.deliveryIDs.Next(now), now.UTC().Truncate(time.Microsecond)
		edit := encodeEdit(d.edit)
		d.size = int64(perDelivery + len(edit))
		_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (id, request_id, capture_url_id, subscription_id, due_at, created_at, state,
				next_at, lease, used, attempt_count, last_status, size, origin, retry, sign_as, replay_id, made_by, reason, target_url, edit)
			VALUES ($1, $2, $3, $4, $5, $5, 0, 0, 0, 0, 0, 0, $6, $7, $8, $9, $10, $11, '', $12, $13)`,
			d.ID, d.RequestID, d.CaptureURLID, d.SubscriptionID, micros(d.CreatedAt), d.size, int(d.Trigger), d.Retry, d.SignAs,
			d.ReplayID, d.By, d.TargetURL, edit)
		if err == nil && d.editOf != 0 {
			err = d.copyEdit(ctx, tx)
		}
		if err != nil {
			return err
		}
		if copied += d.size - perDelivery; i > 0 && copied > copyBytes {
			return hook.LimitSelected.Errorf(hook.Invalid, "These are edited copies of more than %d MiB together: resend fewer at once.", copyBytes>>20)
		}
		queued[d.SubscriptionID]++
		bytes[d.CaptureURLID] += d.size
	}
	for id, n := range queued {
		_, err := tx.ExecContext(ctx, "UPDATE subscription_stats SET unfinished = unfinished + $2 WHERE subscription_id = $1", id, n)
		if err != nil {
			return err
		}
	}
	for id, n := range bytes {
		if n == 0 {
			continue
		}
		_, err := tx.ExecContext(ctx, "UPDATE capture_url_stats SET bytes = bytes + $2 WHERE capture_url_id = $1", id, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// copyEdit gives a delivery the edited copy of another one, which may be large and stays in the database. NotFound when that one is
// gone.
func (d *newDelivery) copyEdit(ctx context.Context, tx *sql.Tx) error {
	row := tx.QueryRowContext(ctx, `UPDATE deliveries SET edit = e.edit, size = deliveries.size + length(e.edit)
		FROM deliveries e WHERE deliveries.id = $1 AND e.id = $2 RETURNING deliveries.size`, d.ID, d.editOf)
	return noRows(row.Scan(&d.size), "delivery")
}

// queued notes deliveries that are on disk now and tells of them.
func (s *Store) queued(made []newDelivery) {
	snapshot := s.urls.load()
	news := make([]hook.DeliveryNews, len(made))
	var queues []hook.ID
	for i, d := range made {
		news[i] = hook.DeliveryNews{
			ID: d.ID, RequestID: d.RequestID, CaptureURLID: d.CaptureURLID, SubscriptionID: d.SubscriptionID, ReplayID: d.ReplayID,
		}
		if e := snapshot.subs[d.SubscriptionID]; e != nil {
			e.queued(1)
		}
		if u := snapshot.byID[d.CaptureURLID]; u != nil {
			stats := u.getStats()
			stats.Bytes += d.size
			u.setStats(stats)
		}
		if id := queueOf(&d.Delivery); len(queues) == 0 || queues[len(queues)-1] != id {
			queues = append(queues, id)
		}
	}
	s.tellQueue(queues...)
	s.tellDeliveries(news)
}

// readBack returns the deliveries as they are seen now.
func (s *Store) readBack(ctx context.Context, made []newDelivery) ([]hook.Delivery, error) {
	all := make([]hook.Delivery, len(made))
	for i := range made {
		var err error
		all[i], err = queryOne(ctx, s.read, "delivery", s.scanDelivery, "SELECT "+deliveryColumns+fromDeliveries+"WHERE d.id = $1", made[i].ID)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// CancelDelivery ends an unfinished delivery. An attempt that is under way is not called back, but its outcome changes
// nothing. Conflict when the delivery is finished.
func (s *Store) CancelDelivery(ctx context.Context, actor hook.Actor, by string, id hook.ID) (hook.Delivery, error) {
	reason := "cancelled"
	if by != "" {
		reason += " by " + by
	}
	d, err := s.Delivery(ctx, actor, id)
	if err != nil {
		return hook.Delivery{}, err
	}
	b := s.newBatch()
	err = s.do(ctx, func(tx *sql.Tx) error {
		b.tx = tx
		if s.discarded(&d) || s.gone(&d) {
			return hook.Errorf(hook.Conflict, "This delivery is %s already.", hook.Cancelled)
		}
		result, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = $2, reason = $3, lease = 0, next_at = 0
			WHERE id = $1 AND state < 2`, id, int(hook.Cancelled), reason)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return hook.Errorf(hook.Conflict, "This delivery is %s already.", d.State)
		}
		c := Claim{Delivery: d}
		if e := s.urls.load().subs[d.SubscriptionID]; e != nil {
			b.count(e, Result{Next: hook.Next{State: hook.Cancelled}}, true)
		}
		b.tell(&c, hook.Cancelled)
		return b.save(ctx)
	}, func() {
		s.calledOff.Add(1)
		b.apply()
		s.tellQueue(queueOf(&d))
	})
	if err != nil {
		return hook.Delivery{}, err
	}
	d.State, d.Reason, d.NextAt = hook.Cancelled, reason, time.Time{}
	return d, nil
}
