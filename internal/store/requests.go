package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	summaryColumns = `id, capture_url_id, received_at, body_size, flags, response_status, method, scheme, proto, tls,
		remote_addr, client_addr, host, path, query, content_type`
	requestColumns = summaryColumns + ", headers, trailers, body_sha256, body"
)

// summaryDest returns where summaryColumns go and what completes the summary afterwards.
func summaryDest(r *hook.Summary) (dest []any, finish func()) {
	var received, flags int64
	dest = []any{
		&r.ID, &r.CaptureURLID, &received, &r.BodySize, &flags, &r.ResponseStatus, &r.Method, &r.Scheme, &r.Proto, &r.TLS,
		&r.RemoteAddr, &r.ClientAddr, &r.Host, &r.Path, &r.Query, &r.ContentType,
	}
	return dest, func() {
		r.ReceivedAt = fromMicros(received)
		r.Truncated = flags&flagTruncated != 0
		r.CookieRemoved = flags&flagCookieRemoved != 0
		r.Chunked = flags&flagChunked != 0
		r.BareQuery = flags&flagBareQuery != 0
	}
}

func scanSummary(row scanner) (r hook.Summary, err error) {
	dest, finish := summaryDest(&r)
	err = row.Scan(dest...)
	finish()
	return r, err
}

// ErrDamaged is the error of a request that was read, but is not the one that was stored. It stays so.
var ErrDamaged = errors.New("the stored request is damaged")

// scanRequest reads a row of requestColumns. With ErrDamaged the request is there too, for what of it can still be told.
func scanRequest(row scanner) (*hook.Request, error) {
	r := &hook.Request{}
	dest, finish := summaryDest(&r.Summary)
	var headers, trailers, sum []byte
	if err := row.Scan(append(dest, &headers, &trailers, &sum, &r.Body)...); err != nil {
		return nil, err
	}
	finish()
	copy(r.BodySHA256[:], sum)
	var err1, err2 error
	r.Headers, err1 = decodeHeaders(headers)
	r.Trailers, err2 = decodeHeaders(trailers)
	if err := errors.Join(err1, err2); err != nil {
		return r, fmt.Errorf("request %s: %w: %w", r.ID.Text(hook.RequestPrefix), ErrDamaged, err)
	}
	if sha256.Sum256(r.Body) != r.BodySHA256 {
		return r, fmt.Errorf("request %s: %w: the body on disk is not the one that was stored", r.ID.Text(hook.RequestPrefix), ErrDamaged)
	}
	return r, nil
}

// RequestPage cuts a page out of the requests of a capture URL.
type RequestPage struct {
	Before hook.ID // only those older than this one, newest first; 0 = from the newest
	After  hook.ID // when set: only those newer than this one, oldest first
	Limit  int
}

// Requests returns one page of the requests of a capture URL.
func (s *Store) Requests(ctx context.Context, actor hook.Actor, captureURL hook.ID, page RequestPage) ([]hook.Summary, error) {
	u, err := s.visible(actor, captureURL)
	if err != nil {
		return nil, err
	}
	if page.After != 0 {
		return queryAll(ctx, s.read, scanSummary, "SELECT "+summaryColumns+
			" FROM requests WHERE capture_url_id = $1 AND id > $2 ORDER BY id LIMIT $3",
			captureURL, max(page.After, u.clearedUpTo()), page.Limit)
	}
	before := page.Before
	if before == 0 {
		before = 1<<63 - 1
	}
	return queryAll(ctx, s.read, scanSummary, "SELECT "+summaryColumns+
		" FROM requests WHERE capture_url_id = $1 AND id > $2 AND id < $3 ORDER BY id DESC LIMIT $4",
		captureURL, u.clearedUpTo(), before, page.Limit)
}

const requestQuery = "SELECT " + requestColumns + " FROM requests WHERE id = $1"

// Request returns one request, whole.
func (s *Store) Request(ctx context.Context, actor hook.Actor, id hook.ID) (*hook.Request, error) {
	return s.request(ctx, s.often.request, actor, id)
}

// RequestToSend is Request for the worker, who does not wait behind those who read pages. The error is ErrDamaged when what is on
// disk is not what was stored; others may have passed the next time.
func (s *Store) RequestToSend(ctx context.Context, id hook.ID) (*hook.Request, error) {
	return s.request(ctx, s.often.toSend, hook.System, id)
}

func (s *Store) request(ctx context.Context, from prepared, actor hook.Actor, id hook.ID) (*hook.Request, error) {
	found, err := queryAll(ctx, from, scanRequest, "", id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("request")
	}
	u, err := s.visible(actor, found[0].CaptureURLID)
	if err != nil || id <= u.clearedUpTo() {
		return nil, notFound("request")
	}
	return found[0], nil
}

// Summary returns one request without its headers and its body.
func (s *Store) Summary(ctx context.Context, actor hook.Actor, id hook.ID) (hook.Summary, error) {
	r, err := queryOne(ctx, s.read, "request", scanSummary, "SELECT "+summaryColumns+" FROM requests WHERE id = $1", id)
	if err != nil {
		return hook.Summary{}, err
	}
	if u, err := s.visible(actor, r.CaptureURLID); err != nil || id <= u.clearedUpTo() {
		return hook.Summary{}, notFound("request")
	}
	return r, nil
}

// EachRequest calls f with the newest requests of a capture URL, newest first, at most limit of them, until f returns an
// error, which is handed on. Those that are damaged are left out.
func (s *Store) EachRequest(ctx context.Context, actor hook.Actor, captureURL hook.ID, limit int, f func(*hook.Request) error) (err error) {
	u, err := s.visible(actor, captureURL)
	if err != nil {
		return err
	}
	ctx, done := limited(ctx, &err)
	defer done()
	rows, err := s.read.QueryContext(ctx, "SELECT "+requestColumns+" FROM requests WHERE capture_url_id = $1 AND id > $2 ORDER BY id DESC LIMIT $3",
		captureURL, u.clearedUpTo(), limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() { // one at a time: each may be as large as a body can be
		r, err := scanRequest(rows)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// LatestRequest returns the newest request of a capture URL, whole.
func (s *Store) LatestRequest(ctx context.Context, actor hook.Actor, captureURL hook.ID) (*hook.Request, error) {
	u, err := s.visible(actor, captureURL)
	if err != nil {
		return nil, err
	}
	return queryOne(ctx, s.read, "request", scanRequest, "SELECT "+requestColumns+
		" FROM requests WHERE capture_url_id = $1 AND id > $2 ORDER BY id DESC LIMIT 1", captureURL, u.clearedUpTo())
}

// Neighbours returns the requests of a capture URL next to id, 0 where there is none.
func (s *Store) Neighbours(ctx context.Context, actor hook.Actor, captureURL, id hook.ID) (newer, older hook.ID, err error) {
	u, err := s.visible(actor, captureURL)
	if err != nil {
		return 0, 0, err
	}
	cleared := u.clearedUpTo()
	ids, err := queryAll(ctx, s.read, func(row scanner) (pair [2]hook.ID, err error) {
		return pair, row.Scan(&pair[0], &pair[1])
	}, `SELECT coalesce((SELECT min(id) FROM requests WHERE capture_url_id = $1 AND id > $2), 0),
		coalesce((SELECT max(id) FROM requests WHERE capture_url_id = $1 AND id < $2 AND id > $3), 0)`,
		captureURL, max(id, cleared), cleared)
	if err != nil {
		return 0, 0, err
	}
	return ids[0][0], ids[0][1], nil
}

// DeleteRequest removes one request with its deliveries. Conflict, with their number, when some of those are unfinished,
// unless cancel says that this is meant. Of very many deliveries some go at a time, and the request with the last of them: once begun
// that goes on, whether or not somebody waits for it.
func (s *Store) DeleteRequest(ctx context.Context, actor hook.Actor, id hook.ID, cancel bool) error {
	check := meantAll
	if !cancel {
		var err error
		if check, err = s.refuseUnfinished(ctx, actor, id); err != nil {
			return err
		}
	}
	done, err := s.deleteRequestOnce(ctx, actor, id, check)
	for ctx = context.WithoutCancel(ctx); !done && err == nil; {
		done, err = s.deleteRequestOnce(ctx, actor, id, meantAll)
	}
	return err
}

// meantAll refuses nothing.
func meantAll(*sql.Tx) error { return nil }

// refuseUnfinished returns Conflict when a request has unfinished deliveries, which it counts where nobody waits, and otherwise a check for
// a transaction, of those that were made meanwhile.
func (s *Store) refuseUnfinished(ctx context.Context, actor hook.Actor, request hook.ID) (check func(tx *sql.Tx) error, err error) {
	if err := s.visibleRequest(ctx, actor, request); err != nil {
		return nil, err
	}
	last, err := s.lastDelivery(ctx)
	if err != nil {
		return nil, err
	}
	conflict := func(db querier, query string, args ...any) error {
		unfinished, err := queryAll(ctx, db, func(row scanner) (d hook.Delivery, err error) { return d, row.Scan(&d.ID, &d.SubscriptionID) }, query, args...)
		unfinished = slices.DeleteFunc(unfinished, func(d hook.Delivery) bool { return s.discarded(&d) })
		if err != nil || len(unfinished) > 0 {
			return cmpErr(err, unfinishedConflict(int64(len(unfinished))))
		}
		return nil
	}
	if err := conflict(s.read, "SELECT id, subscription_id FROM deliveries WHERE id IN ("+unfinishedOf+")", request); err != nil {
		return nil, err
	}
	return func(tx *sql.Tx) error {
		return conflict(tx, "SELECT id, subscription_id FROM deliveries WHERE request_id = $1 AND id > $2 AND state < 2", request, last)
	}, nil
}

// deleteRequestOnce removes a batch of the deliveries of a request, and the request with the last of them, unless check refuses it.
func (s *Store) deleteRequestOnce(ctx context.Context, actor hook.Actor, id hook.ID, check func(tx *sql.Tx) error) (done bool, err error) {
	var u *urlEntry
	var stats hook.Stats
	cancelled := cancelledCounts{}
	err = s.do(ctx, func(tx *sql.Tx) (err error) {
		var captureURL hook.ID
		var size int64
		row := tx.QueryRowContext(ctx, "SELECT capture_url_id, stored_size FROM requests WHERE id = $1", id)
		if err := noRows(row.Scan(&captureURL, &size), "request"); err != nil {
			return err
		}
		if u, err = s.visible(actor, captureURL); err != nil || id <= u.clearedUpTo() {
			return notFound("request")
		}
		if err := check(tx); err != nil {
			return err
		}
		gone, err := s.writer.removeOldest(ctx, id, deleteBatch, purgeBytes, cancelled)
		if err != nil {
			return err
		}
		stats = u.getStats()
		stats.Bytes -= gone.size
		if done = gone.all; done {
			stats.Kept--
			stats.Bytes -= size
			_, err = tx.ExecContext(ctx, "DELETE FROM requests WHERE id = $1", id)
		}
		return cmpErr(err, saveStats(ctx, tx, u.id, stats))
	}, func() {
		s.calledOff.Add(1)
		u.setStats(stats)
		cancelled.apply()
	})
	return done, err
}

// cancelledCounts counts the unfinished deliveries that a transaction cancels one by one. On disk they are counted in it, in
// memory once it is there.
type cancelledCounts map[*subEntry]int64

func (c cancelledCounts) add(ctx context.Context, tx execer, e *subEntry) error {
	c[e]++
	_, err := tx.ExecContext(ctx, "UPDATE subscription_stats SET unfinished = unfinished - 1, cancelled = cancelled + 1 "+
		"WHERE subscription_id = $1", e.id)
	return err
}

func (c cancelledCounts) apply() {
	for e, n := range c {
		e.mu.Lock()
		e.status.counts.Unfinished -= n
		e.status.counts.Cancelled += n
		e.mu.Unlock()
	}
}

// UnfinishedOf counts the unfinished deliveries of a capture URL's subscriptions.
func (s *Store) UnfinishedOf(captureURL hook.ID) (n int64) {
	for e := range s.urls.load().subsOf(captureURL) {
		n += e.getStatus().counts.Unfinished
	}
	return n
}

// Unfinished counts the unfinished deliveries that go with a capture URL: those of its subscriptions, and resends to typed URLs.
func (s *Store) Unfinished(ctx context.Context, captureURL hook.ID) (int64, error) {
	u := s.urls.load().byID[captureURL]
	if u == nil {
		return 0, nil
	}
	resends, err := queryOne(ctx, s.read, "count", scanCount, unfinishedOneOffs, u.id, u.clearedUpTo())
	return s.UnfinishedOf(u.id) + resends, err
}

// lastDelivery returns the newest delivery that is on disk by now, 0 when there is none.
func (s *Store) lastDelivery(ctx context.Context) (hook.ID, error) {
	return queryOne(ctx, s.read, "delivery", scanID, "SELECT coalesce(max(id), 0) FROM deliveries")
}

func scanCount(row scanner) (n int64, err error) { return n, row.Scan(&n) }

const (
	// unfinishedOneOffs names its index, or it would read those of all users. Of one there may be any number, too.
	unfinishedOneOffs = "SELECT count(*) FROM deliveries d INDEXED BY deliveries_one_off_due WHERE " + oneOffsOf + " AND d.state < 2 AND d.request_id > $2"
	// newOneOffs counts those that were made behind a delivery.
	newOneOffs = "SELECT count(*) FROM deliveries d WHERE " + oneOffsOf + " AND d.state IN (0, 1) AND d.id > $2"
)

// refusal returns a function for a transaction that cancels what is unfinished of a capture URL: Conflict with its number, unless that is
// meant. Resends to typed URLs are counted before, where nobody waits, and in the transaction those that were made meanwhile.
func (s *Store) refusal(ctx context.Context, actor hook.Actor, captureURL hook.ID, meant bool) (check func(tx *sql.Tx) error, err error) {
	if _, err := s.visible(actor, captureURL); err != nil {
		return nil, err
	}
	if meant {
		return meantAll, nil
	}
	last, err := s.lastDelivery(ctx)
	if err != nil {
		return nil, err
	}
	if n, err := s.Unfinished(ctx, captureURL); err != nil || n > 0 {
		return nil, cmpErr(err, unfinishedConflict(n))
	}
	return func(tx *sql.Tx) error {
		resends, err := queryAll(ctx, tx, scanCount, newOneOffs, captureURL, last)
		if err != nil {
			return err
		}
		if n := s.UnfinishedOf(captureURL) + resends[0]; n > 0 {
			return unfinishedConflict(n)
		}
		return nil
	}, nil
}

// discardAll cancels what the subscriptions of a capture URL hold.
func (s *Store) discardAll(ctx context.Context, tx *sql.Tx, captureURL hook.ID, reason string) (apply func(), err error) {
	changed := map[*subEntry]subStatus{}
	for e := range s.urls.load().subsOf(captureURL) {
		status := e.getStatus()
		status.discard(s.writer.deliveryIDs.Last(), reason)
		if err := saveStatus(ctx, tx, e.id, &status); err != nil {
			return nil, err
		}
		changed[e] = status
	}
	return func() {
		for e, status := range changed {
			e.setStatus(status)
			s.tellSubscription(e)
		}
	}, nil
}

func saveStats(ctx context.Context, tx *sql.Tx, id hook.ID, stats hook.Stats) error {
	_, err := tx.ExecContext(ctx, "UPDATE capture_url_stats SET kept = $2, bytes = $3 WHERE capture_url_id = $1",
		id, stats.Kept, stats.Bytes)
	return err
}

// ClearRequests removes all requests of a capture URL at once and returns the id of the last of them; their rows follow in
// the background. Unfinished deliveries are cancelled: Conflict with their number unless cancel says that this is meant.
func (s *Store) ClearRequests(ctx context.Context, actor hook.Actor, captureURL hook.ID, cancel bool) (upTo hook.ID, err error) {
	var u *urlEntry
	var stats hook.Stats
	var discarded func()
	refuse, err := s.refusal(ctx, actor, captureURL, cancel)
	if err != nil {
		return 0, err
	}
	err = s.do(ctx, func(tx *sql.Tx) error {
		if u, err = s.visible(actor, captureURL); err != nil {
			return err
		}
		if err := refuse(tx); err != nil {
			return err
		}
		if discarded, err = s.discardAll(ctx, tx, captureURL, "its request was deleted"); err != nil {
			return err
		}
		stats = u.getStats()
		stats.Kept, stats.Bytes = 0, 0
		upTo = max(stats.LastRequestID, u.clearedUpTo())
		_, err := tx.ExecContext(ctx, `UPDATE capture_url_stats SET kept = 0, bytes = 0, cleared_up_to = $2
			WHERE capture_url_id = $1`, captureURL, upTo)
		return err
	}, func() {
		u.setCleared(upTo, stats)
		discarded()
	})
	return upTo, err
}

// SeenUpTo returns, by capture URL, the newest request that the user has looked at.
func (s *Store) SeenUpTo(ctx context.Context, user hook.ID) (map[hook.ID]hook.ID, error) {
	pairs, err := queryAll(ctx, s.read, func(row scanner) (pair [2]hook.ID, err error) {
		return pair, row.Scan(&pair[0], &pair[1])
	}, "SELECT capture_url_id, up_to FROM seen WHERE user_id = $1", user)
	seen := make(map[hook.ID]hook.ID, len(pairs))
	for pair := range slices.Values(pairs) {
		seen[pair[0]] = pair[1]
	}
	return seen, err
}

// MarkSeen notes that the user has looked at everything up to a request. It never goes back.
func (s *Store) MarkSeen(ctx context.Context, user, captureURL, upTo hook.ID) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO seen (user_id, capture_url_id, up_to) VALUES ($1, $2, $3)
			ON CONFLICT (user_id, capture_url_id) DO UPDATE SET up_to = max(seen.up_to, excluded.up_to)`, user, captureURL, upTo)
		return gone(err, "capture URL")
	})
}
