package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// tokenTouch is how exact the time of a token's last use is: no write for each call of the API.
const tokenTouch = time.Hour

const tokenColumns = "t.id, t.user_id, o.email, t.name, t.hint, t.from_env, t.created_at, coalesce(t.last_used_at, 0)"

func tokenDest(t *hook.Token) (dest []any, finish func()) {
	var created, used int64
	return []any{&t.ID, &t.UserID, &t.UserEmail, &t.Name, &t.Hint, &t.FromEnv, &created, &used}, func() {
		t.CreatedAt, t.LastUsedAt = fromMicros(created), fromMicros(used)
	}
}

// CreateToken stores a token of t.UserID with its hash and sets t's ID and CreatedAt.
func (s *Store) CreateToken(ctx context.Context, t *hook.Token, hash [32]byte) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		var count int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens WHERE user_id = $1", t.UserID).Scan(&count); err != nil {
			return err
		}
		if count >= hook.MaxTokens {
			return hook.LimitTokens.Errorf(hook.Conflict, "There are %d tokens of this user, and that is the most. Revoke one first.", hook.MaxTokens)
		}
		return s.insertToken(ctx, tx, t, hash)
	})
}

func (s *Store) insertToken(ctx context.Context, tx *sql.Tx, t *hook.Token, hash [32]byte) (err error) {
	now := time.Now()
	if t.ID, err = s.newID(ctx, tx, "tokens", now); err != nil {
		return err
	}
	t.CreatedAt = now.UTC().Truncate(time.Microsecond)
	_, err = tx.ExecContext(ctx, `INSERT INTO tokens (id, user_id, name, token_hash, hint, from_env, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, t.ID, t.UserID, t.Name, hash[:], t.Hint, t.FromEnv, micros(t.CreatedAt))
	if isUnique(err) {
		return hook.Errorf(hook.Conflict, "This token is in use already.")
	}
	return gone(err, "user")
}

// TokenByHash returns a token and the user for whom it speaks, and notes that it was used.
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (hook.Token, hook.User, error) {
	type both struct {
		token hook.Token
		user  hook.User
	}
	found, err := queryOne(ctx, s.read, "token", func(row scanner) (b both, err error) {
		dest, finish := tokenDest(&b.token)
		err = row.Scan(append(dest, &b.user.Email, &b.user.Admin)...)
		finish()
		b.user.ID = b.token.UserID
		return b, err
	}, "SELECT "+tokenColumns+", o.email, o.admin FROM tokens t JOIN users o ON o.id = t.user_id WHERE t.token_hash = $1", hash[:])
	if err != nil {
		return hook.Token{}, hook.User{}, err
	}
	if now := time.Now(); now.Sub(found.token.LastUsedAt) > tokenTouch {
		err = s.do(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE tokens SET last_used_at = $2 WHERE id = $1", found.token.ID, now.UnixMicro())
			return err
		})
		if err != nil && !hook.Is(err, hook.Unavailable) { // a reader may go on while nothing can be written
			return hook.Token{}, hook.User{}, err
		}
	}
	return found.token, found.user, nil
}

// Tokens returns the tokens of the actor's own user, newest first; System gets those of all users.
func (s *Store) Tokens(ctx context.Context, actor hook.Actor) ([]hook.Token, error) {
	return queryAll(ctx, s.read, func(row scanner) (t hook.Token, err error) {
		dest, finish := tokenDest(&t)
		err = row.Scan(dest...)
		finish()
		return t, err
	}, "SELECT "+tokenColumns+` FROM tokens t JOIN users o ON o.id = t.user_id
		WHERE t.user_id = $1 OR $2 ORDER BY t.id DESC`, actor.UserID, actor == hook.System)
}

// RevokeToken ends a token of the actor's own user; System may end any.
func (s *Store) RevokeToken(ctx context.Context, actor hook.Actor, id hook.ID) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE id = $1 AND (user_id = $2 OR $3)", id, actor.UserID,
			actor == hook.System)
		return affected(result, err, "token")
	})
}

// SetEnvToken makes hash the one token from the environment, of the user; nil revokes the one that is there.
func (s *Store) SetEnvToken(ctx context.Context, user hook.ID, hash *[32]byte, hint string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if hash == nil {
			_, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE from_env")
			return err
		}
		var same bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM tokens WHERE from_env AND token_hash = $1 AND user_id = $2)",
			hash[:], user).Scan(&same)
		if err != nil || same {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE from_env"); err != nil {
			return err
		}
		t := &hook.Token{UserID: user, Name: "from the environment", Hint: hint, FromEnv: true}
		return s.insertToken(ctx, tx, t, *hash)
	})
}
