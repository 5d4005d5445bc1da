package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

const (
	replayTick = 100 * time.Millisecond // how often a running replay makes deliveries
	replayStep = 100                    // deliveries that it makes at a time
	replayScan = 500                    // requests that it looks at for them
	replayBody = 16 << 20               // bytes of those
)

// Replays makes the deliveries of replays, a little at a time: never more than hook.MaxReplayAhead wait to be sent, so that
// what is captured meanwhile does not queue behind a million old requests.
type Replays struct {
	store *store.Store
	log   *slog.Logger
	wake  chan struct{}
	paces map[hook.ID]*pace
}

// pace is how fast a replay goes.
type pace struct {
	credit float64 // deliveries that it may make now
	at     time.Time
}

// NewReplays returns a job that does nothing until Run.
func NewReplays(s *store.Store, log *slog.Logger) *Replays {
	return &Replays{store: s, log: log, wake: make(chan struct{}, 1), paces: map[hook.ID]*pace{}}
}

// Notify tells that a replay was started.
func (j *Replays) Notify() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run makes deliveries until ctx ends. What is left goes on with the next start.
func (j *Replays) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-j.wake:
		case <-timer.C:
		}
		pause := lookEvery
		if j.advanceAll(ctx) {
			pause = replayTick
		}
		timer.Reset(pause)
	}
}

// advanceAll advances all that are running, and reports whether there are any.
func (j *Replays) advanceAll(ctx context.Context) bool {
	running, err := j.store.RunningReplays(ctx)
	if err != nil {
		j.log.Warn("reading the replays failed", "error", err)
		return true
	}
	for i := range running {
		err := j.advance(ctx, &running[i])
		if err != nil && !hook.Is(err, hook.Conflict) && !hook.Is(err, hook.Unavailable) && ctx.Err() == nil {
			j.log.Warn("a replay did not go on", "replay", running[i].ID.Text(hook.ReplayPrefix), "error", err)
		}
	}
	if len(running) == 0 {
		clear(j.paces)
	}
	return len(running) > 0
}

// advance makes some deliveries of a replay.
func (j *Replays) advance(ctx context.Context, r *hook.Replay) error {
	sub, err := j.store.Subscription(ctx, hook.System, r.SubscriptionID)
	if hook.Is(err, hook.NotFound) {
		_, err = j.store.CancelReplay(ctx, hook.System, r.ID, "the subscription was deleted")
		return err
	}
	if err != nil {
		return err
	}
	room := min(replayStep, hook.MaxReplayAhead-int(sub.Counts.Unfinished), j.allowed(r))
	if room <= 0 {
		return nil
	}
	match, err := filter.NewMatcher(r.Filter)
	if err != nil {
		_, err = j.store.CancelReplay(ctx, hook.System, r.ID, "its filter cannot be used: "+err.Error())
		return err
	}
	cursor, looked, size, more := r.Cursor, 0, int64(0), false
	var fits []hook.ID
	err = j.store.EachReplayable(ctx, r, replayScan, func(request *hook.Request) bool {
		if len(fits) == room || size > replayBody {
			more = true
			return false
		}
		looked++
		size += int64(len(request.Body))
		cursor = request.ID
		if match.Match(ctx, request).Matched {
			fits = append(fits, request.ID)
		}
		return true
	})
	if err != nil {
		return err
	}
	done := !more && looked < replayScan
	if err := j.store.AdvanceReplay(ctx, r, cursor, fits, done); err != nil {
		return err
	}
	j.paces[r.ID].credit -= float64(len(fits))
	return nil
}

// allowed returns how many deliveries a replay may make by its rate.
func (j *Replays) allowed(r *hook.Replay) int {
	now := time.Now()
	p := j.paces[r.ID]
	if p == nil {
		p = &pace{credit: 1, at: now}
		j.paces[r.ID] = p
	}
	if r.Rate == 0 {
		p.credit = replayStep
	} else {
		p.credit = min(p.credit+r.Rate*now.Sub(p.at).Seconds(), max(1, r.Rate))
	}
	p.at = now
	return int(p.credit)
}
