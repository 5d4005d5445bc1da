package web

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	canaryEvery   = 5 * time.Second
	canaryTimeout = 5 * time.Second
)

// canary remembers for a while that the store could commit: anybody may ask whether we are ready, and finding out is a
// flush of the disk.
type canary struct {
	mu   sync.Mutex
	seen time.Time
}

// check returns nil when commit worked a short while ago or does now. A failure is not remembered.
func (c *canary) check(ctx context.Context, commit func(context.Context) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.seen) < canaryEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, canaryTimeout)
	defer cancel()
	if err := commit(ctx); err != nil {
		return err
	}
	c.seen = time.Now()
	return nil
}

// healthz: GET /healthz says that the process answers. It asks nobody else, the database least of all: a slow disk is
// no reason to be restarted.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, "ok\n")
}

// readyz: GET /readyz says whether requests should be sent here: the store can commit, and the server is not about to
// stop.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return hook.Errorf(hook.Unavailable, "The server is about to stop.")
	}
	if message := s.Store.Degraded(); message != "" {
		return hook.Errorf(hook.Unavailable, "%s", message)
	}
	if err := s.canary.check(r.Context(), s.Store.Ready); err != nil {
		return err
	}
	return writeText(w, "ready\n")
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // the reader has left: nobody to tell
	return nil
}
