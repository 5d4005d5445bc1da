package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Flags of a stored request.
const (
	flagTruncated = 1 << iota
	flagCookieRemoved
	flagChunked
	flagBareQuery
)

// perRequest is what a stored request is counted with beside its bytes, so that empty requests have a size too.
const perRequest = 100

// pruneExtra is how many requests above what a group brings retention removes with it: enough to catch up after the
// limit was lowered, too few to be felt. They are small: see budget.
const pruneExtra = 16

// capture is a request on its way to the disk.
type capture struct {
	req      *hook.Request
	headers  []byte
	trailers []byte
	size     int64 // what it adds to the size of its capture URL
	err      error
}

// Capture stores r and returns nil once it is on disk; it sets r.ID, r.BodySHA256 and, unless set, r.ReceivedAt. Kinds:
// NotFound when the capture URL is gone, Unavailable when the request cannot be stored now. The commit goes on when
// the sender has left: a request that has arrived is kept.
func (s *Store) Capture(r *hook.Request) error {
	if message, limit := s.degraded(); message != "" {
		return &hook.Error{Kind: hook.Unavailable, Limit: limit, Message: message}
	}
	if err := s.full(r.CaptureURLID); err != nil {
		return err
	}
	if r.ReceivedAt.IsZero() {
		r.ReceivedAt = time.Now()
	}
	r.BodySHA256 = sha256.Sum256(r.Body)
	c := &capture{req: r, headers: appendHeaders(make([]byte, 0, headersSize(r)), r.Headers)}
	if len(r.Trailers) > 0 {
		c.trailers = appendHeaders(nil, r.Trailers)
	}
	c.size = int64(perRequest + len(r.Path) + len(r.Query) + len(c.headers) + len(c.trailers) + len(r.Body))
	return s.writer.capture(c)
}

func headersSize(r *hook.Request) (n int) {
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

// captureStatements are prepared once on the writer's connection.
type captureStatements struct {
	begin, commit, rollback, insert, stats, lastID, oldest, prune *sql.Stmt
	deliver, unfinished                                           *sql.Stmt
	lease, release, finish, attempt                               *sql.Stmt // of the worker's turns
	oldestDelivered, pruneOne, attemptsOf, deliveriesOf           *sql.Stmt
}

func (st *captureStatements) prepare(ctx context.Context, conn *sql.Conn) error {
	for query, stmt := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &st.begin,
		"COMMIT":          &st.commit,
		"ROLLBACK":        &st.rollback,
		byOrder(`INSERT INTO requests (id, capture_url_id, received_at, stored_size, body_size, flags, response_status, method,
			scheme, proto, tls, remote_addr, client_addr, host, path, query, content_type, headers, trailers, body_sha256, body,
			refusals)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`): &st.insert,
		byOrder(`INSERT INTO deliveries (id, request_id, capture_url_id, subscription_id, due_at, created_at, undecided, state, next_at,
			lease, used, attempt_count, last_status, size, origin, retry, sign_as, replay_id, made_by, reason, target_url, edit)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, '', '', '', x'')`): &st.deliver,
		"UPDATE subscription_stats SET unfinished = $2 WHERE subscription_id = $1": &st.unfinished,
		"UPDATE deliveries SET lease = $2 WHERE id = $1 AND state < 2":             &st.lease,
		"UPDATE deliveries SET lease = 0 WHERE id = $1 AND lease = $2":             &st.release,
		`UPDATE deliveries SET state = $3, reason = $4, next_at = $5, lease = 0, used = $6, attempt_count = $7, last_status = $8,
			size = size + $9, due_at = CASE WHEN $10 THEN $5 ELSE due_at END
		WHERE id = $1 AND lease = $2 AND state < 2`: &st.finish,
		byOrder(`INSERT INTO attempts (delivery_id, number, origin, made_by, started_at, duration, dns, connect, tls_handshake,
			first_byte, remote_addr, tls, status, error, method, url, request_headers, response_headers, response_body,
			response_truncated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		ON CONFLICT DO NOTHING`): &st.attempt,
		`UPDATE capture_url_stats SET kept = $2, received = $3, bytes = $4, last_request_id = $5, last_request_at = $6
		WHERE capture_url_id = $1`: &st.stats,
		"UPDATE meta SET value = $1 WHERE key = 'last_request_id'": &st.lastID,
		oldestQuery:                          &st.oldest,
		oldestDelivered:                      &st.oldestDelivered,
		"DELETE FROM requests WHERE id = $1": &st.pruneOne,
		"DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE request_id = $1)": &st.attemptsOf,
		"DELETE FROM deliveries WHERE request_id = $1 AND reason <> $2":                               &st.deliveriesOf,
		"DELETE FROM requests WHERE capture_url_id = $1 AND id > $2 AND id <= $3":                     &st.prune,
	} {
		var err error
		if *stmt, err = conn.PrepareContext(ctx, query); err != nil { //nolint:sqlclosecheck // closed by close
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return nil
}

func (st *captureStatements) close() {
	for _, stmt := range []*sql.Stmt{
		st.begin, st.commit, st.rollback, st.insert, st.stats, st.lastID, st.oldest, st.prune, st.deliver, st.unfinished,
		st.lease, st.release, st.finish, st.attempt, st.oldestDelivered, st.pruneOne, st.attemptsOf, st.deliveriesOf,
	} {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
	*st = captureStatements{}
}

// touched is what a group does to one capture URL; it becomes true when the group is on disk.
type touched struct {
	url       *urlEntry
	stats     hook.Stats
	pruning   bool            // retention had a look
	seen      bool            // and has come to the end of what there is
	pruned    hook.ID         // retention removed requests up to this one
	removed   []hook.ID       // or these, because some before them stay
	held      hook.ID         // requests up to this one that are left have to stay
	heldBytes int64           // of those that it looked at
	holds     bool            // there are such
	expired   cancelledCounts // by upkeep only
	arrivals  int
	arrived   int64 // bytes of them
	subs      []queued
	news      []hook.DeliveryNews
}

// queued is what a group puts into the queue of one subscription.
type queued struct {
	sub        *subEntry
	deliveries int64
}

// write commits the captures of a group. An error means that none of them is stored.
func (w *writer) write(g *group) (err error) {
	ctx := context.Background() // a sender that leaves cancels nobody's commit
	if _, err := w.stmt.begin.ExecContext(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = w.stmt.rollback.ExecContext(ctx)
		}
	}()
	var touches []touched
	for _, c := range g.captures {
		if touches, err = w.insert(ctx, c, touches); err != nil {
			return err
		}
	}
	for i := range touches {
		if err := w.pruneAndCount(ctx, &touches[i]); err != nil {
			return err
		}
	}
	if last := g.lastID(); last != 0 {
		if _, err := w.stmt.lastID.ExecContext(ctx, int64(last)); err != nil {
			return err
		}
	}
	if _, err := w.stmt.commit.ExecContext(ctx); err != nil {
		return err
	}
	for _, t := range touches {
		t.url.setStats(t.stats)
		w.tellQueued(&t)
		w.s.notePruned(&t)
		w.s.tellPruned(&t)
	}
	return nil
}

// tellQueued notes what has been put into the queues and tells of it.
func (w *writer) tellQueued(t *touched) {
	if len(t.subs) == 0 {
		return
	}
	ids := make([]hook.ID, len(t.subs))
	for i, q := range t.subs {
		q.sub.queued(q.deliveries)
		ids[i] = q.sub.id
	}
	w.s.tellQueue(ids...)
	w.s.tellDeliveries(t.news)
}

// lastID returns the highest id of what was inserted, 0 when nothing was.
func (g *group) lastID() (last hook.ID) {
	for _, c := range g.captures {
		if c.err == nil {
			last = max(last, c.req.ID)
		}
	}
	return last
}

// insert adds one request. What is wrong with that request alone ends in c.err; the returned error fails the group.
func (w *writer) insert(ctx context.Context, c *capture, touches []touched) ([]touched, error) {
	r := c.req
	i := 0
	for i < len(touches) && touches[i].url.id != r.CaptureURLID {
		i++
	}
	if i == len(touches) {
		url := w.s.urls.load().byID[r.CaptureURLID]
		if url == nil {
			c.err = notFound("capture URL")
			return touches, nil
		}
		touches = append(touches, touched{url: url, stats: url.getStats()})
	}
	id := w.ids.Next(time.Now())
	flags := requestFlags(&r.Summary)
	subs := w.s.urls.load().subs
	_, err := w.stmt.insert.ExecContext(ctx, int64(id), int64(r.CaptureURLID), r.ReceivedAt.UnixMicro(), c.size, r.BodySize,
		flags, int64(r.ResponseStatus), r.Method, r.Scheme, r.Proto, r.TLS, r.RemoteAddr, r.ClientAddr, []byte(r.Host),
		[]byte(r.Path), []byte(r.Query), []byte(r.ContentType), notNil(c.headers), notNil(c.trailers), r.BodySHA256[:], notNil(r.Body),
		refusals(r.Routes, subs))
	if err != nil && isRowError(err) {
		c.err = unavailable(err)
		return touches, nil
	}
	if err != nil {
		return touches, err
	}
	r.ID = id
	t := &touches[i]
	t.arrivals++
	t.arrived += c.size
	t.stats.Kept++
	t.stats.Received++
	t.stats.Bytes += c.size
	t.stats.LastRequestID, t.stats.LastRequestAt = id, r.ReceivedAt
	for _, route := range r.Routes {
		if sub := subs[route.Subscription]; sub != nil && route.Queued() {
			if err := w.deliver(ctx, r, t, sub, route.Refused == hook.Undecided); err != nil {
				return touches, err
			}
		}
	}
	return touches, nil
}

// deliver puts a request into the queue of a subscription, in the transaction that stores it: there is no moment at which one
// is on disk without the other.
func (w *writer) deliver(ctx context.Context, r *hook.Request, t *touched, sub *subEntry, undecided bool) error {
	now := r.ReceivedAt.UnixMicro()
	id := w.deliveryIDs.Next(r.ReceivedAt)
	if _, err := w.stmt.deliver.ExecContext(ctx, int64(id), int64(r.ID), int64(r.CaptureURLID), int64(sub.id), now, now, undecided); err != nil {
		return err
	}
	if w.s.opts.OnDelivery != nil {
		t.news = append(t.news, hook.DeliveryNews{ID: id, RequestID: r.ID, CaptureURLID: r.CaptureURLID, SubscriptionID: sub.id})
	}
	for i := range t.subs {
		if t.subs[i].sub == sub {
			t.subs[i].deliveries++
			return nil
		}
	}
	t.subs = append(t.subs, queued{sub, 1})
	return nil
}

// refusals encodes which rules said no, as unsigned varints.
func refusals(routes []hook.Route, subs map[hook.ID]*subEntry) []byte {
	b := []byte{}
	for _, route := range routes {
		if route.Queued() {
			continue
		}
		if sub := subs[route.Subscription]; sub != nil {
			if numbers := *sub.rules.Load(); route.Refused < len(numbers) { // the filter may have been changed since
				b = binary.AppendUvarint(b, numbers[route.Refused])
			}
		}
	}
	return b
}

// notNil returns b, an empty slice for nil: the driver stores nil as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func requestFlags(r *hook.Summary) (flags int64) {
	if r.Truncated {
		flags |= flagTruncated
	}
	if r.CookieRemoved {
		flags |= flagCookieRemoved
	}
	if r.Chunked {
		flags |= flagChunked
	}
	if r.BareQuery {
		flags |= flagBareQuery
	}
	return flags
}

// pruneAndCount removes what the capture URL holds above its limits, a bounded number, and writes its counts.
func (w *writer) pruneAndCount(ctx context.Context, t *touched) error {
	keep := t.url.get().Keep.Or(w.s.opts.Keep)
	if exceeds(t.stats, keep) {
		if _, err := w.prune(ctx, t, keep, time.Time{}, newBudget(t.arrivals+pruneExtra, t.arrived)); err != nil {
			return err
		}
	}
	for _, q := range t.subs {
		if _, err := w.stmt.unfinished.ExecContext(ctx, int64(q.sub.id), q.sub.getStatus().counts.Unfinished+q.deliveries); err != nil {
			return err
		}
	}
	_, err := w.stmt.stats.ExecContext(ctx, int64(t.url.id), t.stats.Kept, t.stats.Received, t.stats.Bytes,
		int64(t.stats.LastRequestID), micros(t.stats.LastRequestAt))
	return err
}

// announce tells of the requests that have just been committed.
func (w *writer) announce(g *group) {
	if w.s.opts.OnCommit == nil {
		return
	}
	stored := make([]*hook.Request, 0, len(g.captures))
	for _, c := range g.captures {
		if c.err == nil {
			stored = append(stored, c.req)
		}
	}
	if len(stored) > 0 {
		w.s.opts.OnCommit(stored)
	}
}
