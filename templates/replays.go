package templates

import (
	"strconv"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

// ReplayForm is what was typed to start a replay, and the number of requests that it would send.
type ReplayForm struct {
	Filter       SubscriptionForm // of which Any, Conditions, JQ and Errors are used
	Since, Until string
	Rate         string
	Count        *int64 // nil = not counted yet
	LeftOut      int64  // requests that would be sent as well, had their bodies been kept
}

// leftOut says what a replay leaves out.
func (f ReplayForm) leftOut() string {
	if f.LeftOut == 1 {
		return "1 is left out: it was noted without its body."
	}
	return view.Count(f.LeftOut) + " are left out: they were noted without their bodies."
}

// replayOutcome says where a replay stands.
func replayOutcome(r *hook.Replay) string {
	open := r.Queued - r.Done - r.Failed
	switch {
	case r.State == hook.ReplayCancelled:
		return r.Reason
	case r.State == hook.ReplayRunning:
		return "running"
	case open > 0:
		return "all are queued, " + view.Count(open) + " not sent yet"
	}
	return "done"
}

func replayStateClass(r *hook.Replay) string {
	switch {
	case r.State == hook.ReplayRunning:
		return "accent"
	case r.State == hook.ReplayCancelled:
		return ""
	case r.Failed > 0:
		return "warn"
	}
	return "good"
}

// replayWhat says which requests a replay sends.
func replayWhat(r *hook.Replay) string {
	const form = "2006-01-02 15:04:05 UTC"
	var parts []string
	if !r.Since.IsZero() {
		parts = append(parts, "since "+r.Since.UTC().Format(form))
	}
	if !r.Until.IsZero() {
		parts = append(parts, "until "+r.Until.UTC().Format(form))
	}
	if rules := r.Filter.Words(); len(rules) > 0 {
		parts = append(parts, strings.Join(rules, " and "))
	}
	if len(parts) == 0 {
		return "all stored requests"
	}
	return strings.Join(parts, ", ")
}

func replayRate(r *hook.Replay) string {
	if r.Rate == 0 {
		return "as fast as the target takes them"
	}
	return "at most " + strconv.FormatFloat(r.Rate, 'f', -1, 64) + " a second"
}
