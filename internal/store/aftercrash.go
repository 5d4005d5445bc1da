package store

import (
	"context"
	"database/sql"
)

// checkAfterCrash looks for damage, beside everything else, when the process before did not end by itself: recovery of
// the log needs no check, but what stopped the process may have been the disk. What it finds degrades the store for
// good: captures on a damaged database would be promises that nobody can keep. It reports whether the database is sound, as
// far as is known; until it is, no stop counts as clean.
func (s *Store) checkAfterCrash(ctx context.Context) (sound bool) {
	clean, err := queryOne(ctx, s.read, "note", func(row scanner) (clean bool, err error) {
		return clean, row.Scan(&clean)
	}, "SELECT value FROM meta WHERE key = 'clean_stop'")
	if err == nil {
		err = s.setCleanStop(ctx, false)
	}
	if err != nil {
		s.warn("noting the start", err)
		return false
	}
	if clean {
		return true
	}
	s.log.Info("the last stop was not a clean one: checking the database beside the work")
	var found string
	err = s.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil && !isDisk(err):
		s.log.Error("the database could not be checked", "error", err)
		return false
	case err != nil || found != "ok":
		s.log.Error("the database is damaged", "found", found, "error", err)
		s.setDamaged("New requests are refused, because the database is damaged: stop the server, run hookkeeper check, " +
			"and restore a copy.")
		return false
	}
	s.log.Info("the database is sound")
	return true
}

// setCleanStop notes whether the process has ended by itself.
func (s *Store) setCleanStop(ctx context.Context, clean bool) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = $1 WHERE key = 'clean_stop'", clean)
		return err
	})
}
