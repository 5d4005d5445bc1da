// Package cli is the command line of Hookkeeper: what each command takes, does and prints.
//
// The commands beside serve work on the database of the data directory, whether a server is running on it or not: both
// use the same store, whose transactions exclude each other, and the server notices within two seconds what a command
// has changed. What a command was asked for goes to standard output, everything else to standard error. The exit status
// is 0 when it was done, 1 when it failed, 2 when it was asked wrongly.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// grammar is every command with its flags; kong parses into it and calls the Run method of the one that was chosen.
type grammar struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Start the server. This is what hookkeeper does without a command."`
	User        userCmd        `cmd:"" help:"Manage who may log in."`
	Token       tokenCmd       `cmd:"" help:"Manage API tokens."`
	Backup      backupCmd      `cmd:"" help:"Copy the database, beside a running server, and read the copy back."`
	Check       checkCmd       `cmd:"" help:"Read the whole database and tell what is wrong with it."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the server at the configured address whether it is ready."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// groups are the headings of the settings in the help of serve.
var groups = []kong.Group{
	{Key: "serving", Title: "Serving:"},
	{Key: "accounts", Title: "Accounts:"},
	{Key: "capturing", Title: "Capturing and keeping:"},
	{Key: "network", Title: "Network:"},
	{Key: "delivering", Title: "Delivering:"},
	{Key: "logging", Title: "Logging:"},
}

// environment is what a command has of the world around it.
type environment struct {
	ctx            context.Context
	environ        []string // as os.Environ
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a mistake of whoever typed the command.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// serveCmd starts the server with the settings of its flags and the environment.
type serveCmd struct {
	config.Settings `embed:""`
}

// Run serves until a signal.
func (c *serveCmd) Run(env *environment) error {
	conf, err := config.Load(c.Settings, env.environ)
	if err != nil {
		return err
	}
	return serve(env.ctx, conf, newLogger(env.stderr, conf), env.stderr)
}

// Main runs the command that args name, without the program's own name, and returns the exit status.
func Main(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &environment{ctx: ctx, environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	helped := false
	parser, err := kong.New(&grammar{},
		kong.Name("hookkeeper"),
		kong.Description("Catches webhooks, keeps them and shows them. Its settings are flags of serve and variables of the "+
			"environment: hookkeeper serve --help."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }), // kong prints the help, asks to exit and parses on
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.ExplicitGroups(groups),
		kong.ValueFormatter(describe),
	)
	if err != nil {
		panic(err) // the grammar is part of the program: every test finds this
	}
	command, err := parser.Parse(args)
	if helped {
		return exitDone
	}
	if err == nil {
		err = command.Run(env)
	}
	return env.report(err)
}

// describe adds to the help of a setting its default and its variable.
func describe(value *kong.Value) string {
	text := value.Help
	if value.Flag == nil || !config.IsSetting(value.Name) {
		return text
	}
	if unset := value.Tag.Get("unset"); unset != "" {
		text += " Default: " + unset + "."
	}
	return text + " [$" + config.Variable(value.Name) + "]"
}

// report prints err for people and returns the exit status.
func (e *environment) report(err error) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(e.stderr, "hookkeeper: "+describeError(err))
	if parse, ok := errors.AsType[*kong.ParseError](err); ok {
		fmt.Fprintf(e.stderr, "Run %q for help.\n", commandOf(parse.Context)+" --help")
		return exitUsage
	}
	if usage(err) {
		return exitUsage
	}
	return exitFailed
}

// commandOf returns the command that was typed, the program's name where none was.
func commandOf(parsed *kong.Context) string {
	if selected := parsed.Selected(); selected != nil && slices.Contains(parsed.Args, selected.Name) {
		return selected.FullPath()
	}
	return "hookkeeper"
}

// usage reports whether err is a mistake in the command or the settings, not a failure.
func usage(err error) bool {
	_, isUsage := errors.AsType[*usageError](err)
	_, isProblems := errors.AsType[config.Problems](err)
	return isUsage || isProblems || hook.Is(err, hook.Invalid)
}

// describeError returns what people need to know of err.
func describeError(err error) string {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return "these settings cannot be used:\n  " + strings.ReplaceAll(problems.Error(), "\n", "\n  ")
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	known, ok := errors.AsType[*hook.Error](err)
	if !ok || known.Kind == hook.Internal {
		return err.Error()
	}
	if len(known.Fields) == 0 {
		return known.Message
	}
	var mistakes []string
	for _, field := range known.Fields {
		mistakes = append(mistakes, "the "+field.Location+" "+field.Message)
	}
	return strings.Join(mistakes, "\n")
}
