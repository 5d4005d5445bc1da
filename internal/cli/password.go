package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// password is the flag of commands that need a new password.
type password struct {
	PasswordStdin bool `name:"password-stdin" help:"Read the password from standard input instead of asking for it."`
}

// hash reads a new password and returns its hash: from standard input to its end, or asked for twice on a terminal.
func (p password) hash(env *environment) (phc string, err error) {
	text, err := p.read(env)
	if err != nil {
		return "", err
	}
	return auth.NewHasher().Hash(env.ctx, text)
}

func (p password) read(env *environment) (string, error) {
	if p.PasswordStdin {
		return readPassword(env.stdin)
	}
	terminal, ok := env.stdin.(*os.File)
	if !ok || !isTerminal(terminal) {
		return "", usagef("a password is asked for on a terminal only; elsewhere, write it to standard input and add --password-stdin")
	}
	return askTwice(terminal, env.stderr)
}

// readPassword reads to the end, without the line break there.
func readPassword(r io.Reader) (string, error) {
	const lineBreak = 2
	b, err := io.ReadAll(io.LimitReader(r, hook.MaxPasswordLen+lineBreak+1))
	if err != nil {
		return "", fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// askTwice prompts on screen and reads lines from the terminal without showing them. The terminal is in raw mode for that
// time, in which Ctrl-C is a key like any other, so that every way out leaves it as it was: a shell whose terminal was
// left without echo would show nothing of what is typed next.
func askTwice(terminal *os.File, screen io.Writer) (password string, err error) {
	fd := int(terminal.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("the password cannot be asked for: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, state)) }()
	dialog := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{terminal, screen}, "")
	first, err := ask(dialog, "New password: ")
	if err != nil {
		return "", err
	}
	if err := hook.ValidatePassword(first); err != nil { // before it has to be typed again
		return "", err
	}
	again, err := ask(dialog, "The same again: ")
	if err != nil {
		return "", err
	}
	if again != first {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

func ask(dialog *term.Terminal, prompt string) (string, error) {
	answer, err := dialog.ReadPassword(prompt)
	if errors.Is(err, io.EOF) { // Ctrl-C, or Ctrl-D
		return "", context.Canceled
	}
	return answer, err
}
