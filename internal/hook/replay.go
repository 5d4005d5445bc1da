package hook

import "time"

// ReplayState is where a replay stands.
type ReplayState int

// The states.
const (
	ReplayRunning ReplayState = iota
	ReplayDone
	ReplayCancelled
)

var replayStateNames = [...]string{"running", "done", "cancelled"}

// String returns the word for the state.
func (s ReplayState) String() string { return replayStateNames[s] }

// Replay sends the requests of a capture URL that fit a filter to a subscription once more, oldest first, as a job that
// survives a restart.
type Replay struct {
	ID             ID
	CaptureURLID   ID
	SubscriptionID ID
	State          ReplayState
	Since          time.Time // only requests that arrived at or after it; zero = from the oldest
	Until          time.Time // only requests that arrived before it; zero = to the newest when the replay was started
	Filter         Filter
	Rate           float64 // deliveries made a second at most; 0 = no limit
	Count          int64   // requests that fitted when it was started
	Queued         int64   // deliveries made so far
	Done           int64   // of those, succeeded
	Failed         int64   // of those, failed, cancelled or skipped
	UpTo           ID      // the newest request that belongs to it
	Cursor         ID      // requests up to this one have been looked at
	By             string  // e-mail address of who started it
	Reason         string  // why it ended before all were made, in words
	CreatedAt      time.Time
	FinishedAt     time.Time // when all deliveries were made, or it was cancelled; zero = running
}

// Validate returns an Invalid error that names every mistake.
func (r *Replay) Validate() error {
	var v invalid
	if !r.Until.IsZero() && !r.Until.After(r.Since) {
		v.add("until", "must be after since")
	}
	if r.Rate != 0 && (r.Rate < MinRate || r.Rate > MaxRate) {
		v.add("rate_per_second", "must be between %g and %d", MinRate, MaxRate)
	}
	return v.err()
}
