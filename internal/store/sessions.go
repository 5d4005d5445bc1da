package store

import (
	"context"
	"database/sql"
	"time"
)

// The methods in this file make the Store a session store of github.com/alexedwards/scs/v2 (scs.CtxStore). The token that
// scs hands over is a hash already (SessionManager.HashTokenInStore). When a session was last used is our own column,
// because the idle timeout of scs would write on every page.

// FindCtx returns the data of a session that has neither expired nor been idle for too long.
func (s *Store) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	now := time.Now()
	rows, err := queryAll(ctx, s.read, func(row scanner) (data []byte, err error) {
		return data, row.Scan(&data)
	}, "SELECT data FROM sessions WHERE token_hash = $1 AND expires_at > $2 AND last_seen > $3",
		token, now.UnixMicro(), now.Add(-s.opts.SessionIdle).UnixMicro())
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

// CommitCtx stores the data of a session.
func (s *Store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (token_hash, data, expires_at, last_seen) VALUES ($1, $2, $3, $4)
			ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at, last_seen = excluded.last_seen
			WHERE sessions.expires_at > 0`,
			token, data, micros(expiry), time.Now().UnixMicro())
		return err
	})
}

// DeleteCtx ends a session; one that is not there is no error. The row stays for a while without its data: a page that
// was being made during the logout must not bring the session back when it saves it.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE sessions SET data = $2, expires_at = 0, last_seen = $3 WHERE token_hash = $1",
			token, []byte{}, time.Now().UnixMicro())
		return err
	})
}

// touchEvery is how exact the time of a session's last use is: a page is read far more often than this is written. Where
// sessions end sooner, it is a quarter of the time that they may be idle.
const touchEvery = 5 * time.Minute

// TouchSession notes that a session is in use; one that has ended stays so. It writes at most every five minutes.
func (s *Store) TouchSession(ctx context.Context, token string) error {
	now := time.Now()
	every := min(touchEvery, s.opts.SessionIdle/4)
	due, err := queryOne(ctx, s.read, "session", func(row scanner) (due bool, err error) {
		return due, row.Scan(&due)
	}, "SELECT EXISTS (SELECT 1 FROM sessions WHERE token_hash = $1 AND last_seen <= $2 AND last_seen > $3)",
		token, now.Add(-every).UnixMicro(), now.Add(-s.opts.SessionIdle).UnixMicro())
	if err != nil || !due {
		return err
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE sessions SET last_seen = $2 WHERE token_hash = $1", token, now.UnixMicro())
		return err
	})
}

// Find, Commit and Delete complete the interface; scs calls the methods with a context instead.
func (s *Store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Store) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// SessionValid reports whether a session could still be used.
func (s *Store) SessionValid(ctx context.Context, token string) (bool, error) {
	_, found, err := s.FindCtx(ctx, token)
	return found, err
}
