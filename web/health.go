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
// flush of the disk. However many ask, there is one commit at a time, and a disk that hangs keeps nobody waiting for long.
type canary struct {
	mu      sync.Mutex
	seen    time.Time
	running chan struct{} // closed when the commit that is under way has ended; nil when there is none
	err     error         // of the last commit
}

// check returns nil when commit worked a short while ago or does now. A failure is not remembered.
func (c *canary) check(ctx context.Context, commit func(context.Context) error) error {
	c.mu.Lock()
	if time.Since(c.seen) < canaryEvery {
		c.mu.Unlock()
		return nil
	}
	if c.running == nil {
		c.running = make(chan struct{})
		go c.try(context.WithoutCancel(ctx), commit, c.running)
	}
	done := c.running
	c.mu.Unlock()
	patience := time.NewTimer(canaryTimeout)
	defer patience.Stop()
	select {
	case <-done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.err
	case <-patience.C:
		return hook.Errorf(hook.Unavailable, "The database does not answer.")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *canary) try(ctx context.Context, commit func(context.Context) error, done chan struct{}) {
	err := commit(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err, c.running = err, nil; err == nil {
		c.seen = time.Now()
	}
	close(done)
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
