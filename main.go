// Hookkeeper catches webhooks, keeps them and shows them. See internal/cli for its commands.
package main

import (
	"context"
	"os"

	"github.com/hookkeeper/hookkeeper/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
