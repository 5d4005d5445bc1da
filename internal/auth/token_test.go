package auth

import (
	"regexp"
	"strings"
	"testing"
)

func TestNewToken(t *testing.T) {
	form := regexp.MustCompile(`^hk_[a-z2-7]{52}$`)
	seen := map[string]bool{}
	for range 1000 {
		text, hash, hint := NewToken()
		if !form.MatchString(text) || hash != HashToken(text) || !strings.HasSuffix(text, hint) || len(hint) != 4 || seen[text] {
			t.Fatalf("bad token %q, hint %q", text, hint)
		}
		seen[text] = true
	}
}

func TestNewSecret(t *testing.T) {
	text, hash := NewSecret()
	other, _ := NewSecret()
	if len(text) != 52 || hash != HashToken(text) || text == other {
		t.Errorf("bad secret %q", text)
	}
}

func TestEqual(t *testing.T) {
	var never [32]byte
	a, b := HashToken("a"), HashToken("b")
	for _, test := range []struct {
		about string
		a, b  [32]byte
		want  bool
	}{
		{"the same", a, a, true},
		{"different", a, b, false},
		{"the empty secret", HashToken(""), a, false},
		{"a secret that was never made", a, never, false},
		{"and the other way round", never, a, false},
		{"two that were never made", never, never, false},
	} {
		if got := Equal(test.a, test.b); got != test.want {
			t.Errorf("%s: got %t", test.about, got)
		}
	}
}

func TestHintOfShortText(t *testing.T) {
	for text, want := range map[string]string{"": "", "ab": "ab", "abcdef": "cdef"} {
		if got := Hint(text); got != want {
			t.Errorf("Hint(%q) = %q", text, got)
		}
	}
}
