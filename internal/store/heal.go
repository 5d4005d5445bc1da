package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// fail is called after the engine refused to write. From here on nothing is acknowledged until a new connection has
// shown that it can commit: after a failed flush nobody knows what the old one holds.
func (w *writer) fail(err error) {
	if isBusy(err) {
		w.s.log.Error("another process holds the database", "error", err)
		return
	}
	w.broken = true
	w.s.log.Error("writing the database failed", "error", err)
	w.s.setDegraded("New requests are refused, because the database cannot be written. The server's log says why.")
}

// heal refuses everything until the database can be written again or the store is being closed.
func (w *writer) heal() {
	tick := time.NewTicker(healEvery)
	defer tick.Stop()
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
				w.s.log.Warn("the database still cannot be written", "error", err)
				continue
			}
			w.broken = false
			w.s.log.Info("the database can be written again")
			w.s.setDegraded("")
		}
	}
}

// reopen replaces the connection, moves the log into the database and commits a number, so that what the next
// acknowledgement stands on has been flushed by a connection that works.
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
	if _, err := w.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	return commitCanary(ctx, w.conn)
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
	if s.opts.OnDegraded != nil {
		s.opts.OnDegraded(s.Degraded())
	}
}

// setDamaged degrades the store for good.
func (s *Store) setDamaged(message string) {
	s.damaged.Store(&message)
	if s.opts.OnDegraded != nil {
		s.opts.OnDegraded(message)
	}
}

// Degraded returns a sentence for every page while nothing can be stored, "" when all is well.
func (s *Store) Degraded() string {
	if p := s.damaged.Load(); p != nil {
		return *p
	}
	if p := s.health.Load(); p != nil && *p != "" {
		return *p
	}
	return s.disk.message()
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
