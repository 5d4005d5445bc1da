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

// Match reports whether a request can be delivered and fits, and in words which rule said no.
func (m *Matcher) Match(ctx context.Context, r *hook.Request) (matched bool, rule string) {
	if r.Truncated {
		return false, "the body was over the limit and was not kept"
	}
	if n := NewFacts(r, math.MaxInt).Match(&m.filter); n != hook.Delivered {
		return false, m.filter.Rules()[n]
	}
	if m.program == nil {
		return true, ""
	}
	matched, err := m.program.Match(ctx, r.Body)
	switch {
	case err != nil:
		return false, "jq: " + err.Error()
	case !matched:
		return false, "jq: " + hook.Clip(strings.TrimSpace(m.filter.JQ), 200)
	}
	return true, ""
}
