package delivery

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestSlowReplaysGetOn: a filter that takes as long as it may for each request lets its replay get on all the same, request by request;
// the replays of its owner take turns; and those of another owner do not wait for all of them.
func TestSlowReplaysGetOn(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Options{})
	capture := func(u hook.ID, n int) {
		for range n {
			r := storetest.Routed(u, 1)
			r.Body = []byte("1") // which jq can read
			if err := s.Capture(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin := func(u hook.CaptureURL, f hook.Filter) hook.ID {
		r := hook.Replay{SubscriptionID: storetest.Subscription(t, s, u.ID).ID, Filter: f}
		if err := s.CreateReplay(t.Context(), hook.System, &r); err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	replay := func(id hook.ID) hook.Replay {
		r, err := s.Replay(t.Context(), hook.System, id)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	slow, quick := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	const many = 40 // longer than one read may take
	capture(slow.ID, many)
	capture(quick.ID, 4*replayStep)
	var theirs []hook.ID
	for range 3 {
		theirs = append(theirs, begin(slow, hook.Filter{JQ: strings.Repeat("(true,true)|", 100) + "empty"}))
	}
	other := begin(quick, hook.Filter{})
	moved := func() (n int) {
		for _, id := range theirs {
			if r := replay(id); r.Cursor == r.UpTo {
				t.Errorf("a step looked at all of %d slow requests", many)
			} else if r.Cursor > 0 {
				n++
			}
		}
		return n
	}
	before := int64(0)
	j := NewReplays(s, slog.New(slog.DiscardHandler))
	for look := 1; look <= len(theirs); look++ {
		if pause := j.advanceAll(t.Context()); pause > replayTick {
			t.Errorf("looked at again after %v", pause)
		}
		if n := moved(); n != look {
			t.Errorf("%d slow ones have got on after %d looks", n, look)
		}
		made := replay(other).Queued
		if made <= before {
			t.Errorf("the quick one has made %d deliveries after %d looks, %d before", made, look, before)
		}
		before = made
	}
}
