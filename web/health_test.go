package web

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/store"
)

func TestHealth(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	wantStatus(t, "/healthz", b.get("/healthz"), http.StatusOK)
	wantStatus(t, "/readyz before set-up", b.get("/readyz"), http.StatusOK)
	s.web.Drain()
	wantStatus(t, "/readyz while draining", b.get("/readyz"), http.StatusServiceUnavailable)
	wantStatus(t, "/healthz while draining", b.get("/healthz"), http.StatusOK)
	wantStatus(t, "a capture while draining", b.get("/in/s"), http.StatusOK)

	closed, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "hookkeeper.db")})
	if err == nil {
		err = closed.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s = newSite(t, func(o *Options) { o.Store = closed })
	wantStatus(t, "/healthz without a database", s.browser().get("/healthz"), http.StatusOK)
	a := s.browser().get("/readyz")
	wantStatus(t, "/readyz without a database", a, http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("/readyz without a database: %v", a.header)
	}
}

func TestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c canary
		commits, failure := 0, errors.New("disk full")
		check := func(result error) error {
			return c.check(t.Context(), func(context.Context) error { commits++; return result })
		}
		for range 3 {
			if err := check(failure); !errors.Is(err, failure) {
				t.Errorf("a failure: %v", err)
			}
		}
		for range 3 {
			if err := check(nil); err != nil {
				t.Error(err)
			}
		}
		if commits != 4 {
			t.Errorf("%d commits for three failures and three successes", commits)
		}
		<-time.After(canaryEvery)
		if err := check(failure); !errors.Is(err, failure) {
			t.Errorf("later: %v", err)
		}
	})
}
