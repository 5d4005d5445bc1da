package cli

import (
	"errors"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/store"
)

type checkCmd struct {
	database
}

var errDamaged = errors.New("the database is damaged: stop the server, keep a copy of the data directory, and restore a backup")

// Run reads everything and fails when something is wrong, one line each on standard output.
func (c *checkCmd) Run(env *environment) error {
	err := c.with(env, func(s *store.Store) error {
		fmt.Fprintln(env.stderr, "Reading the whole database …")
		problems, err := s.Check(env.ctx)
		for _, problem := range problems {
			fmt.Fprintln(env.stdout, problem)
		}
		if err == nil && len(problems) > 0 {
			return errDamaged
		}
		if err == nil {
			fmt.Fprintln(env.stdout, "The database is sound.")
		}
		return err
	})
	if store.Damaged(err) { // so much that it cannot even be opened
		fmt.Fprintln(env.stdout, err)
		return errDamaged
	}
	return err
}
