package hook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidateEmail(t *testing.T) {
	local := strings.Repeat("a", 50)
	long := local + "@" + strings.Repeat("a.", (MaxEmailLen-len(local)-2)/2) // and one or two more
	long += strings.Repeat("b", MaxEmailLen-len(long))
	for _, email := range []string{
		"ann@example.com", "ann@localhost", "Ann.Lee+hooks@Example.COM", "ann@[127.0.0.1]", "müller@example.com", long,
	} {
		if err := ValidateEmail(email); err != nil {
			t.Errorf("%q: %v", email, err)
		}
	}
	for _, email := range []string{
		"", " ", "ann", "ann@", "@example.com", "ann@example.com ", " ann@example.com", "Ann <ann@example.com>", "<ann@example.com>",
		"ann@example.com (Ann)", "ann@exa mple.com", "ann@example.com\n", "ann\x00@example.com", "a@b@c", "ann@example.com,bob@example.com",
		`"a b"@example.com`, "ann@example.com\r\nBcc: bob@example.com", long + "b",
	} {
		if diff := cmp.Diff([]string{"email"}, locations(t, email, ValidateEmail(email))); diff != "" {
			t.Errorf("%q: %s", email, diff)
		}
	}
}

func TestValidatePassword(t *testing.T) {
	for password, want := range map[string]bool{
		strings.Repeat("a", MinPasswordLen):     true,
		strings.Repeat("a", MinPasswordLen-1):   false,
		strings.Repeat("é", MinPasswordLen):     true,
		strings.Repeat("é", MinPasswordLen-1):   false, // characters, not bytes
		strings.Repeat("a", MaxPasswordLen):     true,
		strings.Repeat("a", MaxPasswordLen+1):   false,
		strings.Repeat("é", MaxPasswordLen/2+1): false, // bytes, not characters
		strings.Repeat(" ", 64):                 false,
		strings.Repeat("\u3000\t", 64):          false, // of any script
		strings.Repeat(" ", 64) + "a":           true,
		"with a NUL \x00 in it":                 false,
		"":                                      false,
	} {
		if err := ValidatePassword(password); (err == nil) != want {
			t.Errorf("%.20q of %d bytes: %v", password, len(password), err)
		}
	}
}

func TestValidateTokenName(t *testing.T) {
	if err := ValidateTokenName("CI of the shop"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", " ", "a\nb", "\xff", strings.Repeat("a", MaxNameLen+1)} {
		err := ValidateTokenName(name)
		if diff := cmp.Diff([]string{"name"}, locations(t, name, err)); diff != "" {
			t.Errorf("%.20q: %s", name, diff)
		}
		if strings.Contains(err.Error(), "capture URL") {
			t.Errorf("%.20q: the error of a token speaks of a capture URL: %v", name, err)
		}
	}
}

func TestMaySee(t *testing.T) {
	for _, test := range []struct {
		actor Actor
		owner ID
		want  bool
	}{
		{Actor{UserID: 1}, 1, true},
		{Actor{UserID: 1}, 2, false},
		{Actor{UserID: 1}, 0, false},
		{Actor{UserID: 1, Admin: true}, 2, true},
		{System, 2, true},
		{Actor{}, 1, false},
		{Actor{}, 0, false},
	} {
		if got := test.actor.MaySee(test.owner); got != test.want {
			t.Errorf("%+v sees what %d owns: %t", test.actor, test.owner, got)
		}
	}
}
