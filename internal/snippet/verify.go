package snippet

import (
	"embed"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Snippet is source code for a receiver to paste.
type Snippet struct {
	Language string // as people call it
	Text     string
}

// verifiers has a file for each scheme and language: what package signing sends, from the receiver's side.
//
//go:embed verify
var verifiers embed.FS

// Verify returns a function in each language that verifies what is signed with a scheme, none for hook.SignNone. It has
// the secret from the environment: WEBHOOK_SECRET or, for hook.SignStandardV1a, WEBHOOK_PUBLIC_KEY. It takes what one of
// several secrets signed, compares in constant time and refuses a signature that is older than 5 minutes, where the
// scheme signs the time. It needs the library of its language only, but Python with Ed25519 needs one more.
func Verify(scheme hook.Scheme) []Snippet {
	var snippets []Snippet
	for _, l := range []struct{ language, suffix string }{
		{"Go", ".go.txt"}, {"JavaScript", ".js.txt"}, {"Python", ".py.txt"},
	} {
		if text, err := verifiers.ReadFile("verify/" + string(scheme) + l.suffix); err == nil {
			snippets = append(snippets, Snippet{l.language, string(text)})
		}
	}
	return snippets
}
