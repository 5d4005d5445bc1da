package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// database is the flag of commands that work on the database.
type database struct {
	Data string `name:"data" unset:"data" placeholder:"DIR" help:"Directory of the database."`
}

// with calls f with the open database, which must be there.
func (d database) with(env *environment, f func(*store.Store) error) error {
	return d.open(env, false, f)
}

// withNew calls f with the open database, and makes an empty one where there is none.
func (d database) withNew(env *environment, f func(*store.Store) error) error {
	return d.open(env, true, f)
}

func (d database) open(env *environment, create bool, f func(*store.Store) error) (err error) {
	conf, err := d.config(env)
	if err != nil {
		return err
	}
	if err := mustHaveDatabase(conf.DataDir); err != nil {
		if !create {
			return err
		}
		if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
			return err
		}
		fmt.Fprintf(env.stderr, "There was no database in %q: made an empty one.\n", conf.DataDir)
	}
	key, err := secretKey(env.ctx, conf)
	if err != nil {
		return err
	}
	alone := func() {}
	defer func() { alone() }()
	s, err := store.Open(env.ctx, store.Options{
		Path: databasePath(conf.DataDir), Keep: conf.Keep, SessionIdle: conf.SessionIdle, DiskReserve: conf.DiskReserve, Key: key,
		BeforeUpgrade: func() (err error) {
			if alone, err = lockDataDir(conf.DataDir); err != nil {
				alone = func() {}
				return fmt.Errorf("a server of that version may be running: %w", err)
			}
			fmt.Fprintln(env.stderr, "Upgrading the database of an earlier version …")
			return nil
		},
	})
	if err != nil {
		return explainKey(err)
	}
	defer func() {
		if closing := s.Close(); err == nil {
			err = closing
		}
	}()
	return f(s)
}

// mustHaveDatabase returns what to do where there is none.
func mustHaveDatabase(dataDir string) error {
	if _, err := os.Stat(databasePath(dataDir)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database in %q: start the server once, or name the directory with --data or "+
			"HOOKKEEPER_DATA", dataDir)
	}
	return nil // found, or opening it says what is wrong
}

func (d database) config(env *environment) (config.Config, error) {
	return config.Load(config.Settings{Data: d.Data}, env.environ)
}

// userByEmail returns a user, with an error that says whom it did not find.
func userByEmail(env *environment, s *store.Store, email string) (hook.User, error) {
	u, err := s.UserByEmail(env.ctx, email)
	if hook.Is(err, hook.NotFound) {
		return u, hook.Errorf(hook.NotFound, "there is no user %q; all of them: hookkeeper user list", email)
	}
	return u, err
}

// timestamp writes a time as the API does: RFC 3339 in UTC with microseconds. The zero time is nil.
func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000000Z")
	return &text
}

// printJSON writes v, indented.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printTable writes rows in columns; the first row is the heading.
func printTable(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// shortTime writes a time for people in a table, "never" for the zero time.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
