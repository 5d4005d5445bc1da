package filter

import (
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
	return m.program.Judge(ctx, m.filter.JQ, r.Body)
}

// Judge runs the program, whose text is told where it says no.
func (p *Program) Judge(ctx context.Context, text string, body []byte) Verdict {
	matched, err := p.Match(ctx, body)
	switch {
	case NotJSON(err):
		return Verdict{Rule: "jq: " + err.Error()}
	case err != nil:
		return Verdict{Fails: true, Rule: "the jq condition could not be decided: " + err.Error()}
	case !matched:
		return Verdict{Rule: "jq: " + hook.Clip(strings.TrimSpace(text), 200)}
	}
	return Verdict{Matched: true}
}
