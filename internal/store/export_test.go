package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// What tests need of the inside, beside the methods that everybody has.

var (
	AppendHeaders = appendHeaders
	DecodeHeaders = decodeHeaders
)

const PruneExtra = pruneExtra

// Do runs f in a transaction on the writer's own connection. While f runs, nothing else is written.
func (s *Store) Do(ctx context.Context, f func(tx *sql.Tx) error) error { return s.do(ctx, f) }

// HoldReaders takes every connection for reading but those of the worker, until release.
func (s *Store) HoldReaders(ctx context.Context) (release func() error, err error) {
	var held []*sql.Conn
	for range readers {
		conn, err := s.read.Conn(ctx)
		if err != nil {
			return nil, err
		}
		held = append(held, conn)
	}
	return func() (err error) {
		for _, conn := range held {
			err = errors.Join(err, conn.Close())
		}
		return err
	}, nil
}

// AdvanceRequestIDs makes the next request come after id.
func (s *Store) AdvanceRequestIDs(id hook.ID) { s.writer.ids.Advance(id) }

// Prune and Vacuum do at once what Run does from time to time.
func (s *Store) Prune(ctx context.Context) error { return s.pruneAll(ctx) }

func (s *Store) Vacuum(ctx context.Context) error { return s.vacuum(ctx) }

// CheckDisk looks at the volume with another reserve than before.
func (s *Store) CheckDisk(reserve int64) (changed bool, err error) {
	s.disk.reserve = reserve
	return s.disk.check()
}

// SetBack is setBack.
var SetBack = setBack

// RemoveOldCopies does at once what Run does from time to time.
func (s *Store) RemoveOldCopies() error { return removeOldCopies(s.opts.Path) }
