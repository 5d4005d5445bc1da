package store_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestReadersAllBusy: whoever finds no connection to read with is told so in words; the worker has connections of its own.
func TestReadersAllBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		sub := storetest.Subscription(t, s, u.ID)
		id, gone := route(t, s, u.ID, sub.ID), route(t, s, u.ID, sub.ID)
		must(t, errOf(s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: id, TargetURL: "https://a.example", Edit: &hook.Edit{Method: "PUT"}})))
		claimed, edited := claim(t, s, sub.ID)[0], claim(t, s, -u.ID)[0]
		must(t, s.DeleteRequest(t.Context(), hook.System, gone, true)) // so that Begin looks
		release, err := s.HoldReaders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"the queues":     errOf(s.Queues(t.Context())),
			"what is due":    errOf(s.Due(t.Context(), store.Queue{ID: sub.ID, Now: time.Now(), Limit: 10})),
			"a claim":        errOf(s.Begin(t.Context(), &claimed)),
			"a request":      errOf(s.RequestToSend(t.Context(), id)),
			"an edited copy": errOf(s.EditToSend(t.Context(), edited.ID)),
		} {
			if err != nil {
				t.Errorf("the worker reads %s: %v", what, err)
			}
		}
		if _, err := s.User(t.Context(), 1); !hook.Is(err, hook.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a page: %v", err)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
		must(t, errOf(s.User(t.Context(), 1)))
	})
}

// TestUpkeepThatCannotReadSaysSo: where reading takes too long each time, the log tells what is not done, and does not fill up.
func TestUpkeepThatCannotReadSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		var log sharedText
		s := storetest.Open(t, store.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		release, err := s.HoldReaders(t.Context())
		must(t, err)
		inBackground(t, s)
		for _, want := range []int{1, 2} {
			time.Sleep(58 * time.Second)
			synctest.Wait()
			wantEqual(t, "told", strings.Count(log.String(), "cancelling deliveries failed"), want)
		}
		must(t, release())
	})
}
