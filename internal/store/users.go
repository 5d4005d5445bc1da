package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const userColumns = "id, email, password_hash, admin, session_epoch, created_at"

func scanUser(row scanner) (u hook.User, err error) {
	var created int64
	err = row.Scan(&u.ID, &u.Email, &u.PasswordHash, &u.Admin, &u.SessionEpoch, &created)
	u.CreatedAt = fromMicros(created)
	return u, err
}

func emailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// HasUsers reports whether the instance has been claimed.
func (s *Store) HasUsers(ctx context.Context) (bool, error) {
	return queryOne(ctx, s.read, "user", func(row scanner) (has bool, err error) {
		return has, row.Scan(&has)
	}, "SELECT EXISTS (SELECT 1 FROM users)")
}

// CreateUser stores u and sets its ID and CreatedAt. Conflict when the address is taken.
func (s *Store) CreateUser(ctx context.Context, u *hook.User) error {
	return s.createUser(ctx, u, false)
}

// CreateFirstUser is CreateUser for an instance without users. Conflict when there is one: of several that try, one wins.
func (s *Store) CreateFirstUser(ctx context.Context, u *hook.User) error {
	return s.createUser(ctx, u, true)
}

func (s *Store) createUser(ctx context.Context, u *hook.User, first bool) error {
	return s.do(ctx, func(tx *sql.Tx) (err error) {
		var count int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM users").Scan(&count); err != nil {
			return err
		}
		if first && count > 0 {
			return hook.Errorf(hook.Conflict, "This instance is set up already. Log in instead.")
		}
		if count >= hook.MaxUsers {
			return hook.LimitUsers.Errorf(hook.Conflict, "There are %d users, and that is the most.", hook.MaxUsers)
		}
		now := time.Now()
		if u.ID, err = s.newID(ctx, tx, "users", now); err != nil {
			return err
		}
		u.CreatedAt = now.UTC().Truncate(time.Microsecond)
		_, err = tx.ExecContext(ctx, `INSERT INTO users (id, email, email_key, password_hash, admin, session_epoch, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			u.ID, u.Email, emailKey(u.Email), u.PasswordHash, u.Admin, u.SessionEpoch, micros(u.CreatedAt))
		if isUnique(err) {
			return hook.Errorf(hook.Conflict, "There is a user with this e-mail address already.")
		}
		return err
	})
}

// User returns the user with the id.
func (s *Store) User(ctx context.Context, id hook.ID) (hook.User, error) {
	return queryOne(ctx, s.read, "user", scanUser, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
}

// UserByEmail returns the user with the address, whatever its case.
func (s *Store) UserByEmail(ctx context.Context, email string) (hook.User, error) {
	return queryOne(ctx, s.read, "user", scanUser, "SELECT "+userColumns+" FROM users WHERE email_key = $1", emailKey(email))
}

// Users returns all users in the order of their addresses.
func (s *Store) Users(ctx context.Context) ([]hook.User, error) {
	return queryAll(ctx, s.read, scanUser, "SELECT "+userColumns+" FROM users ORDER BY email_key")
}

// PasswordChange is what a new password leaves of what the user could log in with.
type PasswordChange struct {
	Epoch    int64 // that a new session must carry
	Tokens   int   // API tokens of the user, which stay valid unless they were revoked with the change
	EnvToken bool  // one of them is from the environment
}

// SetPassword stores the hash of a new password and ends all sessions of the user. Invites of the user are void from then
// on. API tokens are credentials of their own and stay valid, unless revokeTokens.
func (s *Store) SetPassword(ctx context.Context, user hook.ID, phc string, revokeTokens bool) (PasswordChange, error) {
	var change PasswordChange
	err := s.do(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM invites WHERE user_id = $1", user); err != nil {
			return err
		}
		query := "SELECT from_env FROM tokens WHERE user_id = $1"
		if revokeTokens {
			query = "DELETE FROM tokens WHERE user_id = $1 RETURNING from_env"
		}
		fromEnv, err := queryAll(ctx, tx, func(row scanner) (is bool, err error) { return is, row.Scan(&is) }, query, user)
		if err != nil {
			return err
		}
		change.Tokens, change.EnvToken = len(fromEnv), slices.Contains(fromEnv, true)
		return tx.QueryRowContext(ctx, `UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1 WHERE id = $1
			RETURNING session_epoch`, user, phc).Scan(&change.Epoch)
	})
	return change, noRows(err, "user")
}

// EndSessions ends all sessions of a user and returns the epoch that a new one must carry.
func (s *Store) EndSessions(ctx context.Context, user hook.ID) (epoch int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE users SET session_epoch = session_epoch + 1 WHERE id = $1 RETURNING session_epoch`,
			user).Scan(&epoch)
	})
	return epoch, noRows(err, "user")
}

func noRows(err error, noun string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(noun)
	}
	return err
}

// DeleteUserOptions says what becomes of the user's capture URLs; one of the two is needed when there are any.
type DeleteUserOptions struct {
	TransferTo hook.ID // they go to this user
	WithData   bool    // they are deleted with their requests
}

// DeleteUser removes a user with the tokens. Conflict when the user owns capture URLs and opts does not say what becomes
// of them, and for the last admin; NotFound when there is no such user, or none to transfer to.
func (s *Store) DeleteUser(ctx context.Context, id hook.ID, opts DeleteUserOptions) error {
	var since int64
	err := s.do(ctx, func(tx *sql.Tx) error {
		if err := refuseLastAdmin(ctx, tx, id); err != nil {
			return err
		}
		heir, err := heirOf(ctx, tx, id, opts)
		if err != nil {
			return err
		}
		for _, query := range []string{
			"UPDATE capture_urls SET owner_id = $2 WHERE owner_id = $1",
			`UPDATE slugs SET owner_id = $2, inherited = NOT EXISTS (SELECT 1 FROM capture_urls u WHERE u.slug = slugs.slug
				AND u.deleted_at IS NULL) WHERE owner_id = $1`,
		} {
			if _, err := tx.ExecContext(ctx, query, id, heir); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", id)
		return err
	}, func() {
		since, s.writer.version = s.writer.version, unknownVersion // should the reading fail, noticeOthers makes up for it
		s.urls.changes.Add(1)                                      // a reading that is under way has the user still
	})
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the user is gone, whether or not the caller waits
	return s.reloadAndTell(ctx, since)
}

// heirOf returns who gets what the user leaves, after it has marked as deleted what nobody gets.
func heirOf(ctx context.Context, tx *sql.Tx, id hook.ID, opts DeleteUserOptions) (heir hook.ID, err error) {
	if opts.TransferTo != 0 {
		row := tx.QueryRowContext(ctx, "SELECT id FROM users WHERE id = $1 AND id <> $2", opts.TransferTo, id)
		return opts.TransferTo, noRows(row.Scan(&heir), "user to transfer to")
	}
	if err := disown(ctx, tx, id, opts.WithData); err != nil {
		return 0, err
	}
	// What is being removed, and the slugs, need an owner until they are gone: the first admin who stays.
	err = tx.QueryRowContext(ctx, "SELECT id FROM users WHERE admin AND id <> $1 ORDER BY id LIMIT 1", id).Scan(&heir)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, hook.Errorf(hook.Conflict, "There is no admin who could keep the user's addresses. Make an admin first.")
	}
	return heir, err
}

// ErrLastAdmin says that nobody would be left who can add users.
var ErrLastAdmin = hook.Errorf(hook.Conflict, "This is the only admin. Make another admin first.")

func refuseLastAdmin(ctx context.Context, tx *sql.Tx, id hook.ID) error {
	var admin bool
	err := tx.QueryRowContext(ctx, "SELECT admin FROM users WHERE id = $1", id).Scan(&admin)
	if err != nil || !admin {
		return noRows(err, "user")
	}
	var others int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM users WHERE admin AND id <> $1", id).Scan(&others); err != nil {
		return err
	}
	if others == 0 {
		return ErrLastAdmin
	}
	return nil
}

// disown marks the capture URLs of a user as deleted, or refuses when there are some and withData is false.
func disown(ctx context.Context, tx *sql.Tx, id hook.ID, withData bool) error {
	var urls int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM capture_urls WHERE owner_id = $1 AND deleted_at IS NULL", id).Scan(&urls)
	if err != nil || urls == 0 {
		return err
	}
	if !withData {
		return hook.Errorf(hook.Conflict, "The user owns %d capture URLs. Transfer them to another user or delete them too.", urls)
	}
	_, err = tx.ExecContext(ctx, "UPDATE capture_urls SET deleted_at = $2 WHERE owner_id = $1 AND deleted_at IS NULL",
		id, time.Now().UnixMicro())
	return err
}

// CreateInvite stores the hash of a one-time link with which the user sets a password. Older links are void.
func (s *Store) CreateInvite(ctx context.Context, user hook.ID, hash [32]byte, expires time.Time) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM invites WHERE user_id = $1", user); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO invites (token_hash, user_id, expires_at) VALUES ($1, $2, $3)",
			hash[:], user, micros(expires))
		return gone(err, "user")
	})
}

// InviteUser returns the user whom a one-time link belongs to; NotFound when it was used or is too old.
func (s *Store) InviteUser(ctx context.Context, hash [32]byte) (hook.User, error) {
	return queryOne(ctx, s.read, "invitation", scanUser, "SELECT "+userColumns+` FROM users
		WHERE id = (SELECT user_id FROM invites WHERE token_hash = $1 AND expires_at > $2)`, hash[:], time.Now().UnixMicro())
}

// AcceptInvite uses up a one-time link: it sets the password and returns the user, whose older sessions end.
func (s *Store) AcceptInvite(ctx context.Context, hash [32]byte, phc string) (hook.User, error) {
	var u hook.User
	err := s.do(ctx, func(tx *sql.Tx) error {
		var id hook.ID
		err := tx.QueryRowContext(ctx, "DELETE FROM invites WHERE token_hash = $1 AND expires_at > $2 RETURNING user_id",
			hash[:], time.Now().UnixMicro()).Scan(&id)
		if err != nil {
			return noRows(err, "invitation")
		}
		u, err = scanUser(tx.QueryRowContext(ctx, `UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1
			WHERE id = $1 RETURNING `+userColumns, id, phc))
		return err
	})
	return u, err
}
