package store

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	upkeepEvery = time.Second
	ageEvery    = time.Minute     // how often requests are looked at for their age
	lateEvery   = time.Minute     // how often one thing is told not to be done because reading takes too long
	endedFor    = 5 * time.Minute // how long the row of a session that was ended stays
	// keepFree is how many free pages stay in the file: captures take them up again sooner than the file system would.
	keepFree = 4096
)

// Run does the upkeep until ctx ends: it looks for damage after an unclean stop, watches the disk, the log and other processes,
// removes what retention and deletions left, and gives space back. All of it goes in small transactions between the captures. What
// has to be noticed soon does not wait for what may take long.
func (s *Store) Run(ctx context.Context) error {
	var sound bool
	var work sync.WaitGroup
	work.Go(func() {
		if sound = s.checkAfterCrash(ctx); sound {
			s.warn("counting again", s.recount(ctx))
		}
	})
	work.Go(func() { s.watch(ctx) })
	work.Go(func() { s.moveLogs(ctx) })
	work.Go(func() { s.tidy(ctx) })
	work.Wait()
	if sound {
		s.warn("noting the stop", s.setCleanStop(context.WithoutCancel(ctx), true))
	}
	return nil
}

// every calls f at once and then at each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// watch looks at what others do: to the disk, and to the database.
func (s *Store) watch(ctx context.Context) {
	every(ctx, upkeepEvery, func() {
		if _, err := s.disk.check(); err != nil {
			s.log.Warn("looking at the disk failed", "error", err)
		}
		s.tellDegraded()
		s.warn("noticing other processes", s.noticeOthers(ctx))
	})
}

// tidy changes and removes rows that nobody waits for.
func (s *Store) tidy(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	var aged time.Time
	var forgetting bool // not all deleted subscriptions have been looked at since
	var trimmed hook.ID // subscriptions up to this one have no more rules than are kept
	trimming := true
	for ctx.Err() == nil {
		s.warn("following the clock", s.keepUpWithClock(ctx))
		s.warn("cancelling deliveries", s.settle(ctx))
		if time.Since(aged) > ageEvery {
			aged = time.Now()
			s.warn("removing expired sessions", s.purgeSessions(ctx))
			s.warn("removing old requests", s.pruneAll(ctx))
			s.warn("removing old deliveries", s.forgetCancelled(ctx))
			s.warn("removing old copies", removeOldCopies(s.opts.Path))
			forgetting = true
		}
		if forgetting {
			done, err := s.forgetSubscriptions(ctx, time.Now().Add(upkeepEvery))
			s.warn("removing deleted subscriptions", err)
			forgetting = !done && err == nil
		}
		if trimming {
			last, done, err := s.trimRules(ctx, trimmed, time.Now().Add(upkeepEvery))
			s.warn("removing old rules of filters", err)
			trimmed, trimming = last, !done
		}
		s.warn("removing deleted requests", s.purgeAll(ctx))
		s.warn("giving space back", s.vacuum(ctx))
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-s.pruneNow:
			aged = time.Time{}
		}
	}
}

// warn logs what upkeep could not do. What is unavailable has been logged where it was found, but for reads that took too long:
// of those this tells, once in a while, or what they keep from being done would never be known.
func (s *Store) warn(what string, err error) {
	late := errors.Is(err, context.DeadlineExceeded)
	switch {
	case err == nil || hook.Is(err, hook.Unavailable) && !late:
		return
	case late:
		if told, ok := s.lateTold.Load(what); ok && time.Since(told.(time.Time)) < lateEvery {
			return
		}
		s.lateTold.Store(what, time.Now())
	}
	s.log.Warn(what+" failed", "error", err)
}

// noticeOthers reads again what commands change beside the running server.
func (s *Store) noticeOthers(ctx context.Context) error {
	moved := false
	err := s.do(ctx, func(tx *sql.Tx) error {
		now, err := s.moment(ctx, tx)
		moved = now.version != s.writer.version
		return err
	})
	if err != nil || !moved {
		return err
	}
	return s.reloadAndTell(ctx, unknownVersion)
}

// reloadAndTell reads the index again, and tells what has become different in it unless nobody else has written since the version.
func (s *Store) reloadAndTell(ctx context.Context, since int64) error {
	var changed []hook.ID
	var deleted []*hook.CaptureURL
	outside := false
	err := s.reload(ctx, func(m moment, before map[hook.ID]*hook.CaptureURL) {
		changed, deleted = differences(before, s.urls.load().fields())
		outside = m.version != since
		s.writer.version = m.version
		s.calledOff.Add(1)
		s.subsDeleted.Store(true)
	})
	if err == nil && outside && s.opts.OnOutsideChange != nil {
		s.opts.OnOutsideChange(changed, deleted)
	}
	return err
}

// differences returns which capture URLs are new or not what they were, and which are gone.
func differences(before, after map[hook.ID]*hook.CaptureURL) (changed []hook.ID, deleted []*hook.CaptureURL) {
	for id, u := range after {
		if !reflect.DeepEqual(before[id], u) {
			changed = append(changed, id)
		}
	}
	for id, u := range before {
		if after[id] == nil {
			deleted = append(deleted, u)
		}
	}
	return changed, deleted
}

func (s *Store) purgeSessions(ctx context.Context) error {
	now := time.Now()
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at > 0 AND expires_at <= $1
			OR last_seen <= $2 OR expires_at = 0 AND last_seen <= $3`,
			now.UnixMicro(), now.Add(-s.opts.SessionIdle).UnixMicro(), now.Add(-endedFor).UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM invites WHERE expires_at <= $1", now.UnixMicro())
		return err
	})
}

// purgeAll removes the rows of deleted requests and capture URLs, at most for one interval of upkeep at a time.
func (s *Store) purgeAll(ctx context.Context) error {
	until := time.Now().Add(upkeepEvery)
	for _, u := range s.urls.load().sorted {
		after, upTo := u.unpurged()
		if after >= upTo {
			continue
		}
		done, err := s.purge(ctx, u.id, after, upTo, until)
		if err != nil || !done {
			return err
		}
		err = s.do(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE capture_url_stats SET purged_up_to = $2 WHERE capture_url_id = $1", u.id, upTo)
			return err
		}, func() { u.setPurged(upTo) })
		if err != nil {
			return err
		}
	}
	return s.purgeDeletedURLs(ctx, until)
}

// purge removes the rows of one capture URL above after, up to upTo, in batches, and reports whether all are gone.
func (s *Store) purge(ctx context.Context, captureURL, after, upTo hook.ID, until time.Time) (done bool, err error) {
	for !done && err == nil && ctx.Err() == nil && time.Now().Before(until) {
		done, err = s.purgeOnce(ctx, captureURL, after, upTo)
	}
	return done, err
}

// purgeOnce removes one batch.
func (s *Store) purgeOnce(ctx context.Context, captureURL, after, upTo hook.ID) (done bool, err error) {
	w := s.writer
	err = s.do(ctx, func(tx *sql.Tx) error {
		b, cancelled := newBudget(purgeBatch, 0), cancelledCounts{} // that stays empty: they were counted when all were deleted
		found, more, err := w.candidates(ctx, captureURL, after, b.rows)
		for _, c := range found {
			if c.id > upTo {
				break
			}
			fits, _, err := w.spend(ctx, &b, &c, cancelled)
			if err != nil || !fits {
				return err
			}
			if c.deliveries > 0 {
				err = w.removeUnfinished(ctx, tx, c.id)
			}
			if err == nil {
				_, err = w.stmt.pruneOne.ExecContext(ctx, int64(c.id))
			}
			if err != nil {
				return err
			}
		}
		done = !more || found[len(found)-1].id > upTo
		return err
	})
	return done, err
}

func (s *Store) purgeDeletedURLs(ctx context.Context, until time.Time) error {
	ids, err := queryAll(ctx, s.read, func(row scanner) (id hook.ID, err error) {
		return id, row.Scan(&id)
	}, "SELECT id FROM capture_urls WHERE deleted_at IS NOT NULL")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if s.urls.load().byID[id] != nil {
			continue // another process deleted it, and captures go on until that is noticed
		}
		done, err := s.purge(ctx, id, 0, 1<<63-1, until)
		if done && err == nil {
			done, err = s.forgetDeliveries(ctx, id)
		}
		if done && err == nil {
			done, err = s.forgetSubscriptionsOf(ctx, id, until)
		}
		if err != nil || !done {
			return err
		}
		err = s.do(ctx, func(tx *sql.Tx) error {
			for _, query := range []string{
				"DELETE FROM capture_url_stats WHERE capture_url_id = $1",
				"DELETE FROM capture_urls WHERE id = $1",
			} {
				if _, err := tx.ExecContext(ctx, query, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// vacuum gives free pages back to the file system, a few at a time: each takes the longer the more are free.
func (s *Store) vacuum(ctx context.Context) error {
	free, err := queryOne(ctx, s.read, "count", func(row scanner) (n int64, err error) { return n, row.Scan(&n) }, "PRAGMA freelist_count")
	if err != nil {
		return err
	}
	for until := time.Now().Add(upkeepEvery / 4); free > keepFree && time.Now().Before(until); {
		freed, err := s.vacuumOnce(ctx)
		if err != nil || freed == 0 {
			return err
		}
		free -= freed
	}
	return nil
}

// vacuumOnce gives back what there is time for in one transaction.
func (s *Store) vacuumOnce(ctx context.Context) (freed int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		until := time.Now().Add(purgeFor)
		rows, err := tx.QueryContext(ctx, "PRAGMA incremental_vacuum(256)") // pages at the most
		if err != nil {
			return err
		}
		defer rows.Close()
		for freed == 0 || time.Now().Before(until) {
			if !rows.Next() { // each step frees one page
				break
			}
			freed++
		}
		return rows.Err()
	})
	return freed, err
}
