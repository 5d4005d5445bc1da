package delivery

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestReplaysThatCannotGetOn are not looked at ten times a second, nor told of when what they belong to is deleted.
func TestReplaysThatCannotGetOn(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	full, slow := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	request := storetest.Routed(u.ID, 10)
	if err := s.Capture(request); err != nil {
		t.Fatal(err)
	}
	enough := make([]hook.Resend, hook.MaxReplayAhead)
	for i := range enough {
		enough[i] = hook.Resend{RequestID: request.ID, SubscriptionID: full.ID}
	}
	if _, err := s.Resend(t.Context(), hook.System, "ann@example.com", enough...); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	j := NewReplays(s, slog.New(slog.NewTextHandler(&log, nil)))
	begin := func(r hook.Replay) {
		t.Helper()
		if err := s.CreateReplay(t.Context(), hook.System, &r); err != nil {
			t.Fatal(err)
		}
	}
	want := func(about string, least, most time.Duration) {
		t.Helper()
		if pause := j.advanceAll(t.Context()); pause < least || pause > most {
			t.Errorf("%s: looked at again after %v, want %v to %v", about, pause, least, most)
		}
	}
	want("none", lookEvery, lookEvery)
	begin(hook.Replay{SubscriptionID: full.ID})
	want("its subscription has enough", replayWait, replayWait)
	for range replayScan {
		if err := s.Capture(storetest.Routed(u.ID, 10)); err != nil {
			t.Fatal(err)
		}
	}
	begin(hook.Replay{SubscriptionID: slow.ID, Rate: 2})
	want("one gets on", replayTick, replayTick)
	want("its rate lets it wait", replayTick+1, 500*time.Millisecond)
	if err := s.DeleteCaptureURL(t.Context(), hook.System, u.ID, true); err != nil {
		t.Fatal(err)
	}
	want("the capture URL is deleted", replayWait, replayWait)
	if log.Len() > 0 {
		t.Errorf("the log tells %q", log.String())
	}
}
