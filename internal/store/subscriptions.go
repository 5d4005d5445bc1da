package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const subscriptionColumns = `s.id, s.capture_url_id, s.name, s.target_url, s.filter, s.method, s.append_path, s.ordered, s.scheme,
	s.timeout_ms, s.max_attempts, s.backoff, s.rate, s.concurrency, s.forward_credentials, s.keep_user_agent, s.disabled,
	s.disabled_reason, s.disabled_at, s.paused, s.paused_by, s.paused_at, s.secrets, s.created_at`

// filterJSON and secretsJSON are how those columns are written. The names are part of the schema.
type filterJSON struct {
	Any        bool            `json:"any,omitempty"`
	Conditions []conditionJSON `json:"conditions,omitempty"`
	JQ         string          `json:"jq,omitempty"`
}

type conditionJSON struct {
	Field string  `json:"field"`
	Op    hook.Op `json:"op"`
	Value string  `json:"value,omitempty"`
}

type secretsJSON struct {
	Signing []secretJSON `json:"signing,omitempty"`
	Headers []headerJSON `json:"headers,omitempty"`
}

type secretJSON struct {
	Text    string `json:"text"`
	Expires int64  `json:"expires,omitempty"` // microseconds
}

type headerJSON struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

func encodeFilter(f hook.Filter) string {
	doc := filterJSON{Any: f.Any, JQ: f.JQ}
	for _, c := range f.Conditions {
		doc.Conditions = append(doc.Conditions, conditionJSON(c))
	}
	return encodeJSON(doc)
}

func decodeFilter(text string) (f hook.Filter, err error) {
	var doc filterJSON
	err = json.Unmarshal([]byte(text), &doc)
	f.Any, f.JQ = doc.Any, doc.JQ
	for _, c := range doc.Conditions {
		f.Conditions = append(f.Conditions, hook.Condition(c))
	}
	return f, err
}

// encodeJSON writes one of the types above, which cannot fail.
func encodeJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// secretsPlace names the column for the seal: a sealed value that is copied to another row does not open.
func secretsPlace(id hook.ID) string {
	return "subscriptions/" + id.Text(hook.SubscriptionPrefix) + "/secrets"
}

// HoldsSecrets reports whether the database at path holds anything that needs the key. A database that is not there, or is
// older than secrets, holds none.
func HoldsSecrets(ctx context.Context, path string) (bool, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	db, err := sql.Open("sqlite", readerDSN(path))
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	var tables, sealed int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'subscriptions'").Scan(&tables); err != nil || tables == 0 {
		return false, err
	}
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM subscriptions WHERE deleted_at IS NULL").Scan(&sealed)
	return sealed > 0, err
}

func (s *Store) sealSecrets(sub *hook.Subscription) []byte {
	var doc secretsJSON
	for _, secret := range sub.Signing.Secrets {
		doc.Signing = append(doc.Signing, secretJSON{secret.Text, micros(secret.Expires)})
	}
	for _, h := range sub.Headers {
		doc.Headers = append(doc.Headers, headerJSON{h.Name, []byte(h.Value)})
	}
	return s.opts.Key.Seal([]byte(encodeJSON(doc)), secretsPlace(sub.ID))
}

func (s *Store) openSecrets(sub *hook.Subscription, sealed []byte) error {
	plain, err := s.opts.Key.Open(sealed, secretsPlace(sub.ID))
	if err != nil {
		return err
	}
	var doc secretsJSON
	if err := json.Unmarshal(plain, &doc); err != nil {
		return err
	}
	for _, secret := range doc.Signing {
		sub.Signing.Secrets = append(sub.Signing.Secrets, hook.Secret{Text: secret.Text, Expires: fromMicros(secret.Expires)})
	}
	for _, h := range doc.Headers {
		sub.Headers = append(sub.Headers, hook.Header{Name: h.Name, Value: string(h.Value)})
	}
	return nil
}

func (s *Store) scanSubscription(row scanner) (*hook.Subscription, error) {
	sub := &hook.Subscription{}
	var filter, backoff string
	var timeout, disabledAt, pausedAt, created int64
	var sealed []byte
	err := row.Scan(&sub.ID, &sub.CaptureURLID, &sub.Name, &sub.TargetURL, &filter, &sub.Method, &sub.AppendPath, &sub.Ordered,
		&sub.Signing.Scheme, &timeout, &sub.Retry.MaxAttempts, &backoff, &sub.Rate, &sub.Concurrency, &sub.ForwardCredentials,
		&sub.KeepUserAgent, &sub.Hold.Disabled, &sub.Hold.DisabledReason, &disabledAt, &sub.Hold.Paused, &sub.Hold.PausedBy,
		&pausedAt, &sealed, &created)
	if err != nil {
		return nil, err
	}
	sub.Retry.Timeout = time.Duration(timeout) * time.Millisecond
	sub.Hold.DisabledAt, sub.Hold.PausedAt, sub.CreatedAt = fromMicros(disabledAt), fromMicros(pausedAt), fromMicros(created)
	if sub.Filter, err = decodeFilter(filter); err == nil {
		err = decodeBackoff(backoff, &sub.Retry)
	}
	if err == nil {
		err = s.openSecrets(sub, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("subscription %s: %w", sub.ID.Text(hook.SubscriptionPrefix), err)
	}
	return sub, nil
}

func encodeBackoff(r hook.Retry) string {
	seconds := make([]float64, len(r.Backoff))
	for i, pause := range r.Backoff {
		seconds[i] = pause.Seconds()
	}
	return encodeJSON(seconds)
}

func decodeBackoff(text string, r *hook.Retry) error {
	var seconds []float64
	if err := json.Unmarshal([]byte(text), &seconds); err != nil {
		return err
	}
	for _, pause := range seconds {
		r.Backoff = append(r.Backoff, time.Duration(pause*float64(time.Second)))
	}
	return nil
}

const statusColumns = `subscription_id, unfinished, succeeded, failed, cancelled, skipped, attempts, health, discarded_up_to,
	discard_reason, hour`

func scanStatus(row scanner) (id hook.ID, st subStatus, err error) {
	var health string
	var hour []byte
	err = row.Scan(&id, &st.counts.Unfinished, &st.counts.Succeeded, &st.counts.Failed, &st.counts.Cancelled, &st.counts.Skipped,
		&st.counts.Attempts, &health, &st.discarded, &st.reason, &hour)
	if err == nil {
		st.hour = decodeHour(hour)
		err = json.Unmarshal([]byte(health), &st.health)
	}
	return id, st, err
}

// SubscriptionsOf returns the subscriptions of a capture URL, from memory. They are not to be changed.
func (s *Store) SubscriptionsOf(captureURL hook.ID) []*hook.Subscription {
	if u := s.urls.load().byID[captureURL]; u != nil {
		return u.getSubs()
	}
	return nil
}

// visibleSub returns the subscription with the id when the actor may see it.
func (s *Store) visibleSub(actor hook.Actor, id hook.ID) (*subEntry, error) {
	e := s.urls.load().subs[id]
	if e == nil || !actor.MaySee(e.url.get().OwnerID) {
		return nil, notFound("subscription")
	}
	return e, nil
}

// Subscription returns one subscription and what is known of it.
func (s *Store) Subscription(_ context.Context, actor hook.Actor, id hook.ID) (hook.SubscriptionStatus, error) {
	e, err := s.visibleSub(actor, id)
	if err != nil {
		return hook.SubscriptionStatus{}, err
	}
	return e.withStatus(), nil
}

// SubscriptionPage cuts a page out of a list of subscriptions.
type SubscriptionPage struct {
	CaptureURL hook.ID // 0 = of all capture URLs that the actor may see
	Before     hook.ID // only those older than this one; 0 = from the newest
	Limit      int     // 0 = all
}

// Subscriptions returns subscriptions, newest first.
func (s *Store) Subscriptions(_ context.Context, actor hook.Actor, page SubscriptionPage) ([]hook.SubscriptionStatus, error) {
	if page.CaptureURL != 0 {
		if _, err := s.visible(actor, page.CaptureURL); err != nil {
			return nil, err
		}
	}
	var items []hook.SubscriptionStatus
	for _, e := range s.urls.load().subs {
		ofURL := page.CaptureURL == 0 || e.url.id == page.CaptureURL
		if ofURL && (page.Before == 0 || e.id < page.Before) && actor.MaySee(e.url.get().OwnerID) {
			items = append(items, e.withStatus())
		}
	}
	slices.SortFunc(items, func(a, b hook.SubscriptionStatus) int { return cmp.Compare(b.ID, a.ID) })
	if page.Limit > 0 && len(items) > page.Limit {
		items = items[:page.Limit]
	}
	return items, nil
}

// CountSubscriptions returns how many subscriptions a capture URL has, and how many of them are in trouble, from memory.
func (s *Store) CountSubscriptions(captureURL hook.ID) (all, inTrouble int) {
	for e := range s.urls.load().subsOf(captureURL) {
		all++
		if status := e.withStatus(); status.InTrouble() {
			inTrouble++
		}
	}
	return all, inTrouble
}

// CreateSubscription stores sub and sets its ID and CreatedAt. NotFound when the actor may not see its capture URL,
// Conflict when that has as many as it can, or when all of its owner are too large.
func (s *Store) CreateSubscription(ctx context.Context, actor hook.Actor, sub *hook.Subscription) error {
	var e *subEntry
	return s.do(ctx, func(tx *sql.Tx) error {
		u, err := s.visible(actor, sub.CaptureURLID)
		if err != nil {
			return err
		}
		if len(s.SubscriptionsOf(u.id)) >= hook.MaxSubscriptions {
			return hook.LimitSubscriptions.Errorf(hook.Conflict, "This capture URL has %d subscriptions, and that is the most. Delete one first.",
				hook.MaxSubscriptions)
		}
		if err := sub.CheckRoom(nil, s.subscriptionBytes(u.get().OwnerID, nil)); err != nil {
			return err
		}
		now := time.Now()
		if sub.ID, err = s.newID(ctx, tx, "subscriptions", now); err != nil {
			return err
		}
		sub.CreatedAt = now.UTC().Truncate(time.Microsecond)
		if err := s.insertSubscription(ctx, tx, sub); err != nil {
			return err
		}
		numbers, err := saveRules(ctx, tx, sub)
		if err != nil {
			return err
		}
		fields := *sub
		e = &subEntry{id: sub.ID, url: u}
		e.fields.Store(&fields)
		e.rules.Store(&numbers)
		return nil
	}, func() {
		s.urls.addSub(e)
		s.tellSubscription(e)
	})
}

// subscriptionBytes returns the size of the subscriptions of a user, all but one.
func (s *Store) subscriptionBytes(owner hook.ID, without *subEntry) (size int) {
	x := s.urls.load()
	for _, u := range x.sorted {
		if u.get().OwnerID != owner {
			continue
		}
		for e := range x.subsOf(u.id) {
			if e != without {
				size += e.get().Size()
			}
		}
	}
	return size
}

func (s *Store) insertSubscription(ctx context.Context, tx *sql.Tx, sub *hook.Subscription) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO subscriptions (id, capture_url_id, created_at, name, target_url, filter, method,
			append_path, ordered, scheme, timeout_ms, max_attempts, backoff, rate, concurrency, forward_credentials,
			keep_user_agent, disabled, disabled_reason, disabled_at, paused, paused_by, paused_at, secrets)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`,
		append([]any{sub.ID, sub.CaptureURLID, micros(sub.CreatedAt)}, s.editableOfSub(sub)...)...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO subscription_stats ("+statusColumns+") VALUES ($1, 0, 0, 0, 0, 0, 0, '{}', 0, '', x'')", sub.ID)
	return err
}

// editableOfSub returns the values of the columns that can be changed later, in the order of both statements.
func (s *Store) editableOfSub(sub *hook.Subscription) []any {
	return []any{
		sub.Name, sub.TargetURL, encodeFilter(sub.Filter), sub.Method, sub.AppendPath, sub.Ordered, string(sub.Signing.Scheme),
		sub.Retry.Timeout.Milliseconds(), sub.Retry.MaxAttempts, encodeBackoff(sub.Retry), sub.Rate, sub.Concurrency,
		sub.ForwardCredentials, sub.KeepUserAgent, sub.Hold.Disabled, sub.Hold.DisabledReason, micros(sub.Hold.DisabledAt),
		sub.Hold.Paused, sub.Hold.PausedBy, micros(sub.Hold.PausedAt), s.sealSecrets(sub),
	}
}

// UpdateSubscription lets change alter the fields of a subscription and stores them, nothing in between. An error of change
// is handed on and nothing is stored. The id, the capture URL and the time of creation stay. What ends a hold gives the
// target a new chance: see resumed.
func (s *Store) UpdateSubscription(ctx context.Context, actor hook.Actor, id hook.ID, change func(*hook.Subscription) error) (hook.SubscriptionStatus, error) {
	var e *subEntry
	var fields hook.Subscription
	var numbers []uint64
	var status subStatus
	err := s.do(ctx, func(tx *sql.Tx) (err error) {
		if e, err = s.visibleSub(actor, id); err != nil {
			return err
		}
		before := e.get()
		fields, status = *before, e.getStatus()
		fields.Headers, fields.Filter.Conditions = slices.Clone(before.Headers), slices.Clone(before.Filter.Conditions)
		if err := change(&fields); err != nil {
			return err
		}
		if err := fields.CheckRoom(before, s.subscriptionBytes(e.url.get().OwnerID, e)); err != nil {
			return err
		}
		fields.ID, fields.CaptureURLID, fields.CreatedAt = before.ID, before.CaptureURLID, before.CreatedAt
		_, err = tx.ExecContext(ctx, `UPDATE subscriptions SET name = $2, target_url = $3, filter = $4, method = $5, append_path = $6,
				ordered = $7, scheme = $8, timeout_ms = $9, max_attempts = $10, backoff = $11, rate = $12, concurrency = $13,
				forward_credentials = $14, keep_user_agent = $15, disabled = $16, disabled_reason = $17, disabled_at = $18,
				paused = $19, paused_by = $20, paused_at = $21, secrets = $22
			WHERE id = $1`, append([]any{id}, s.editableOfSub(&fields)...)...)
		if err != nil {
			return err
		}
		if status.resumed(before, &fields, time.Now()) {
			if err := saveStatus(ctx, tx, id, &status); err != nil {
				return err
			}
		}
		numbers, err = saveRules(ctx, tx, &fields)
		return err
	}, func() {
		e.rules.Store(&numbers)
		e.setStatus(status)
		s.urls.setSub(e, &fields)
		s.tellSubscription(e)
	})
	if err != nil {
		return hook.SubscriptionStatus{}, err
	}
	return e.withStatus(), nil
}
