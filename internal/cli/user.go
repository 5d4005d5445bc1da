package cli

import (
	"errors"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

type userCmd struct {
	Add    userAddCmd    `cmd:"" help:"Add a user. The password is asked for twice."`
	List   userListCmd   `cmd:"" help:"List all users."`
	Passwd userPasswdCmd `cmd:"" help:"Set a user's password and end all sessions; API tokens stay valid unless told otherwise."`
	Delete userDeleteCmd `cmd:"" help:"Delete a user, and say what becomes of the capture URLs."`
}

type userAddCmd struct {
	database
	password
	Email string `arg:"" help:"The e-mail address to log in with."`
	Admin bool   `help:"May see everything and manage users."`
}

// Run adds the user. The first one must be an admin: an instance whose only user is none could never have another.
func (c *userAddCmd) Run(env *environment) error {
	if err := hook.ValidateEmail(c.Email); err != nil {
		return err
	}
	return c.withNew(env, func(s *store.Store) error {
		has, err := s.HasUsers(env.ctx)
		if err != nil {
			return err
		}
		if !has && !c.Admin {
			return usagef("there is no user yet, and the first one must be an admin: add --admin")
		}
		switch _, err := s.UserByEmail(env.ctx, c.Email); { // before a password is asked for
		case err == nil:
			return hook.Errorf(hook.Conflict, "there is a user %q already; change the password with: hookkeeper user passwd %s",
				c.Email, c.Email)
		case !hook.Is(err, hook.NotFound):
			return err
		}
		phc, err := c.hash(env)
		if err != nil {
			return err
		}
		u := hook.User{Email: c.Email, PasswordHash: phc, Admin: c.Admin}
		if err := s.CreateUser(env.ctx, &u); err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "Added %s %s.\n", role(u), u.Email)
		return nil
	})
}

func role(u hook.User) string {
	if u.Admin {
		return "admin"
	}
	return "user"
}

type userListCmd struct {
	database
	JSON bool `name:"json" help:"Print a JSON array."`
}

// Run lists the users by their addresses.
func (c *userListCmd) Run(env *environment) error {
	return c.with(env, func(s *store.Store) error {
		users, err := s.Users(env.ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.stdout, usersJSON(users))
		}
		rows := [][]string{{"ID", "EMAIL", "ROLE", "ADDED"}}
		for _, u := range users {
			rows = append(rows, []string{u.ID.Text(hook.UserPrefix), u.Email, role(u), shortTime(u.CreatedAt)})
		}
		return printTable(env.stdout, rows)
	})
}

type userJSON struct {
	ID        string  `json:"id"`
	Email     string  `json:"email"`
	Admin     bool    `json:"admin"`
	CreatedAt *string `json:"created_at"`
}

func usersJSON(users []hook.User) []userJSON {
	items := make([]userJSON, len(users))
	for i, u := range users {
		items[i] = userJSON{u.ID.Text(hook.UserPrefix), u.Email, u.Admin, timestamp(u.CreatedAt)}
	}
	return items
}

type userPasswdCmd struct {
	database
	password
	Email        string `arg:"" help:"The user's e-mail address."`
	RevokeTokens bool   `help:"End the user's API tokens, too."`
}

// Run sets the password.
func (c *userPasswdCmd) Run(env *environment) error {
	return c.with(env, func(s *store.Store) error {
		u, err := userByEmail(env, s, c.Email)
		if err != nil {
			return err
		}
		phc, err := c.hash(env)
		if err != nil {
			return err
		}
		change, err := s.SetPassword(env.ctx, u.ID, phc, c.RevokeTokens)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "The password of %s is changed, and all sessions of that user have ended.\n", u.Email)
		c.tellTokens(env, change)
		return nil
	})
}

// tellTokens says what the new password has meant for API tokens.
func (c *userPasswdCmd) tellTokens(env *environment, change store.PasswordChange) {
	switch {
	case change.Tokens == 0:
	case !c.RevokeTokens:
		fmt.Fprintf(env.stdout, "API tokens of that user that stay valid: %d. To end them: hookkeeper token list, and hookkeeper token "+
			"revoke ID; or all of them, with another password: hookkeeper user passwd %s --revoke-tokens\n", change.Tokens, c.Email)
	default:
		fmt.Fprintf(env.stdout, "API tokens of that user that are revoked: %d.\n", change.Tokens)
	}
	if c.RevokeTokens && change.EnvToken {
		fmt.Fprintln(env.stderr, envTokenComesBack)
	}
}

type userDeleteCmd struct {
	database
	Email      string `arg:"" help:"The user's e-mail address."`
	TransferTo string `placeholder:"EMAIL" xor:"fate" help:"Give the capture URLs, with their requests, to this user."`
	WithData   bool   `xor:"fate" help:"Delete the capture URLs with all their requests."`
}

// Run deletes the user.
func (c *userDeleteCmd) Run(env *environment) error {
	return c.with(env, func(s *store.Store) error {
		u, err := userByEmail(env, s, c.Email)
		if err != nil {
			return err
		}
		options := store.DeleteUserOptions{WithData: c.WithData}
		if c.TransferTo != "" {
			heir, err := userByEmail(env, s, c.TransferTo)
			if err != nil {
				return err
			}
			if heir.ID == u.ID {
				return usagef("%s cannot inherit from themselves; name another user with --transfer-to", u.Email)
			}
			options.TransferTo = heir.ID
		}
		if err := c.delete(env, s, u, options); err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "Deleted %s %s.\n", role(u), u.Email)
		if c.WithData {
			return c.purge(env, s)
		}
		return nil
	})
}

func (c *userDeleteCmd) delete(env *environment, s *store.Store, u hook.User, options store.DeleteUserOptions) error {
	err := s.DeleteUser(env.ctx, u.ID, options)
	if errors.Is(err, store.ErrLastAdmin) {
		return hook.Errorf(hook.Conflict, "%s is the only admin. Make another admin first: hookkeeper user add EMAIL --admin.", u.Email)
	}
	if known, ok := errors.AsType[*hook.Error](err); ok && known.Kind == hook.Conflict && options == (store.DeleteUserOptions{}) {
		return hook.Errorf(hook.Conflict, "%s For that: --transfer-to EMAIL or --with-data.", known.Message)
	}
	return err
}

// purge removes what was deleted, unless a server runs, which does that beside the captures.
func (c *userDeleteCmd) purge(env *environment, s *store.Store) error {
	conf, err := c.config(env)
	if err != nil {
		return err
	}
	unlock, err := lockDataDir(conf.DataDir)
	if err != nil {
		fmt.Fprintln(env.stderr, "The running server removes the requests in the background.")
		return nil
	}
	defer unlock()
	for {
		done, err := s.Purge(env.ctx)
		if err != nil || done {
			return err
		}
		fmt.Fprintln(env.stderr, "Removing the requests …")
	}
}
