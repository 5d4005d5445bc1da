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

// TestReplayWaitsForRoom: a replay of a capture URL that holds twice the bytes it may makes nothing, is looked at as seldom as one that
// waits, and goes on when more may be kept.
func TestReplayWaitsForRoom(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := storetest.Open(t, store.Options{Keep: hook.Keep{Bytes: hook.MinKeepBytes}})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	request := storetest.Routed(u.ID, 10)
	if err := s.Capture(request); err != nil {
		t.Fatal(err)
	}
	r := hook.Replay{SubscriptionID: sub.ID}
	if err := s.CreateReplay(ctx, hook.System, &r); err != nil {
		t.Fatal(err)
	}
	resend := hook.Resend{
		RequestID: request.ID, TargetURL: "https://a.example", Edit: &hook.Edit{Method: "POST", Path: "/", Body: make([]byte, hook.MaxEditedBody)},
	}
	for s.Room(ctx, u.ID) == nil {
		if _, err := s.Resend(ctx, hook.System, "", resend); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	j := NewReplays(s, slog.New(slog.NewTextHandler(&log, nil)))
	want := func(about string, queued int64, pause time.Duration) {
		t.Helper()
		got := j.advanceAll(ctx)
		now, err := s.Replay(ctx, hook.System, r.ID)
		if err != nil || got != pause || now.Queued != queued {
			t.Errorf("%s: %d made, looked at again after %v, %v; want %d and %v", about, now.Queued, got, err, queued, pause)
		}
	}
	want("no room", 0, replayWait)
	_, err := s.UpdateCaptureURL(ctx, hook.System, u.ID, func(u *hook.CaptureURL) error {
		u.Keep.Bytes = 10 << 20
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want("room", 1, replayTick)
	if log.Len() > 0 {
		t.Errorf("the log tells %q", log.String())
	}
}
