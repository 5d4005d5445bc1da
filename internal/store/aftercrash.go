package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// checkAgain is the pause after a check that could not be made.
const checkAgain = time.Minute

// checkAfterCrash looks for damage, beside everything else, when the process before did not end by itself: recovery of
// the log needs no check, but what stopped the process may have been the disk. It reports whether the database is sound, as
// far as is known; until it is, no stop counts as clean.
func (s *Store) checkAfterCrash(ctx context.Context) (sound bool) {
	for ctx.Err() == nil {
		sound, err := s.checkUnlessClean(ctx)
		if err == nil || Damaged(err) {
			return sound
		}
		if ctx.Err() == nil { // a disk that fails for a moment says nothing about what is on it
			s.log.Error("the database could not be checked, and will be again", "error", err)
			sleep(ctx, checkAgain)
		}
	}
	return false
}

// checkUnlessClean looks for damage unless the last stop was a clean one, and notes that this one is not, yet.
func (s *Store) checkUnlessClean(ctx context.Context) (sound bool, err error) {
	clean, err := queryOne(ctx, s.read, "note", func(row scanner) (clean bool, err error) {
		return clean, row.Scan(&clean)
	}, "SELECT value FROM meta WHERE key = 'clean_stop'")
	if err == nil {
		err = s.setCleanStop(ctx, false)
	}
	if err != nil || clean {
		return clean, err
	}
	s.log.Info("the last stop was not a clean one: checking the database beside the work")
	found, err := s.checker().pages(ctx, "quick_check")
	if Damaged(err) { // so is a read told that failed once
		found, err = s.checker().pages(ctx, "quick_check")
	}
	switch {
	case Damaged(err) || len(found) > 0:
		s.setDamaged(strings.Join(found, "; "), err)
		return false, nil
	case err == nil:
		s.log.Info("the database is sound")
	}
	return err == nil, err
}

// sleep returns after a pause, or when ctx ends.
func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// setCleanStop notes whether the process has ended by itself.
func (s *Store) setCleanStop(ctx context.Context, clean bool) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = $1 WHERE key = 'clean_stop'", clean)
		return err
	})
}
