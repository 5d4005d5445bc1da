//go:build !race

package e2e

// buildFlags build the program as it is shipped.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w"}
