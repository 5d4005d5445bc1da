package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

const (
	replayTick = 100 * time.Millisecond // how often a replay that gets on makes deliveries
	replayWait = time.Second            // how often one is looked at that cannot: its subscription has enough to send
	replayStep = 100                    // deliveries that it makes at a time
	replayScan = 500                    // requests that it looks at for them
	replayBody = 16 << 20               // bytes of those
	replayTime = 200 * time.Millisecond // for which it looks at them, and all replays of an owner are advanced, before it is another's turn
)

// Replays makes the deliveries of replays, a little at a time: never more than hook.MaxReplayAhead wait to be sent, so that
// what is captured meanwhile does not queue behind a million old requests.
type Replays struct {
	store *store.Store
	log   *slog.Logger
	wake  chan struct{}
	paces map[hook.ID]*pace
	last  map[hook.ID]hook.ID // by owner, the replay that was looked at last

	warned time.Time // of reads that take too long
}

// pace is how fast a replay goes.
type pace struct {
	credit float64 // deliveries that it may make now
	at     time.Time
}

// NewReplays returns a job that does nothing until Run.
func NewReplays(s *store.Store, log *slog.Logger) *Replays {
	return &Replays{store: s, log: log, wake: make(chan struct{}, 1), paces: map[hook.ID]*pace{}, last: map[hook.ID]hook.ID{}}
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
		timer.Reset(j.advanceAll(ctx))
	}
}

// advanceAll advances all that are running, each owner's for a while, and returns when to look at them again: the many that wait cost
// as little as they get on.
func (j *Replays) advanceAll(ctx context.Context) (pause time.Duration) {
	running, err := j.store.RunningReplays(ctx)
	if err != nil {
		j.log.Warn("reading the replays failed", "error", err)
		return replayWait
	}
	pause = lookEvery
	for owner, theirs := range j.byOwner(ctx, running) {
		pause = min(pause, j.advanceSome(ctx, owner, theirs))
	}
	if len(running) == 0 {
		clear(j.paces)
		clear(j.last)
	}
	return pause
}

// byOwner sorts replays by whose they are, each in the order it has; 0 has those whose capture URL is deleted.
func (j *Replays) byOwner(ctx context.Context, running []hook.Replay) map[hook.ID][]*hook.Replay {
	owners := map[hook.ID][]*hook.Replay{}
	for i := range running {
		var owner hook.ID
		if u, err := j.store.CaptureURL(ctx, hook.System, running[i].CaptureURLID); err == nil {
			owner = u.OwnerID
		}
		owners[owner] = append(owners[owner], &running[i])
	}
	return owners
}

// advanceSome advances replays of one owner, in turn from look to look, as far as there is time for: a filter may take a while for
// each request, and others wait meanwhile.
func (j *Replays) advanceSome(ctx context.Context, owner hook.ID, theirs []*hook.Replay) (pause time.Duration) {
	pause = lookEvery
	first := max(0, slices.IndexFunc(theirs, func(r *hook.Replay) bool { return r.ID > j.last[owner] }))
	until := time.Now().Add(replayTime)
	for i := range theirs {
		if i > 0 && !time.Now().Before(until) {
			return replayTick
		}
		r := theirs[(first+i)%len(theirs)]
		j.last[owner] = r.ID
		next, err := j.advance(ctx, r)
		if err != nil {
			next = replayWait
			j.warn(ctx, r.ID, err)
		}
		pause = min(pause, next)
	}
	return pause
}

// warn says why a replay did not go on. What was cancelled, deleted or advanced by another process meanwhile is seen with the next
// look, and that nothing can be written has been said. Reads that take too long have been told nobody, and do so for many at a time.
func (j *Replays) warn(ctx context.Context, replay hook.ID, err error) {
	late := errors.Is(err, context.DeadlineExceeded)
	switch {
	case ctx.Err() != nil || hook.Is(err, hook.Conflict) || hook.Is(err, hook.NotFound):
		return
	case hook.Is(err, hook.Unavailable) && !late, late && time.Since(j.warned) < lookEvery:
		return
	case late:
		j.warned = time.Now()
	}
	j.log.Warn("a replay did not go on", "replay", replay.Text(hook.ReplayPrefix), "error", err)
}

// advance makes some deliveries of a replay, and returns when to look at it again.
func (j *Replays) advance(ctx context.Context, r *hook.Replay) (next time.Duration, err error) {
	sub, err := j.store.Subscription(ctx, hook.System, r.SubscriptionID)
	if hook.Is(err, hook.NotFound) {
		_, err = j.store.CancelReplay(ctx, hook.System, r.ID, "the subscription was deleted")
		return replayTick, err
	}
	if err != nil {
		return 0, err
	}
	ahead := hook.MaxReplayAhead - int(sub.Counts.Unfinished)
	if ahead <= 0 {
		return replayWait, nil
	}
	allowed, next := j.allowed(r)
	if allowed == 0 {
		return next, nil
	}
	if err := j.store.Room(ctx, r.CaptureURLID); err != nil { // before the requests are read, each second
		return 0, err
	}
	room := min(replayStep, ahead, allowed)
	match, err := filter.NewMatcher(r.Filter)
	if err != nil {
		_, err = j.store.CancelReplay(ctx, hook.System, r.ID, "its filter cannot be used: "+err.Error())
		return replayTick, err
	}
	cursor, fits, done, err := j.look(ctx, r, match, room)
	if err != nil {
		return 0, err
	}
	if err := j.store.AdvanceReplay(ctx, r, cursor, fits, done); err != nil {
		return 0, err
	}
	j.paces[r.ID].credit -= float64(len(fits))
	return replayTick, nil
}

// look finds the next requests of a replay that fit, room of them at most, and returns up to which it has looked and whether that is
// all. It ends in time, whatever the filter costs: a read that took too long would come to nothing, each time again. What is damaged gets
// its delivery, which fails and says so: nobody knows whether it would have fitted.
func (j *Replays) look(ctx context.Context, r *hook.Replay, match *filter.Matcher, room int) (cursor hook.ID, fits []hook.ID, done bool, err error) {
	until, size := time.Now().Add(replayTime), 0
	cursor, done, err = j.store.EachReplayable(ctx, r, replayScan, func(request *hook.Request, damaged bool) bool {
		size += len(request.Body)
		if damaged && !request.Truncated || !damaged && match.Match(ctx, request).Matched {
			fits = append(fits, request.ID)
		}
		return len(fits) < room && size <= replayBody && time.Now().Before(until)
	})
	return cursor, fits, done, err
}

// allowed returns how many deliveries a replay may make by its rate; when that is none, next is when it may make one.
func (j *Replays) allowed(r *hook.Replay) (n int, next time.Duration) {
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
	if p.credit < 1 {
		next = max(replayTick, time.Duration((1-p.credit)/r.Rate*float64(time.Second)))
	}
	return int(p.credit), next
}
