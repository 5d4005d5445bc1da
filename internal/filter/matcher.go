package filter

import (
	"bytes"
	"context"
	"math"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Matcher is a whole filter, conditions and jq, for requests that are stored already. Those that are captured are matched
// in two steps: conditions as they arrive, jq when they are delivered.
type Matcher struct {
	filter  hook.Filter
	program *Program // nil = no jq
}

// NewMatcher returns the matcher of a filter, or why its jq cannot be used.
func NewMatcher(f hook.Filter) (*Matcher, error) {
	f.Normalize()
	m := &Matcher{filter: f}
	if f.JQ == "" {
		return m, nil
	}
	var err error
	m.program, err = Compile(f.JQ)
	return m, err
}

// Verdict is what a filter makes of a request.
type Verdict struct {
	Matched bool
	Fails   bool   // it cannot be told: the delivery fails
	Rule    string // that said no, or why that cannot be told, in words
}

// Match reports whether a request can be delivered and fits.
func (m *Matcher) Match(ctx context.Context, r *hook.Request) Verdict {
	if r.Truncated {
		return Verdict{Rule: "the body was over the limit and was not kept"}
	}
	if n := NewFacts(r, math.MaxInt).Match(&m.filter); n != hook.Delivered {
		return Verdict{Rule: m.filter.Rules()[n]}
	}
	if m.program == nil {
		return Verdict{Matched: true}
	}
	return m.program.Judge(ctx, m.filter.JQ, r)
}

// LeftOut reports whether a request cannot be delivered only because its body was not kept, as far as conditions can tell.
func (m *Matcher) LeftOut(r *hook.Request) bool {
	return r.Truncated && NewFacts(r, math.MaxInt).Match(&m.filter) == hook.Delivered
}

// Judge runs the program, whose text is told where it says no.
func (p *Program) Judge(ctx context.Context, text string, r *hook.Request) Verdict {
	matched, err := p.Match(ctx, r.Body)
	switch {
	case NotJSON(err) && compression(r) != "":
		return Verdict{Rule: "jq: the body is compressed (" + compression(r) + ")"}
	case NotJSON(err):
		return Verdict{Rule: "jq: " + err.Error()}
	case err != nil:
		return Verdict{Fails: true, Rule: "the jq condition could not be decided: " + err.Error()}
	case !matched:
		return Verdict{Rule: "jq: " + hook.Clip(strings.TrimSpace(text), 200)}
	}
	return Verdict{Matched: true}
}

// magic is how bodies begin that are compressed, whatever their headers say.
var magic = map[string]string{"gzip": "\x1f\x8b", "zstd": "\x28\xb5\x2f\xfd"}

// compression returns how the body of a request is compressed, "" when nothing says so. It is stored as it came.
func compression(r *hook.Request) string {
	for name, begin := range magic {
		if bytes.HasPrefix(r.Body, []byte(begin)) {
			return name
		}
	}
	switch coding := strings.ToLower(strings.TrimSpace(r.Header("Content-Encoding"))); coding {
	case "gzip", "deflate", "br", "zstd", "compress":
		return coding
	}
	return ""
}
