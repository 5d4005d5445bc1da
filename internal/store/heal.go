package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// How a writer that failed comes back: soon at first, and the later the more often it has failed again within steadyFor. A
// disk that comes and goes is no place for promises, and no reason for an alert every second.
const (
	healEvery = 500 * time.Millisecond
	steadyFor = time.Minute
	// checkAfter is how many times in a row it comes back without a look at the whole database.
	checkAfter = 3
	maxHeals   = 10 // counted
)

const damagedMessage = "New requests are refused, because the database is damaged: stop the server, run hookkeeper check, and restore a copy."

// fail is called after the engine refused to write. From here on nothing is acknowledged until a new connection has
// shown that it can commit: after a failed flush nobody knows what the old one holds. Where the engine says that the file itself
// is damaged, a look at the whole database decides: a read that failed once is told in the same words.
func (w *writer) fail(err error) {
	if isBusy(err) {
		w.s.log.Error("another process holds the database", "error", err)
		return
	}
	w.broken = true
	w.doubted = w.doubted || Damaged(err)
	w.s.log.Error("writing the database failed", "error", err)
	w.s.setDegraded("New requests are refused, because the database cannot be written. The server's log says why.")
}

// heal refuses everything until the database can be written again or the store is being closed.
func (w *writer) heal() {
	w.setHealing(true)
	if time.Since(w.healed) > steadyFor {
		w.heals = 0
	}
	tick := time.NewTicker(min(healEvery<<w.heals, steadyFor))
	defer tick.Stop()
	var last string
	for w.broken {
		w.mu.Lock()
		stopped := w.stopped
		w.mu.Unlock()
		w.refuseAll()
		if stopped { // nothing has been handed in since
			return
		}
		select {
		case <-w.wake:
		case <-tick.C:
			if err := w.reopen(); err != nil {
				last = w.stillBroken(err, last)
				continue
			}
			w.broken, w.doubted, w.heals, w.healed = false, false, min(w.heals+1, maxHeals), time.Now()
			w.setHealing(false)
			w.s.log.Info("the database can be written again")
			w.s.setDegraded("")
		}
	}
}

func (w *writer) setHealing(healing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.healing = healing
}

// stillBroken says why it is, unless that was the last thing said.
func (w *writer) stillBroken(err error, last string) string {
	if err.Error() != last && w.stopping.Err() == nil {
		w.s.log.Warn("the database still cannot be written", "error", err)
	}
	if Damaged(err) && err.Error() == last { // once, it may be a read that failed
		w.s.setDamaged("", err)
	}
	return err.Error()
}

// reopen replaces the connection, moves the log into the database and commits a number, so that what the next
// acknowledgement stands on has been flushed by a connection that works. When that is not the first time lately, or the
// file may be damaged, it looks at the whole database, for as long as the store is not closed: Close does not wait for that.
func (w *writer) reopen() error {
	ctx := context.Background()
	_ = w.close()
	if err := w.open(ctx); err != nil {
		return err
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	w.version = unknownVersion
	w.s.urls.changes.Add(1) // the versions of the new connection say nothing about those before
	if _, err := w.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	if err := commitCanary(ctx, w.conn); err != nil || w.heals < checkAfter && !w.doubted {
		return err
	}
	found, err := checker{db: w.conn}.pages(w.stopping, "quick_check")
	if Damaged(err) || len(found) > 0 {
		w.s.setDamaged(strings.Join(found, "; "), err)
		return nil
	}
	return err
}

// execer is a connection or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// commitCanary shows that a commit goes through.
func commitCanary(ctx context.Context, conn execer) error {
	_, err := conn.ExecContext(ctx, "UPDATE meta SET value = $1 WHERE key = 'canary'", time.Now().UnixMicro())
	return err
}

func (w *writer) refuseAll() {
	w.mu.Lock()
	groups, jobs := w.groups, w.jobs
	w.groups, w.jobs, w.waiting = nil, nil, 0
	w.mu.Unlock()
	for _, g := range groups {
		for _, c := range g.captures {
			c.err = unavailable(errBroken)
		}
		close(g.done)
	}
	for _, j := range jobs {
		j.err = unavailable(errBroken)
		close(j.done)
	}
}

func (s *Store) setDegraded(message string) {
	s.health.Store(&message)
	s.tellDegraded()
}

// setDamaged degrades the store until somebody has restored a copy and started again. Captures on a damaged database would be
// promises that nobody can keep.
func (s *Store) setDamaged(found string, err error) {
	if message := damagedMessage; s.damaged.CompareAndSwap(nil, &message) {
		s.log.Error("the database is damaged", "found", found, "error", err)
		s.tellDegraded()
	}
}

// tellDegraded tells what Degraded says, when it says something else than the last time.
func (s *Store) tellDegraded() {
	s.telling.Lock()
	defer s.telling.Unlock()
	if message := s.Degraded(); message != s.told {
		s.told = message
		if s.opts.OnDegraded != nil {
			s.opts.OnDegraded(message)
		}
	}
}

// Degraded returns a sentence for every page while nothing can be stored, "" when all is well.
func (s *Store) Degraded() string {
	message, _ := s.degraded()
	return message
}

// degraded is Degraded with the reason by which refused captures are counted.
func (s *Store) degraded() (string, hook.Limit) {
	if p := s.damaged.Load(); p != nil {
		return *p, hook.LimitUnwritable
	}
	if p := s.health.Load(); p != nil && *p != "" {
		return *p, hook.LimitUnwritable
	}
	if message := s.wal.message(); message != "" {
		return message, hook.LimitLog
	}
	return s.disk.message(), hook.LimitDisk
}

// Broken reports whether nothing at all can be written, what deliveries came to included. When the disk is merely down to its
// reserve they can, and make room by it.
func (s *Store) Broken() bool {
	p := s.health.Load()
	return p != nil && *p != ""
}

// Ready returns nil when a capture would be stored now: the disk has room and a commit goes through.
func (s *Store) Ready(ctx context.Context) error {
	if message := s.Degraded(); message != "" {
		return &hook.Error{Kind: hook.Unavailable, Message: message}
	}
	return s.do(ctx, func(tx *sql.Tx) error { return commitCanary(ctx, tx) })
}
