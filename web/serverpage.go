package web

import (
	"net/http"
	"runtime/metrics"

	"github.com/hookkeeper/hookkeeper/templates"
)

// serverPage: GET /settings/server tells an operator how the server is, and which limits were met.
func (s *Server) serverPage(w http.ResponseWriter, r *http.Request) error {
	usage, err := s.Store.Usage(r.Context())
	if err != nil {
		return err
	}
	page := s.page(r, "Server")
	page.Crumbs = []templates.Crumb{{Name: "Settings", Path: "/settings"}, {Name: "Server"}}
	return s.render(w, r, http.StatusOK, templates.Server(page, templates.ServerView{
		Version: s.Version, Started: s.started, Degraded: s.Store.Degraded(), Warning: s.Store.Warning(), Memory: memory(), Sockets: s.sockets.count(),
		Database: usage.Database, WAL: usage.WAL, Unused: usage.Unused, Free: usage.Volume.Free, Volume: usage.Volume.Size,
		Reserve: usage.Volume.Reserve, Requests: usage.Requests, Waiting: usage.Waiting, Refused: s.Tally.Rows(),
	}))
}

// memory returns the bytes that the process has of the system, as Go counts them.
func memory() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() - sample[1].Value.Uint64())
}
