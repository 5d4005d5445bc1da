package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version of a released binary, set when it is linked:
// -ldflags "-X github.com/hookkeeper/hookkeeper/internal/cli.release=v1.2.3".
var release string

type versionCmd struct{}

// Run prints the version and what the binary was built for and with.
func (versionCmd) Run(env *environment) error {
	_, err := fmt.Fprintf(env.stdout, "hookkeeper %s %s/%s %s\n", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}

// version returns the release, else what Go knows of the commit.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
