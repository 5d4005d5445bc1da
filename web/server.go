package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/tally"
	"github.com/hookkeeper/hookkeeper/static"
	"github.com/hookkeeper/hookkeeper/templates"
)

// Options is what a Server is made of.
type Options struct {
	Store   *store.Store
	Hub     *live.Hub
	Capture http.Handler // answers /in/…; gets requests whose RequestURI starts with /in/
	Site    netid.Site
	Hasher  *auth.Hasher
	Limiter *auth.Limiter
	Setup   Setup

	// LocalUser is set with HOOKKEEPER_AUTH=none: everybody is this user, nobody logs in. AuthNoneAnywhere lets other
	// machines and proxies in, too.
	LocalUser        *hook.User
	AuthNoneAnywhere bool

	// CheckTarget returns why a target URL may not be reached, as far as that can be told without a lookup; nil when it may.
	CheckTarget func(target string) error
	// Try sends a request to the target of a subscription, which need not be stored, as a delivery would be, and returns what
	// came of it. Nothing is stored.
	Try func(context.Context, hook.Subscription, *hook.Request) hook.Attempt

	Keep              hook.Keep     // what a capture URL keeps when it does not say
	SessionMax        time.Duration // the longest life of a session
	MaxSockets        int           // live views; hook.MaxSockets when it is 0
	MaxSocketsPerAddr int           // not applied to loopback and trusted proxies
	Version           string
	Tally             *tally.Tally // counts what is refused; may be nil
	Log               *slog.Logger
}

// Setup is the one-time link with which the first user is made.
type Setup struct {
	Hash    [32]byte  // of the link's token, see auth.NewSecret; zero when there is no link
	Expires time.Time // from then on the link is refused
	Done    func()    // called once, after the first user was made; may be nil
}

// Server is the dashboard and its API over HTTP; it also hands /in/… to the capture handler. It is safe for concurrent
// use.
type Server struct {
	Options
	routes    []route
	mux       *http.ServeMux
	sessions  sessions
	sockets   *sockets
	flashes   flashes // sentences
	secrets   flashes // secrets that are shown once
	tries     tries
	reading   *reading
	reference templates.APIReference // of the API, for its page

	canary   canary
	claimed  atomic.Bool // there is a user: set-up is over
	draining atomic.Bool
	started  time.Time
}

// New returns a server, or an error when a part is missing.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.Hub == nil || o.Capture == nil || o.Hasher == nil || o.Limiter == nil || o.Log == nil {
		return nil, errors.New("web.New: a part of Options is missing")
	}
	s := &Server{
		Options:  o,
		sessions: newSessions(o.Store, o.SessionMax),
		sockets:  newSockets(cmp.Or(o.MaxSockets, hook.MaxSockets), o.MaxSocketsPerAddr),
		reading:  newReading(),
		started:  time.Now(),
	}
	s.routes = s.routeList()
	s.mux = http.NewServeMux()
	for _, rt := range s.routes {
		s.mux.Handle(rt.pattern, s.wrap(rt))
	}
	var err error
	s.reference, err = newAPIReference(s.routes)
	return s, err
}

// Drain makes /readyz fail, so that a load balancer sends no more requests here. Everything else goes on.
func (s *Server) Drain() { s.draining.Store(true) }

// render answers with a page. The page is made whole before anything is sent, so that a mistake in it becomes an error
// page instead of half a page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var page bytes.Buffer
	if err := c.Render(templates.WithRoom(r.Context()), &page); err != nil {
		return err
	}
	if err := s.sessions.save(w, r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(inPace(w)) // the reader has left: nobody to tell
	return nil
}

// redirect sends the browser to a path of the dashboard with GET, as the answer to a form.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, path string) error {
	if err := s.sessions.save(w, r); err != nil {
		return err
	}
	w.Header().Set("Location", s.Site.BasePath()+path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// staticFile: GET /static/…
func (s *Server) staticFile(w http.ResponseWriter, r *http.Request) error {
	static.Handler().ServeHTTP(w, r)
	return nil
}
