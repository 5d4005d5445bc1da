package store

import "context"

// Purge removes rows that deletions left behind, for at most about a second, and reports whether all are gone. Run does
// it too; a command that deletes calls it when no server runs.
func (s *Store) Purge(ctx context.Context) (done bool, err error) {
	if err := s.purgeAll(ctx); err != nil {
		return false, err
	}
	return queryOne(ctx, s.read, "capture URL", func(row scanner) (done bool, err error) {
		return done, row.Scan(&done)
	}, "SELECT NOT EXISTS (SELECT 1 FROM capture_urls WHERE deleted_at IS NOT NULL)")
}
