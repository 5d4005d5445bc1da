package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// How the index is read. None of it has a limit of time: with very many subscriptions it takes as long as it takes.

// reloadTries is how often the index is read beside the writer, when it changes meanwhile, before the writer waits for it.
const reloadTries = 3

// found is what is in the database of the capture URLs and subscriptions, all but their counts.
type found struct {
	urls  []*urlEntry
	subs  []*hook.Subscription
	rules map[hook.ID][]uint64
}

// counts is the rest, which is small.
type counts struct {
	urls map[hook.ID]*urlEntry
	subs map[hook.ID]subStatus
}

func (s *Store) readFound(ctx context.Context, db preparer) (f found, err error) {
	f.urls, err = collect(ctx, db, scanCaptureURL, "SELECT "+captureURLColumns+" FROM capture_urls u WHERE u.deleted_at IS NULL ORDER BY u.id DESC")
	if err != nil {
		return f, err
	}
	f.subs, err = collect(ctx, db, s.scanSubscription, "SELECT "+subscriptionColumns+` FROM subscriptions s
		WHERE s.deleted_at IS NULL ORDER BY s.id DESC`)
	if err != nil {
		return f, err
	}
	f.rules, err = readRules(ctx, db, f.subs)
	return f, err
}

func readCounts(ctx context.Context, db querier) (c counts, err error) {
	c.urls, c.subs = map[hook.ID]*urlEntry{}, map[hook.ID]subStatus{}
	_, err = collect(ctx, db, func(row scanner) (struct{}, error) {
		u, err := scanURLCounts(row)
		c.urls[u.id] = u
		return struct{}{}, err
	}, "SELECT "+urlCountColumns+" FROM capture_url_stats")
	if err != nil {
		return c, err
	}
	_, err = collect(ctx, db, func(row scanner) (struct{}, error) {
		id, status, err := scanStatus(row)
		c.subs[id] = status
		return struct{}{}, err
	}, "SELECT "+statusColumns+" FROM subscription_stats")
	return c, err
}

// loadIndex reads the index for the first time.
func (s *Store) loadIndex(ctx context.Context) error {
	f, err := s.readFound(ctx, s.read)
	if err != nil {
		return err
	}
	c, err := readCounts(ctx, s.read)
	if err == nil {
		s.fill(f, c)
	}
	return err
}

// fill puts what was read into the index. What is known already keeps its identity; its counts are those on disk, because a commit
// that failed may have gone through all the same. It runs where nothing else can change the index: in Open, and in a job of the writer.
func (s *Store) fill(f found, c counts) {
	before := s.urls.load()
	byURL := make(map[hook.ID]*urlEntry, len(f.urls))
	for i, u := range f.urls {
		if before != nil && before.byID[u.id] != nil {
			known := before.byID[u.id]
			known.fields.Store(u.get())
			u, f.urls[i] = known, known
		}
		if read := c.urls[u.id]; read != nil {
			u.setCounts(read)
		}
		byURL[u.id] = u
	}
	entries, lists := map[hook.ID]*subEntry{}, map[*urlEntry][]*hook.Subscription{}
	for _, sub := range f.subs {
		u := byURL[sub.CaptureURLID]
		if u == nil {
			continue // its capture URL is deleted
		}
		e := s.knownSub(sub.ID, u)
		e.fields.Store(sub)
		e.setStatus(c.subs[sub.ID])
		numbers := f.rules[sub.ID]
		e.rules.Store(&numbers)
		entries[sub.ID] = e
		lists[u] = append(lists[u], sub)
	}
	s.urls.replace(f.urls, entries)
	for _, u := range f.urls {
		u.setSubs(lists[u])
	}
}

// knownSub returns the entry of a subscription, a new one when there is none yet. Others read what they know of one that is there:
// its capture URL, which keeps its identity too, is not written again.
func (s *Store) knownSub(id hook.ID, u *urlEntry) *subEntry {
	if before := s.urls.load(); before != nil {
		if e := before.subs[id]; e != nil {
			return e
		}
	}
	return &subEntry{id: id, url: u}
}

// moment says which state of the capture URLs and subscriptions was read: it differs when they may.
type moment struct {
	version int64 // PRAGMA data_version: commits of other processes
	changes int64 // of the index: those of this one
}

// moment asks within a job of the writer. data_version of its own connection moves only when another process commits.
func (s *Store) moment(ctx context.Context, tx *sql.Tx) (m moment, err error) {
	m.changes = s.urls.changes.Load()
	return m, tx.QueryRowContext(ctx, "PRAGMA data_version").Scan(&m.version)
}

// reload reads the index again, beside the writer: captures would wait as long as opening the secrets of all subscriptions takes.
// then gets what was known before, in the transaction that knows what was read.
func (s *Store) reload(ctx context.Context, then func(m moment, before map[hook.ID]*hook.CaptureURL)) error {
	for try, done := 1, false; !done; try++ {
		var at moment
		err := s.do(ctx, func(tx *sql.Tx) (err error) {
			at, err = s.moment(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		f, err := s.readBeside(ctx)
		if err != nil {
			return err
		}
		err = s.do(ctx, func(tx *sql.Tx) error {
			now, err := s.moment(ctx, tx)
			if err == nil && now != at {
				if try < reloadTries {
					return nil
				}
				f, err = s.readFound(ctx, tx)
			}
			if err != nil {
				return err
			}
			c, err := readCounts(ctx, tx)
			if err != nil {
				return err
			}
			done = true
			before := s.urls.load().fields()
			s.fill(f, c)
			then(now, before)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readBeside reads on a connection of its own: those for pages may all be busy.
func (s *Store) readBeside(ctx context.Context) (f found, err error) {
	db, err := openReader(s.opts.Path, 1)
	if err != nil {
		return f, err
	}
	f, err = s.readFound(ctx, db)
	return f, errors.Join(err, db.Close())
}
