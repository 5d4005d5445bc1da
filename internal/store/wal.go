package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// walBusy is the size from which the log is moved by a connection of its own: what is written in one go by a commit, which moves
// small logs, would be felt.
const walBusy = 32 << 20

const pageSize = 4096

// walGuard watches the write-ahead log. It can be moved into the database only up to what the oldest reader sees, so that
// one that another process keeps open lets it grow with every capture.
type walGuard struct {
	path           string
	warn, refuse   int64
	warned, tooBig atomic.Bool
}

func newWALGuard(database string) walGuard {
	return walGuard{path: database + "-wal", warn: hook.WarnLog, refuse: hook.MaxLog}
}

// look notes how large the log is. It warns until the log is small again, and refuses until it need not warn.
func (g *walGuard) look(size int64) (changed bool) {
	g.tooBig.Store(size >= g.refuse || g.tooBig.Load() && size >= g.warn)
	warned := size >= g.warn || g.warned.Load() && size >= g.warn/2
	return g.warned.Swap(warned) != warned
}

func (g *walGuard) message() string {
	if !g.tooBig.Load() {
		return ""
	}
	return fmt.Sprintf("New requests are refused, because the write-ahead log has reached %d MiB: another process keeps the database open for reading, "+
		"so that it cannot be moved. End that process.", g.refuse>>20)
}

// Warning returns what an operator should look at before requests are refused, "" when there is nothing.
func (s *Store) Warning() string {
	if !s.wal.warned.Load() {
		return ""
	}
	return fmt.Sprintf("The write-ahead log has grown over %d MiB. Most likely another process has been reading the database for long: a backup, "+
		"hookkeeper check, or a database browser. At %d MiB new requests are refused.", s.wal.warn>>20, s.wal.refuse>>20)
}

// moveLogs watches the log until ctx ends, and moves it when it is large.
func (s *Store) moveLogs(ctx context.Context) {
	db, err := sql.Open("sqlite", moverDSN(s.opts.Path))
	if err != nil {
		s.warn("watching the log", err)
		return
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	left := false // what is in the log, by the writer, to us
	every(ctx, upkeepEvery, func() {
		if fileSize(s.wal.path) >= min(walBusy, s.wal.warn) || left || s.wal.warned.Load() {
			left, err = s.moveLog(ctx, db, left)
			s.warn("moving the log", err)
		}
	})
}

// moveLog moves what it can while the writer goes on. While much is left no commit of the writer moves it, which would take as long;
// when little is, the next one does, and begins the log anew. left tells whether the writer leaves it to us.
func (s *Store) moveLog(ctx context.Context, db *sql.DB, left bool) (bool, error) {
	var busy bool
	var pages, moved int64
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved); err != nil || busy {
		return left, err // busy: the writer is moving it
	}
	if s.wal.look(pages * pageSize) {
		s.tellWarning()
	}
	s.tellDegraded()
	atCommit, _ := strconv.ParseInt(checkpointPages, 10, 64)
	switch {
	case pages-moved > atCommit:
		return true, s.setAutoCheckpoint(ctx, "0")
	case left:
		if err := s.setAutoCheckpoint(ctx, checkpointPages); err != nil {
			return true, err
		}
	}
	if pages*pageSize < walBusy {
		return false, nil
	}
	return false, s.do(ctx, func(tx *sql.Tx) error { return commitCanary(ctx, tx) })
}

// setAutoCheckpoint sets from how many pages on a commit of the writer moves the log, 0 for never.
func (s *Store) setAutoCheckpoint(ctx context.Context, pages string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "PRAGMA wal_autocheckpoint("+pages+")")
		return err
	})
}

func (s *Store) tellWarning() {
	message := s.Warning()
	if message == "" {
		message = "The write-ahead log is small again."
	}
	if s.opts.OnWarning != nil {
		s.opts.OnWarning(message)
	}
}
