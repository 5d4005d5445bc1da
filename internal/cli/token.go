package cli

import (
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make an API token and print it, once."`
	List   tokenListCmd   `cmd:"" help:"List all API tokens, by their last characters."`
	Revoke tokenRevokeCmd `cmd:"" help:"End an API token."`
}

type tokenAddCmd struct {
	database
	Name string `arg:"" help:"What the token is for, as its owner will see it."`
	User string `required:"" placeholder:"EMAIL" help:"The user for whom the token speaks."`
}

// Run prints the token alone on standard output, so that a script can take it from there.
func (c *tokenAddCmd) Run(env *environment) error {
	if err := hook.ValidateTokenName(c.Name); err != nil {
		return err
	}
	return c.with(env, func(s *store.Store) error {
		u, err := userByEmail(env, s, c.User)
		if err != nil {
			return err
		}
		text, hash, hint := auth.NewToken()
		token := hook.Token{UserID: u.ID, Name: c.Name, Hint: hint}
		if err := s.CreateToken(env.ctx, &token, hash); err != nil {
			return err
		}
		fmt.Fprintf(env.stderr, "Token %s for %s. Keep it now: it is shown only this once.\n", token.ID.Text(hook.TokenPrefix), u.Email)
		_, err = fmt.Fprintln(env.stdout, text)
		return err
	})
}

type tokenListCmd struct {
	database
	JSON bool `name:"json" help:"Print a JSON array."`
}

// Run lists the tokens of all users, the newest first.
func (c *tokenListCmd) Run(env *environment) error {
	return c.with(env, func(s *store.Store) error {
		tokens, err := s.Tokens(env.ctx, hook.System)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(env.stdout, tokensJSON(tokens))
		}
		rows := [][]string{{"ID", "NAME", "USER", "TOKEN", "ADDED", "LAST USED"}}
		for _, t := range tokens {
			rows = append(rows, []string{
				t.ID.Text(hook.TokenPrefix), t.Name, t.UserEmail, "…" + t.Hint, shortTime(t.CreatedAt), shortTime(t.LastUsedAt),
			})
		}
		return printTable(env.stdout, rows)
	})
}

type tokenJSON struct {
	ID              string  `json:"id"`
	Name            string  `json:"name"`
	User            string  `json:"user"`
	Hint            string  `json:"hint"`
	FromEnvironment bool    `json:"from_environment"`
	CreatedAt       *string `json:"created_at"`
	LastUsedAt      *string `json:"last_used_at"`
}

func tokensJSON(tokens []hook.Token) []tokenJSON {
	items := make([]tokenJSON, len(tokens))
	for i, t := range tokens {
		items[i] = tokenJSON{
			t.ID.Text(hook.TokenPrefix), t.Name, t.UserEmail, t.Hint, t.FromEnv, timestamp(t.CreatedAt), timestamp(t.LastUsedAt),
		}
	}
	return items
}

const envTokenComesBack = "The one from the environment comes back when the server starts again, unless HOOKKEEPER_API_TOKEN is " +
	"changed or removed."

type tokenRevokeCmd struct {
	database
	ID string `arg:"" help:"The token's id, tok_…, as the list shows it."`
}

// Run revokes the token. A running server stops taking it within two seconds.
func (c *tokenRevokeCmd) Run(env *environment) error {
	id, ok := hook.ParseID(hook.TokenPrefix, c.ID)
	if !ok {
		return usagef("%q is not the id of a token, which starts with %s; all of them: hookkeeper token list", c.ID, hook.TokenPrefix)
	}
	return c.with(env, func(s *store.Store) error {
		tokens, err := s.Tokens(env.ctx, hook.System)
		if err != nil {
			return err
		}
		if err := s.RevokeToken(env.ctx, hook.System, id); err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "Revoked %s.\n", c.ID)
		for _, t := range tokens {
			if t.ID == id && t.FromEnv {
				fmt.Fprintln(env.stderr, envTokenComesBack)
			}
		}
		return nil
	})
}
