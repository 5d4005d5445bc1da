package web

import (
	"io"
	"net/http"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// healthz says that the process answers. It asks nobody else, the database least of all: a slow disk is no reason to be
// restarted.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, "ok\n")
}

// readyz says whether requests should be sent here: the store can commit, and the server is not about to stop.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return hook.Errorf(hook.Unavailable, "The server is about to stop.")
	}
	if err := s.Store.Ready(r.Context()); err != nil {
		return err
	}
	return writeText(w, "ready\n")
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // the reader has left: nobody to tell
	return nil
}
