package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	// The length of an edited copy is known without reading it.
	deliveryColumns = `d.id, d.request_id, d.capture_url_id, d.subscription_id, d.state, d.reason, d.next_at, d.lease, d.used,
		d.attempt_count, d.last_status, d.origin, d.retry, d.sign_as, d.replay_id, d.made_by, d.target_url, length(d.edit) > 0, d.created_at,
		coalesce(s.name, ''), coalesce(s.target_url, '')`
	fromDeliveries = " FROM deliveries d LEFT JOIN subscriptions s ON s.id = d.subscription_id "

	maxOfRequest = 1000 // deliveries of one request that are read
	maxSkimmed   = 2000 // rows of one source and state that a page looks at

	recentOneOffs = 100 // resends to typed URLs of each stored state among which the recent targets are
	recentTargets = 8
)

// storedStates are asked for one by one, see deliverySource.
var storedStates = []hook.State{hook.Pending, hook.Waiting, hook.Succeeded, hook.Failed, hook.Cancelled, hook.Skipped}

// scanDelivery reads a delivery as people see it.
func (s *Store) scanDelivery(row scanner) (d hook.Delivery, err error) {
	var next, created, lease int64
	var target string
	err = row.Scan(&d.ID, &d.RequestID, &d.CaptureURLID, &d.SubscriptionID, &d.State, &d.Reason, &next, &lease, &d.Used,
		&d.AttemptCount, &d.LastStatus, &d.Trigger, &d.Retry, &d.SignAs, &d.ReplayID, &d.By, &d.TargetURL, &d.Edited, &created,
		&d.Subscription, &target)
	if err != nil {
		return d, err
	}
	d.NextAt, d.CreatedAt = fromMicros(next), fromMicros(created)
	d.TargetURL = cmp.Or(d.TargetURL, target)
	s.derive(&d, lease)
	return d, nil
}

// derive makes of the stored state of an unfinished delivery the one that people see.
func (s *Store) derive(d *hook.Delivery, lease int64) {
	if d.State.Finished() {
		return
	}
	e := s.urls.load().subs[d.SubscriptionID]
	switch {
	case e == nil && d.SubscriptionID != 0:
		d.State, d.Reason = hook.Cancelled, "the subscription was deleted"
	case e != nil && d.ID <= e.getStatus().discarded:
		d.State, d.Reason = hook.Cancelled, e.getStatus().reason
	case s.underWay.has(lease):
		d.State = hook.Sending
	case e != nil:
		status := e.withStatus()
		if why := status.HeldWhy(); why != "" && !status.SendsAnyway(d) {
			d.State, d.Reason = hook.Held, why
		} else if d.State == hook.Pending && d.Reason == "" {
			d.Reason = status.Health.QuietWhy(time.Now())
		}
	}
	if d.State != hook.Waiting {
		d.NextAt = time.Time{}
	}
}

// DeliveryPage cuts a page out of the deliveries that an actor may see. Of Request, Subscription and CaptureURL one is
// enough.
type DeliveryPage struct {
	CaptureURL   hook.ID      // 0 = any
	Subscription hook.ID      // 0 = any
	Request      hook.ID      // 0 = any
	States       []hook.State // nil = any
	Before       hook.ID      // only those made before this one; 0 = from the newest
	Limit        int
}

func (p *DeliveryPage) wants(s hook.State) bool {
	return len(p.States) == 0 || slices.Contains(p.States, s)
}

// Deliveries returns deliveries, newest first, without attempts. NotFound when the actor may not see the subscription, the
// capture URL or the request.
func (s *Store) Deliveries(ctx context.Context, actor hook.Actor, page DeliveryPage) ([]hook.Delivery, error) {
	if page.Before == 0 {
		page.Before = 1<<63 - 1
	}
	if page.Request != 0 {
		return s.deliveriesOf(ctx, actor, page)
	}
	subscriptions, err := s.subscriptionsOf(actor, page)
	if err != nil {
		return nil, err
	}
	var found []hook.Delivery
	for _, state := range storedStates {
		sources, err := s.deliverySources(ctx, actor, subscriptions, state, page)
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			items, err := s.deliveriesFrom(ctx, source, state, page)
			if err != nil {
				return nil, err
			}
			found = append(found, items...)
		}
	}
	slices.SortFunc(found, func(a, b hook.Delivery) int { return cmp.Compare(b.ID, a.ID) })
	return found[:min(len(found), page.Limit)], nil
}

// deliveriesOf returns the deliveries of one request.
func (s *Store) deliveriesOf(ctx context.Context, actor hook.Actor, page DeliveryPage) ([]hook.Delivery, error) {
	if err := s.visibleRequest(ctx, actor, page.Request); err != nil {
		return nil, err
	}
	found, err := queryAll(ctx, s.read, s.scanDelivery, "SELECT "+deliveryColumns+fromDeliveries+
		"WHERE d.request_id = $1 AND d.id < $2 ORDER BY d.id DESC LIMIT $3", page.Request, page.Before, maxOfRequest)
	found = slices.DeleteFunc(found, func(d hook.Delivery) bool {
		return !page.wants(d.State) || page.Subscription != 0 && d.SubscriptionID != page.Subscription
	})
	return found[:min(len(found), page.Limit)], err
}

// subscriptionsOf returns the subscriptions that a page is about.
func (s *Store) subscriptionsOf(actor hook.Actor, page DeliveryPage) (subs []*subEntry, err error) {
	if page.Subscription != 0 {
		e, err := s.visibleSub(actor, page.Subscription)
		return []*subEntry{e}, err
	}
	if page.CaptureURL != 0 {
		if _, err := s.visible(actor, page.CaptureURL); err != nil {
			return nil, err
		}
	}
	for _, e := range s.urls.load().subs {
		if actor.MaySee(e.url.get().OwnerID) && (page.CaptureURL == 0 || e.url.id == page.CaptureURL) {
			subs = append(subs, e)
		}
	}
	return subs, nil
}

// deliverySource is a part of the deliveries whose rows of one stored state are in the order of an index.
type deliverySource struct {
	where string // takes $1
	id    hook.ID
}

const (
	ofSubscription = "d.subscription_id = $1"
	oneOffsOf      = "d.subscription_id = 0 AND d.capture_url_id = $1" // resends to typed URLs
)

// deliverySources returns where rows with a stored state can be seen as ones that the page wants.
func (s *Store) deliverySources(ctx context.Context, actor hook.Actor, subs []*subEntry, state hook.State, page DeliveryPage) (all []deliverySource, err error) {
	for _, e := range subs {
		status := e.withStatus()
		if page.mayHold(state, status.HeldWhy() != "") {
			all = append(all, deliverySource{ofSubscription, e.id})
		}
	}
	if page.Subscription != 0 || !page.mayHold(state, false) {
		return all, nil
	}
	urls := []hook.ID{page.CaptureURL}
	if page.CaptureURL == 0 {
		if urls, err = s.oneOffURLs(ctx, s.read, actor, state); err != nil {
			return nil, err
		}
	}
	for _, id := range urls {
		all = append(all, deliverySource{oneOffsOf, id})
	}
	return all, nil
}

// oneOffURLs returns the capture URLs of an actor with resends to typed URLs in a stored state.
func (s *Store) oneOffURLs(ctx context.Context, db querier, actor hook.Actor, state hook.State) ([]hook.ID, error) {
	ids, err := queryAll(ctx, db, scanID, oneOffURLsQuery, state)
	return slices.DeleteFunc(ids, func(id hook.ID) bool {
		_, err := s.visible(actor, id)
		return err != nil
	}), err
}

// oneOffURLsQuery jumps from one capture URL to the next in the index, however many rows lie between.
const oneOffURLsQuery = `WITH RECURSIVE found (id) AS (
		SELECT min(capture_url_id) FROM deliveries WHERE subscription_id = 0 AND state = $1
		UNION ALL
		SELECT (SELECT min(d.capture_url_id) FROM deliveries d WHERE d.subscription_id = 0 AND d.state = $1 AND d.capture_url_id > found.id)
		FROM found WHERE found.id IS NOT NULL)
	SELECT id FROM found WHERE id IS NOT NULL`

// mayHold reports whether rows with a stored state can be seen as one that the page wants.
func (p *DeliveryPage) mayHold(stored hook.State, held bool) bool {
	switch {
	case p.wants(stored):
		return true
	case stored.Finished():
		return false
	}
	return p.wants(hook.Sending) || p.wants(hook.Cancelled) || held && p.wants(hook.Held)
}

// deliveriesFrom returns the newest deliveries of a source with a stored state.
func (s *Store) deliveriesFrom(ctx context.Context, source deliverySource, state hook.State, page DeliveryPage) (found []hook.Delivery, err error) {
	for skimmed := 0; len(found) < page.Limit && skimmed < maxSkimmed; {
		items, err := queryAll(ctx, s.read, s.scanDelivery, source.query(), source.id, state, page.Before, page.Limit)
		if err != nil {
			return nil, err
		}
		for _, d := range items {
			if page.wants(d.State) {
				found = append(found, d)
			}
		}
		if len(items) < page.Limit {
			break
		}
		skimmed += len(items)
		page.Before = items[len(items)-1].ID
	}
	return found, nil
}

func (d deliverySource) query() string {
	return "SELECT " + deliveryColumns + fromDeliveries + "WHERE " + d.where + " AND d.state = $2 AND d.id < $3 ORDER BY d.id DESC LIMIT $4"
}

// visibleRequest returns NotFound when the actor may not see the request.
func (s *Store) visibleRequest(ctx context.Context, actor hook.Actor, id hook.ID) error {
	captureURL, err := queryOne(ctx, s.read, "request", func(row scanner) (url hook.ID, err error) { return url, row.Scan(&url) },
		"SELECT capture_url_id FROM requests WHERE id = $1", id)
	if err != nil {
		return err
	}
	if u, err := s.visible(actor, captureURL); err != nil || id <= u.clearedUpTo() {
		return notFound("request")
	}
	return nil
}

// Delivery returns one delivery.
func (s *Store) Delivery(ctx context.Context, actor hook.Actor, id hook.ID) (hook.Delivery, error) {
	d, err := queryOne(ctx, s.read, "delivery", s.scanDelivery, "SELECT "+deliveryColumns+fromDeliveries+"WHERE d.id = $1", id)
	if err != nil {
		return hook.Delivery{}, err
	}
	if _, err := s.visible(actor, d.CaptureURLID); err != nil {
		return hook.Delivery{}, notFound("delivery")
	}
	return d, nil
}

const attemptQuery = `SELECT delivery_id, number, origin, made_by, started_at, duration, dns, connect, tls_handshake, first_byte,
		remote_addr, tls, status, error, method, url, request_headers, response_headers, response_body, response_truncated
	FROM attempts WHERE delivery_id = $1 `

// Attempts returns the attempts of a delivery that are kept, oldest first.
func (s *Store) Attempts(ctx context.Context, actor hook.Actor, delivery hook.ID) ([]hook.Attempt, error) {
	if _, err := s.Delivery(ctx, actor, delivery); err != nil {
		return nil, err
	}
	return queryAll(ctx, s.read, scanAttempt, attemptQuery+"ORDER BY number", delivery)
}

// headerGrowth is how much more memory a header takes than its place in the database, at most: one of a single letter is three
// bytes there.
const headerGrowth = 16

// AttemptsSize returns how much memory Attempts takes, about and rather more.
func (s *Store) AttemptsSize(ctx context.Context, actor hook.Actor, delivery hook.ID) (int64, error) {
	if _, err := s.Delivery(ctx, actor, delivery); err != nil {
		return 0, err
	}
	return queryOne(ctx, s.read, "delivery", func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
		`SELECT coalesce(sum(length(response_body) + $2 * (length(request_headers) + length(response_headers))), 0)
		FROM attempts WHERE delivery_id = $1`, delivery, headerGrowth)
}

// LastAttempt returns the newest attempt of a delivery, nil when there is none.
func (s *Store) LastAttempt(ctx context.Context, actor hook.Actor, delivery hook.ID) (*hook.Attempt, error) {
	if _, err := s.Delivery(ctx, actor, delivery); err != nil {
		return nil, err
	}
	found, err := queryAll(ctx, s.read, scanAttempt, attemptQuery+"ORDER BY number DESC LIMIT 1", delivery)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// Edit returns the edited copy that a delivery sends, nil when it sends the request as it is.
func (s *Store) Edit(ctx context.Context, actor hook.Actor, delivery hook.ID) (*hook.Edit, error) {
	if _, err := s.Delivery(ctx, actor, delivery); err != nil {
		return nil, err
	}
	return edit(ctx, s.read, delivery)
}

// EditToSend is Edit for the worker, who does not wait behind those who read pages.
func (s *Store) EditToSend(ctx context.Context, delivery hook.ID) (*hook.Edit, error) {
	return edit(ctx, s.work, delivery)
}

func edit(ctx context.Context, db *sql.DB, delivery hook.ID) (*hook.Edit, error) {
	encoded, err := queryOne(ctx, db, "delivery", func(row scanner) (b []byte, err error) { return b, row.Scan(&b) },
		"SELECT edit FROM deliveries WHERE id = $1", delivery)
	if err != nil {
		return nil, err
	}
	return decodeEdit(encoded)
}

func scanAttempt(row scanner) (a hook.Attempt, err error) {
	var started, duration, dns, connect, tls, first int64
	var request, response []byte
	err = row.Scan(&a.DeliveryID, &a.Number, &a.Trigger, &a.By, &started, &duration, &dns, &connect, &tls, &first, &a.RemoteAddr,
		&a.TLS, &a.Status, &a.Error, &a.Method, &a.URL, &request, &response, &a.ResponseBody, &a.ResponseTruncated)
	if err != nil {
		return a, err
	}
	a.StartedAt, a.Duration = fromMicros(started), time.Duration(duration)*time.Microsecond
	a.Timing = hook.Timing{
		DNS: time.Duration(dns) * time.Microsecond, Connect: time.Duration(connect) * time.Microsecond,
		TLS: time.Duration(tls) * time.Microsecond, FirstByte: time.Duration(first) * time.Microsecond,
	}
	if a.RequestHeaders, err = decodeHeaders(request); err == nil {
		a.ResponseHeaders, err = decodeHeaders(response)
	}
	return a, err
}

// Refusals returns which subscriptions of a request's capture URL did not want it when it was captured, and the rule that
// said no. Those that are deleted are left out.
func (s *Store) Refusals(ctx context.Context, actor hook.Actor, request hook.ID) ([]hook.Route, error) {
	if err := s.visibleRequest(ctx, actor, request); err != nil {
		return nil, err
	}
	encoded, err := queryOne(ctx, s.read, "request", func(row scanner) (b []byte, err error) { return b, row.Scan(&b) },
		"SELECT refusals FROM requests WHERE id = $1", request)
	if err != nil {
		return nil, err
	}
	var routes []hook.Route
	for len(encoded) > 0 {
		number, n := binary.Uvarint(encoded)
		if n <= 0 {
			break
		}
		encoded = encoded[n:]
		found, err := queryAll(ctx, s.read, func(row scanner) (r hook.Route, err error) {
			return r, row.Scan(&r.Subscription, &r.Rule)
		}, "SELECT subscription_id, words FROM filter_rules WHERE id = $1", number)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if s.urls.load().subs[r.Subscription] != nil {
				routes = append(routes, r)
			}
		}
	}
	return routes, nil
}

// Outcomes returns, by request, the newest of what happened to its deliveries. Requests without deliveries are left out.
func (s *Store) Outcomes(ctx context.Context, requests []hook.ID) (map[hook.ID]hook.Outcome, error) {
	outcomes := make(map[hook.ID]hook.Outcome, len(requests))
	for _, id := range requests {
		newest, err := queryAll(ctx, s.read, s.scanDelivery, "SELECT "+deliveryColumns+fromDeliveries+
			"WHERE d.request_id = $1 ORDER BY d.id DESC LIMIT $2", id, maxOfRequest)
		if err != nil {
			return nil, err
		}
		if len(newest) > 0 {
			outcomes[id] = hook.Worst(newest)
		}
	}
	return outcomes, nil
}

// OldestUnfinished returns the delivery of a subscription that has been waiting longest, nil when there is none.
func (s *Store) OldestUnfinished(ctx context.Context, actor hook.Actor, subscription hook.ID) (*hook.Delivery, error) {
	e, err := s.visibleSub(actor, subscription)
	if err != nil {
		return nil, err
	}
	var oldest *hook.Delivery
	for _, state := range []hook.State{hook.Pending, hook.Waiting} { // apart: IN would sort all of them
		found, err := queryAll(ctx, s.read, s.scanDelivery, "SELECT "+deliveryColumns+fromDeliveries+
			"WHERE d.subscription_id = $1 AND d.state = $2 AND d.id > $3 ORDER BY d.id LIMIT 1", subscription, state, e.getStatus().discarded)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && (oldest == nil || found[0].ID < oldest.ID) {
			oldest = &found[0]
		}
	}
	return oldest, nil
}

// RecentTargets returns the URLs that requests of a capture URL were last resent to by hand, newest first.
func (s *Store) RecentTargets(ctx context.Context, actor hook.Actor, captureURL hook.ID) ([]string, error) {
	if _, err := s.visible(actor, captureURL); err != nil {
		return nil, err
	}
	type oneOff struct {
		id     hook.ID
		target string
	}
	var lately []oneOff
	for _, state := range storedStates {
		found, err := queryAll(ctx, s.read, func(row scanner) (o oneOff, err error) { return o, row.Scan(&o.id, &o.target) },
			recentQuery, captureURL, state, recentOneOffs)
		if err != nil {
			return nil, err
		}
		lately = append(lately, found...)
	}
	slices.SortFunc(lately, func(a, b oneOff) int { return cmp.Compare(b.id, a.id) })
	var targets []string
	for _, o := range lately {
		if len(targets) < recentTargets && !slices.Contains(targets, o.target) {
			targets = append(targets, o.target)
		}
	}
	return targets, nil
}

const recentQuery = "SELECT d.id, d.target_url FROM deliveries d WHERE " + oneOffsOf + " AND d.state = $2 ORDER BY d.id DESC LIMIT $3"
