package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hookkeeper/hookkeeper/internal/auth"
)

// pseudoTerminal returns the two ends of a terminal: what a person types goes into keyboard, line is what a program has
// as its standard input.
func pseudoTerminal(t *testing.T) (keyboard, line *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	line, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = line.Close() })
	return keyboard, line
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// screen is a standard error that tells of each prompt.
type screen struct {
	bytes.Buffer
	asked func()
}

func (s *screen) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "password: ") || strings.Contains(string(b), "again: ") {
		s.asked()
	}
	return s.Buffer.Write(b)
}

func TestPasswordOnATerminal(t *testing.T) {
	for _, test := range []struct {
		about   string
		typed   []string
		status  int
		message string
	}{
		{"twice the same", []string{goodPassword, goodPassword}, exitDone, ""},
		{"two that differ", []string{goodPassword, goodPassword + "!"}, exitFailed, "the two passwords differ"},
		{"too short, told before it is typed again", []string{"short"}, exitUsage, "at least 10 characters"},
	} {
		in, s := newInstance(t)
		keyboard, line := pseudoTerminal(t)
		stderr := &screen{}
		asked := 0
		stderr.asked = func() {
			if asked < len(test.typed) {
				fmt.Fprint(keyboard, test.typed[asked]+"\r")
			}
			asked++
		}
		var stdout bytes.Buffer
		args := []string{"user", "add", "ann@example.com", "--admin"}
		status := Main(t.Context(), args, []string{"HOOKKEEPER_DATA=" + in.dir}, line, &stdout, stderr)
		if status != test.status || !strings.Contains(stderr.String(), test.message) || asked != len(test.typed) {
			t.Errorf("%s: status %d, asked %d times, %q", test.about, status, asked, stderr.String())
		}
		if strings.Contains(stdout.String()+stderr.String(), goodPassword) || !echoes(t, line) {
			t.Errorf("%s: the password was shown, or the terminal is left without echo", test.about)
		}
		if status != exitDone {
			continue
		}
		u, err := s.UserByEmail(t.Context(), "ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := auth.NewHasher().Verify(t.Context(), goodPassword, u.PasswordHash); !ok || err != nil {
			t.Errorf("%s: the password does not fit: %v", test.about, err)
		}
	}
}

// Ctrl-C at the prompt ends the command and leaves a terminal that shows what is typed.
func TestInterruptAtThePrompt(t *testing.T) {
	in, s := newInstance(t)
	keyboard, line := pseudoTerminal(t)
	stderr := &screen{asked: func() { fmt.Fprint(keyboard, goodPassword+"\x03") }}
	args := []string{"user", "add", "ann@example.com", "--admin"}
	status := Main(t.Context(), args, []string{"HOOKKEEPER_DATA=" + in.dir}, line, &bytes.Buffer{}, stderr)
	if status != exitFailed || !strings.HasSuffix(stderr.String(), "hookkeeper: interrupted\n") {
		t.Errorf("status %d, %q", status, stderr.String())
	}
	if !echoes(t, line) {
		t.Error("the terminal is left without echo")
	}
	if has, err := s.HasUsers(t.Context()); has || err != nil {
		t.Errorf("a user was added: %v", err)
	}
}
