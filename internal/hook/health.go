package hook

import (
	"slices"
	"strconv"
	"time"
)

// When a target counts as down, and what happens then.
const (
	DownFailures   = 10               // failed attempts in a row,
	DownDeliveries = 3                // of at least so many deliveries,
	DownFor        = 60 * time.Second // over at least this time
	FirstProbe     = 30 * time.Second
	LastProbe      = 10 * time.Minute
	DeadAfter      = 5 * 24 * time.Hour // of failing attempts: the subscription is disabled
)

// Health is what is known of a subscription's target. The zero Health is that of a target nobody has tried.
type Health struct {
	Failures     int           `json:"failures"`       // failed attempts since the last success
	Failed       []ID          `json:"failed"`         // the deliveries of those, up to DownDeliveries
	FailingSince time.Time     `json:"failing_since"`  // the first of them; time on hold does not count, see Resumed
	DownSince    time.Time     `json:"down_since"`     // zero = not down
	ProbeAt      time.Time     `json:"probe_at"`       // when the next probe is due, while down
	ProbeWait    time.Duration `json:"probe_wait"`     // the pause behind that probe
	QuietUntil   time.Time     `json:"quiet_until"`    // the target asked for a pause (Retry-After)
	LastOK       time.Time     `json:"last_ok"`        // zero = never
	LastOutcome  string        `json:"last_outcome"`   // of the newest failed attempt, in words
	LastFailedAt time.Time     `json:"last_failed_at"` // zero = never
}

// Down reports whether deliveries are held and the target is probed.
func (h *Health) Down() bool { return !h.DownSince.IsZero() }

// QuietWhy says in words that nothing is sent because the target asked for a pause, "" when it did not.
func (h *Health) QuietWhy(now time.Time) string {
	if !h.QuietUntil.After(now) {
		return ""
	}
	return "the target asked for a pause until " + h.QuietUntil.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Failing reports whether the target has not taken what was sent last.
func (h *Health) Failing() bool { return h.Failures > 0 }

// Succeeded notes an attempt that the target took, and reports whether it had been down.
func (h *Health) Succeeded(now time.Time) (recovered bool) {
	recovered = h.Down()
	*h = Health{LastOK: now, LastFailedAt: h.LastFailedAt, LastOutcome: h.LastOutcome}
	return recovered
}

// Change is what an attempt made of a subscription.
type Change int

// The changes.
const (
	NoChange Change = iota
	WentDown
	Recovered
	Died // failing for DeadAfter: to be disabled
	Disabled
)

// FailedAttempt notes an attempt that the target did not take. Only probes put off the next probe: what was under way when
// the target went down says nothing new.
func (h *Health) FailedAttempt(delivery ID, outcome string, now time.Time, probe bool) Change {
	if h.FailingSince.IsZero() {
		h.FailingSince = now
	}
	h.Failures++
	h.LastOutcome, h.LastFailedAt = outcome, now
	if len(h.Failed) < DownDeliveries && !slices.Contains(h.Failed, delivery) {
		h.Failed = append(slices.Clone(h.Failed), delivery)
	}
	switch failing := now.Sub(h.FailingSince); {
	case failing >= DeadAfter:
		return Died
	case h.Down() && probe:
		h.ProbeWait = min(max(2*h.ProbeWait, FirstProbe), LastProbe)
		h.ProbeAt = now.Add(h.ProbeWait)
	case !h.Down() && h.Failures >= DownFailures && len(h.Failed) >= DownDeliveries && failing >= DownFor:
		h.DownSince, h.ProbeWait, h.ProbeAt = now, FirstProbe, now.Add(FirstProbe)
		return WentDown
	}
	return NoChange
}

// Resumed takes the time since held out of the time that the target has been failing.
func (h *Health) Resumed(held, now time.Time) {
	if h.FailingSince.IsZero() || held.IsZero() || !now.After(held) {
		return
	}
	from := held
	if h.FailingSince.After(from) {
		from = h.FailingSince
	}
	h.FailingSince = h.FailingSince.Add(now.Sub(from))
}

// DeliveryCounts counts the deliveries of a subscription.
type DeliveryCounts struct {
	Unfinished int64
	Succeeded  int64
	Failed     int64
	Cancelled  int64
	Skipped    int64 // by jq; what a condition refused makes no delivery
	Attempts   int64
}

// Minute counts the attempts of one minute.
type Minute struct{ OK, Failed int64 }

// SubscriptionStatus is a subscription with what is known of it.
type SubscriptionStatus struct {
	Subscription
	Health Health
	Counts DeliveryCounts
	Hour   [60]Minute // the last hour, the current minute last

	Discarded ID // unfinished deliveries up to this one are cancelled
}

// InTrouble reports whether somebody should look: the subscription is disabled, or its target does not take what is sent. One
// that people paused is not sent anything, and they know.
func (s *SubscriptionStatus) InTrouble() bool {
	return s.Hold.Disabled || !s.Hold.Paused && s.Health.Failing()
}

// HeldWhy says in words why unfinished deliveries are not sent, "" when nothing holds them.
func (s *SubscriptionStatus) HeldWhy() string {
	switch {
	case s.Hold.Disabled && s.Hold.DisabledReason != "":
		return "disabled: " + s.Hold.DisabledReason
	case s.Hold.Disabled:
		return "disabled"
	case s.Hold.Paused && s.Hold.PausedBy != "":
		return "paused by " + s.Hold.PausedBy
	case s.Hold.Paused:
		return "paused"
	case s.Health.Down():
		return "target down since " + s.Health.DownSince.UTC().Format("2006-01-02 15:04 UTC") + ", probed " + every(s.Health.ProbeWait)
	}
	return ""
}

// every says how often something happens: "every minute", "every 90 seconds".
func every(pause time.Duration) string {
	unit, name := time.Second, "second"
	switch {
	case pause%time.Hour == 0:
		unit, name = time.Hour, "hour"
	case pause%time.Minute == 0:
		unit, name = time.Minute, "minute"
	}
	if n := pause / unit; n != 1 {
		return "every " + strconv.FormatInt(int64(n), 10) + " " + name + "s"
	}
	return "every " + name
}

// SendsAnyway reports whether a delivery is sent although the target is down: one that somebody asked for is tried once, at
// once. What people paused or disabled waits.
func (s *SubscriptionStatus) SendsAnyway(d *Delivery) bool {
	return !s.Hold.Disabled && !s.Hold.Paused && d.Trigger == TriggerManual && d.ReplayID == 0 && d.AttemptCount == 0
}
