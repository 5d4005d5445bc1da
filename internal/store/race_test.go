//go:build race

package store_test

import "flag"

// The race detector makes the models ten times slower, and finds its races in a few of their runs as well as in a hundred.
func init() {
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
}
