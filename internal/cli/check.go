package cli

import (
	"errors"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/store"
)

type checkCmd struct {
	database
}

// Run reads everything and fails when something is wrong, one line each on standard output.
func (c *checkCmd) Run(env *environment) error {
	return c.with(env, func(s *store.Store) error {
		fmt.Fprintln(env.stderr, "Reading the whole database …")
		problems, err := s.Check(env.ctx)
		if err != nil {
			return err
		}
		for _, problem := range problems {
			fmt.Fprintln(env.stdout, problem)
		}
		if len(problems) > 0 {
			return errors.New("the database is damaged: stop the server, keep a copy of the data directory, and restore a backup")
		}
		fmt.Fprintln(env.stdout, "The database is sound.")
		return nil
	})
}
