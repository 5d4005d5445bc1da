package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// miscount says what to add to counts that are not what there is. It holds as long as its mark stays: whatever is done
// meanwhile moves both sides by the same, only discarding or clearing starts afresh.
type miscount struct {
	id, mark    hook.ID
	kept, bytes int64 // of a capture URL; a subscription has the first only
}

// recount mends counts that an earlier version left wrong. Unfinished deliveries are counted with each start: what is wrong there
// deletes a subscription that still holds some. Bytes take reading every row, and replays many; that is done once in the life of a database.
func (s *Store) recount(ctx context.Context) error {
	err := s.mendEach(ctx, "SELECT id, discarded_up_to, queued - unfinished, 0 "+wrongUnfinished, slices.Collect(maps.Keys(s.urls.load().subs)),
		s.mendUnfinished)
	if err != nil {
		return err
	}
	done, err := queryOne(ctx, s.read, "note", func(row scanner) (done bool, err error) { return done, row.Scan(&done) },
		"SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'recounted')")
	if err != nil || done {
		return err
	}
	err = s.mendEach(ctx, "SELECT id, cleared_up_to, requests - kept, stored - bytes "+wrongKept, slices.Collect(maps.Keys(s.urls.load().byID)),
		s.mendKept)
	if err != nil {
		return err
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE replays SET failed = queued - done WHERE queued > done + failed AND NOT EXISTS (SELECT 1
			FROM deliveries d WHERE d.subscription_id = replays.subscription_id AND d.state < 2 AND d.replay_id = replays.id)`)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ('recounted', 1) ON CONFLICT DO NOTHING")
		return err
	})
}

// mendEach asks about each of the ids, in a query of its own, and mends what is wrong. A query that reads for long while the log
// grows is given up as one of a check is; the others are asked all the same, and errYielded says that not all were.
func (s *Store) mendEach(ctx context.Context, query string, ids []hook.ID, mend func(context.Context, miscount) error) error {
	var yielded error
	for _, id := range ids {
		var m miscount
		err := s.checker().yielding(ctx, func(ctx context.Context) error {
			return s.read.QueryRowContext(ctx, query, id).Scan(&m.id, &m.mark, &m.kept, &m.bytes)
		})
		switch {
		case err == nil:
			err = mend(ctx, m)
		case errors.Is(err, errYielded):
			s.log.Warn("too much is written to count again beside it: that is tried with the next start", "of", id)
			yielded, err = err, nil
		case errors.Is(err, sql.ErrNoRows):
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return yielded
}

func (s *Store) mendUnfinished(ctx context.Context, m miscount) error {
	e := s.urls.load().subs[m.id]
	if e == nil {
		return nil
	}
	var status subStatus
	return s.do(ctx, func(tx *sql.Tx) error {
		if status = e.getStatus(); status.discarded != m.mark {
			return nil
		}
		status.counts.Unfinished += m.kept
		s.log.Warn("unfinished deliveries were counted wrong: mended", "subscription", m.id.Text(hook.SubscriptionPrefix), "by", m.kept)
		return saveStatus(ctx, tx, m.id, &status)
	}, func() { e.setStatus(status) })
}

func (s *Store) mendKept(ctx context.Context, m miscount) error {
	u := s.urls.load().byID[m.id]
	if u == nil {
		return nil
	}
	var stats hook.Stats
	return s.do(ctx, func(tx *sql.Tx) error {
		if stats = u.getStats(); u.clearedUpTo() != m.mark {
			return nil
		}
		stats.Kept += m.kept
		stats.Bytes += m.bytes
		s.log.Warn("what a capture URL keeps was counted wrong: mended", "capture_url", m.id.Text(hook.CaptureURLPrefix),
			"requests", m.kept, "bytes", m.bytes)
		return saveStats(ctx, tx, m.id, stats)
	}, func() { u.setStats(stats) })
}
