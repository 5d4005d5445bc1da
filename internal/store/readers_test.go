package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestReadersAllBusy: whoever finds no connection to read with is told so in words; the worker has connections of its own.
func TestReadersAllBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		id := capture(t, s, u.ID, 10)
		release, err := s.HoldReaders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RequestToSend(t.Context(), id); err != nil {
			t.Errorf("the worker: %v", err)
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
