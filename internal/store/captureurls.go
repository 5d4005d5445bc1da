package store

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const captureURLColumns = `u.id, u.owner_id, u.name, u.slug, u.paused, u.cors, u.keep_requests, u.keep_days, u.keep_bytes, u.rate,
	u.response_status, u.response_delay, u.response_headers, u.response_body, u.created_at`

func scanCaptureURL(row scanner) (*urlEntry, error) {
	var fields hook.CaptureURL
	u := &urlEntry{}
	var delay, created int64
	var headers []byte
	err := row.Scan(&fields.ID, &fields.OwnerID, &fields.Name, &fields.Slug, &fields.Paused, &fields.CORS,
		&fields.Keep.Requests, &fields.Keep.Days, &fields.Keep.Bytes, &fields.Rate, &fields.Response.Status, &delay, &headers,
		&fields.Response.Body, &created)
	if err != nil {
		return nil, err
	}
	if fields.Response.Headers, err = decodeHeaders(headers); err != nil {
		return nil, fmt.Errorf("capture URL %s: %w", fields.ID.Text(hook.CaptureURLPrefix), err)
	}
	fields.Response.Delay = time.Duration(delay) * time.Millisecond
	fields.CreatedAt = fromMicros(created)
	u.id = fields.ID
	u.fields.Store(&fields)
	return u, nil
}

const urlCountColumns = "capture_url_id, kept, received, bytes, last_request_id, last_request_at, cleared_up_to, purged_up_to"

// scanURLCounts returns an entry that has the counts of a capture URL and nothing else.
func scanURLCounts(row scanner) (*urlEntry, error) {
	u := &urlEntry{}
	var last int64
	err := row.Scan(&u.id, &u.stats.Kept, &u.stats.Received, &u.stats.Bytes, &u.stats.LastRequestID, &last, &u.cleared, &u.purged)
	u.stats.LastRequestAt = fromMicros(last)
	return u, err
}

// CaptureURLBySlug returns the capture URL with the slug, nil when there is none. It is not to be changed.
func (s *Store) CaptureURLBySlug(slug string) *hook.CaptureURL {
	if u := s.urls.load().bySlug[slug]; u != nil {
		return u.get()
	}
	return nil
}

// visible returns the capture URL with the id when the actor may see it.
func (s *Store) visible(actor hook.Actor, id hook.ID) (*urlEntry, error) {
	u := s.urls.load().byID[id]
	if u == nil || !actor.MaySee(u.get().OwnerID) {
		return nil, notFound("capture URL")
	}
	return u, nil
}

// CaptureURL returns one capture URL with its counts.
func (s *Store) CaptureURL(_ context.Context, actor hook.Actor, id hook.ID) (hook.CaptureURLStats, error) {
	u, err := s.visible(actor, id)
	if err != nil {
		return hook.CaptureURLStats{}, err
	}
	return u.withStats(), nil
}

// CaptureURLPage cuts a page out of the list of capture URLs.
type CaptureURLPage struct {
	Before hook.ID // only those older than this one; 0 = from the newest
	Limit  int     // 0 = all
}

// CaptureURLs returns the capture URLs that the actor may see, newest first.
func (s *Store) CaptureURLs(_ context.Context, actor hook.Actor, page CaptureURLPage) ([]hook.CaptureURLStats, error) {
	sorted := s.urls.load().sorted
	if page.Before != 0 {
		sorted = sorted[sort.Search(len(sorted), func(i int) bool { return sorted[i].id < page.Before }):]
	}
	var items []hook.CaptureURLStats
	for _, u := range sorted {
		if !actor.MaySee(u.get().OwnerID) {
			continue
		}
		items = append(items, u.withStats())
		if len(items) == page.Limit {
			break
		}
	}
	return items, nil
}

// CreateCaptureURL stores u and sets its ID and CreatedAt; an empty slug is replaced by a generated one. Conflict when the
// slug is taken, also by a deleted capture URL of another user; NotFound when the owner is gone.
func (s *Store) CreateCaptureURL(ctx context.Context, u *hook.CaptureURL) error {
	if u.Slug == "" {
		u.Slug = hook.NewSlug()
	}
	return s.do(ctx, func(tx *sql.Tx) (err error) {
		if err := u.Response.CheckRoom(&hook.Response{}, s.answersOf(u.OwnerID, nil)); err != nil {
			return err
		}
		if err := claimSlug(ctx, tx, u); err != nil {
			return err
		}
		if err := s.refuseTooMany(ctx, tx, u); err != nil {
			return err
		}
		now := time.Now()
		if u.ID, err = s.newID(ctx, tx, "capture_urls", now); err != nil {
			return err
		}
		u.CreatedAt = now.UTC().Truncate(time.Microsecond)
		_, err = tx.ExecContext(ctx, `INSERT INTO capture_urls (id, owner_id, name, slug, paused, cors, keep_requests, keep_days,
				keep_bytes, rate, response_status, response_delay, response_headers, response_body, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			append([]any{u.ID, u.OwnerID, u.Name, u.Slug}, append(editable(u), micros(u.CreatedAt))...)...)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO capture_url_stats (capture_url_id, kept, received, bytes, last_request_id,
			last_request_at, cleared_up_to, purged_up_to) VALUES ($1, 0, 0, 0, 0, 0, 0, 0)`, u.ID)
		return err
	}, func() {
		entry := &urlEntry{id: u.ID}
		fields := *u
		entry.fields.Store(&fields)
		s.urls.add(entry)
	})
}

// refuseTooMany returns Conflict when u, whose slug is claimed, is more than its owner may have. A chosen slug counts as
// long as nobody else can have it, with a capture URL or without.
func (s *Store) refuseTooMany(ctx context.Context, tx *sql.Tx, u *hook.CaptureURL) error {
	var chosen int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM slugs WHERE owner_id = $1 AND slug = lower(slug) AND NOT inherited",
		u.OwnerID).Scan(&chosen)
	if err != nil {
		return err
	}
	generated := s.generated(u.OwnerID)
	if !hook.ValidChosenSlug(u.Slug) {
		generated++
	}
	if chosen+generated > hook.MaxCaptureURLs {
		return hook.LimitCaptureURLs.Errorf(hook.Conflict, "You have %d capture URLs, and that is the most. The reserved addresses of deleted ones "+
			"count: use one of them again or release some in the settings, or delete a capture URL whose address was generated.",
			hook.MaxCaptureURLs)
	}
	return nil
}

// generated counts the capture URLs of a user whose slug nobody chose.
func (s *Store) generated(owner hook.ID) (n int) {
	for _, u := range s.urls.load().sorted {
		if fields := u.get(); fields.OwnerID == owner && !hook.ValidChosenSlug(fields.Slug) {
			n++
		}
	}
	return n
}

// answersOf returns the size of what the capture URLs of a user answer, all but one.
func (s *Store) answersOf(owner hook.ID, without *urlEntry) (size int) {
	for _, u := range s.urls.load().sorted {
		if fields := u.get(); fields.OwnerID == owner && u != without {
			size += fields.Response.Size()
		}
	}
	return size
}

// claimSlug reserves the slug of u for its owner.
func claimSlug(ctx context.Context, tx *sql.Tx, u *hook.CaptureURL) error {
	var live int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM capture_urls WHERE slug = $1 AND deleted_at IS NULL", u.Slug).Scan(&live)
	if err != nil {
		return err
	}
	if live > 0 {
		return hook.Errorf(hook.Conflict, "This address is taken. Choose another one.")
	}
	var owner hook.ID
	err = tx.QueryRowContext(ctx, `INSERT INTO slugs (slug, owner_id) VALUES ($1, $2)
		ON CONFLICT (slug) DO UPDATE SET inherited = FALSE RETURNING owner_id`, u.Slug, u.OwnerID).Scan(&owner)
	if err != nil {
		return gone(err, "user")
	}
	if owner != u.OwnerID {
		return hook.Errorf(hook.Conflict, "This address is reserved for the user who had it before. Choose another one, "+
			"or ask an admin to release it.")
	}
	return nil
}

// editable returns the values of the columns that can be changed later, in the order of the table.
func editable(u *hook.CaptureURL) []any {
	return []any{
		u.Paused, u.CORS, u.Keep.Requests, u.Keep.Days, u.Keep.Bytes, u.Rate, u.Response.Status, u.Response.Delay.Milliseconds(),
		appendHeaders([]byte{}, u.Response.Headers), notNil(u.Response.Body),
	}
}

// UpdateCaptureURL lets change alter the fields of a capture URL and stores them, nothing in between. An error of change
// is handed on and nothing is stored. The id, the owner, the slug and the time of creation stay.
func (s *Store) UpdateCaptureURL(ctx context.Context, actor hook.Actor, id hook.ID, change func(*hook.CaptureURL) error) (hook.CaptureURLStats, error) {
	var entry *urlEntry
	var fields hook.CaptureURL
	err := s.do(ctx, func(tx *sql.Tx) (err error) {
		if entry, err = s.visible(actor, id); err != nil {
			return err
		}
		before := entry.get()
		fields = *before
		if err := change(&fields); err != nil {
			return err
		}
		if err := fields.Response.CheckRoom(&before.Response, s.answersOf(before.OwnerID, entry)); err != nil {
			return err
		}
		fields.ID, fields.OwnerID, fields.Slug, fields.CreatedAt = before.ID, before.OwnerID, before.Slug, before.CreatedAt
		_, err = tx.ExecContext(ctx, `UPDATE capture_urls SET name = $2, paused = $3, cors = $4, keep_requests = $5, keep_days = $6,
			keep_bytes = $7, rate = $8, response_status = $9, response_delay = $10, response_headers = $11, response_body = $12
			WHERE id = $1`,
			append([]any{id, fields.Name}, editable(&fields)...)...)
		return err
	}, func() {
		if before := s.urls.setURL(entry, &fields); before.Keep != fields.Keep {
			s.pruneSoon()
		}
	})
	if err != nil {
		return hook.CaptureURLStats{}, err
	}
	return entry.withStats(), nil
}

// DeleteCaptureURL removes a capture URL at once; its requests and subscriptions follow in the background. Conflict with the
// number of unfinished deliveries unless cancel says that this is meant. The slug stays reserved for its owner.
func (s *Store) DeleteCaptureURL(ctx context.Context, actor hook.Actor, id hook.ID, cancel bool) error {
	refuse, err := s.refusal(ctx, actor, id, cancel)
	if err != nil {
		return err
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		if _, err := s.visible(actor, id); err != nil {
			return err
		}
		if err := refuse(tx); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE capture_urls SET deleted_at = $2 WHERE id = $1", id, time.Now().UnixMicro())
		return err
	}, func() { s.urls.remove(id) })
}

// ReservedSlug is a chosen slug without a capture URL, kept for the user who had it.
type ReservedSlug struct {
	Slug       string
	OwnerEmail string
}

// ReservedSlugs lists the chosen slugs of deleted capture URLs that are the actor's to release, in their order and from the
// one behind after. Generated ones are reserved as well, but nobody could want them.
func (s *Store) ReservedSlugs(ctx context.Context, actor hook.Actor, after string, limit int) ([]ReservedSlug, error) {
	whose := "s.owner_id = $3"
	if actor.Admin {
		whose = "$3 = $3"
	}
	return queryAll(ctx, s.read, func(row scanner) (r ReservedSlug, err error) {
		return r, row.Scan(&r.Slug, &r.OwnerEmail)
	}, `SELECT s.slug, o.email FROM slugs s JOIN users o ON o.id = s.owner_id
		WHERE s.slug > $1 AND s.slug = lower(s.slug) AND `+whose+`
		AND NOT EXISTS (SELECT 1 FROM capture_urls u WHERE u.slug = s.slug AND u.deleted_at IS NULL)
		ORDER BY s.slug LIMIT $2`, after, limit, actor.UserID)
}

// ReleaseSlugs lets anybody take reserved slugs, hook.MaxPageItems of them at most. NotFound when none of them is reserved
// for the actor, or for anybody where the actor is an admin.
func (s *Store) ReleaseSlugs(ctx context.Context, actor hook.Actor, slugs ...string) error {
	if len(slugs) > hook.MaxPageItems {
		return hook.Errorf(hook.Invalid, "More than %d addresses cannot be released at once.", hook.MaxPageItems)
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		released := false
		for _, slug := range slugs {
			result, err := tx.ExecContext(ctx, `DELETE FROM slugs WHERE slug = $1 AND (owner_id = $2 OR $3)
				AND NOT EXISTS (SELECT 1 FROM capture_urls u WHERE u.slug = $1 AND u.deleted_at IS NULL)`, slug, actor.UserID, actor.Admin)
			err = affected(result, err, "reserved address")
			if err != nil && !hook.Is(err, hook.NotFound) {
				return err
			}
			released = released || err == nil
		}
		if !released {
			return notFound("reserved address")
		}
		return nil
	})
}

// affected returns NotFound when a statement changed nothing.
func affected(result sql.Result, err error, noun string) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return notFound(noun)
}
