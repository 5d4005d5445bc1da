package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// statuses is the one table from what went wrong to what HTTP calls it.
var statuses = map[hook.Kind]int{
	hook.Internal:        http.StatusInternalServerError,
	hook.Malformed:       http.StatusBadRequest,
	hook.Invalid:         http.StatusUnprocessableEntity,
	hook.Unauthorized:    http.StatusUnauthorized,
	hook.Forbidden:       http.StatusForbidden,
	hook.NotFound:        http.StatusNotFound,
	hook.Conflict:        http.StatusConflict,
	hook.TooLarge:        http.StatusRequestEntityTooLarge,
	hook.UnsupportedType: http.StatusUnsupportedMediaType,
	hook.Misdirected:     http.StatusMisdirectedRequest,
	hook.RateLimited:     http.StatusTooManyRequests,
	hook.Unavailable:     http.StatusServiceUnavailable,
}

var (
	errNoPage       = hook.Errorf(hook.NotFound, "There is nothing at this address.")
	errMethod       = errors.New("this address does not know the method")
	errPanic        = errors.New("a handler panicked")
	errUnknownHost  = hook.Errorf(hook.Misdirected, "This server does not answer to the host name of the request.")
	errNotLocal     = hook.Errorf(hook.Forbidden, "With HOOKKEEPER_AUTH=none the dashboard answers to this machine only, and not through a proxy.")
	errCrossOrigin  = hook.Errorf(hook.Forbidden, "The request came from another site and was refused.")
	errLogin        = hook.Errorf(hook.Unauthorized, "Log in first.")
	errAdminsOnly   = hook.Errorf(hook.Forbidden, "Only an admin may do this.")
	errWrongToken   = hook.Errorf(hook.Unauthorized, "The request needs a valid API token in its Authorization header.")
	errTokenInQuery = hook.Errorf(hook.Unauthorized, "An API token belongs in the Authorization header, not in the address.")
)

// failure is an error as whoever asked gets to see it.
type failure struct {
	status    int
	detail    string
	fields    []hook.FieldError
	reference string        // to find a fault of ours in the log
	retry     time.Duration // of a refusal for now; 0 when it is for good
}

// explain decides what an error looks like from outside. What is not ours stays inside: the log has it under the
// reference that the answer names.
func (s *Server) explain(r *http.Request, err error) failure {
	if errors.Is(err, errMethod) {
		return failure{status: http.StatusMethodNotAllowed, detail: "This address does not know the method of the request."}
	}
	known, ok := errors.AsType[*hook.Error](err)
	if ok && known.Kind != hook.Internal {
		if known.Kind == hook.Unavailable {
			s.Log.Warn("request refused", "path", r.URL.Path, "error", err)
		}
		return failure{status: statuses[known.Kind], detail: known.Message, fields: known.Fields, retry: retryAfter(known)}
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return failure{status: http.StatusServiceUnavailable, detail: "The client left before the answer was there."}
	}
	reference := rand.Text()[:12]
	s.Log.Error("request failed", "reference", reference, "method", r.Method, "path", r.URL.Path, "error", err)
	return failure{
		status:    http.StatusInternalServerError,
		detail:    "Internal error. The server's log has the cause under " + reference + ".",
		reference: reference,
	}
}

// retryAfter returns when to come back after a refusal for now, 0 for one that is for good.
func retryAfter(err *hook.Error) time.Duration {
	if err.Kind != hook.RateLimited && err.Kind != hook.Unavailable {
		return 0
	}
	if known, ok := errors.AsType[*auth.RetryError](err); ok {
		return known.After
	}
	return 10 * time.Second
}

// fail answers with an error: a page, or problem+json below /api. Who is not logged in is sent to the login.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	api := strings.HasPrefix(r.URL.Path, "/api/")
	if hook.Is(err, hook.Unauthorized) && !api && !wantsSocket(r) {
		s.askLogin(w, r)
		return
	}
	if above := s.pageAbove(r); above != "" && errors.Is(err, errMethod) {
		w.Header().Del("Allow")
		if s.redirect(w, r, above) == nil {
			return
		}
	}
	f := s.explain(r, err)
	s.count(err, f.status)
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	setRetryAfter(w, f.retry)
	switch {
	case api:
		writeProblem(w, f)
	case isHealth(r.URL.Path), s.Site.IsCaptureHost(r):
		http.Error(w, f.detail, f.status)
	default:
		s.failPage(w, r, f)
	}
}

// pageAbove returns the page that an address belongs to which only takes forms, "" when there is none: a form that was refused leaves its
// address in the browser, and who opens it again looks for the page.
func (s *Server) pageAbove(r *http.Request) string {
	above := path.Dir(r.URL.Path)
	if r.Method != http.MethodGet && r.Method != http.MethodHead || above == "/" || strings.HasPrefix(above, "/api") {
		return ""
	}
	if _, found := s.routeOf(withPath(r, above)); !found {
		return ""
	}
	return above
}

// setRetryAfter says when to come back, unless that is never.
func setRetryAfter(w http.ResponseWriter, in time.Duration) {
	if in > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((in+time.Second-1)/time.Second), 10))
	}
}

// refuse returns what a form that was refused is shown again with, so that nothing that was typed is lost: the status, and what is wrong
// with its fields or, without a field, that a limit or something else keeps it from being done now. Any other error is handed back.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) (status int, problems templates.FieldErrors, other error) {
	if problems, other = fieldErrors(err); other == nil {
		return http.StatusUnprocessableEntity, problems, nil
	}
	if !hook.Is(err, hook.Conflict) && !hook.Is(err, hook.RateLimited) && !hook.Is(err, hook.Unavailable) {
		return 0, nil, err
	}
	f := s.explain(r, err)
	s.count(err, f.status)
	setRetryAfter(w, f.retry)
	return f.status, templates.FieldErrors{{Message: f.detail}}, nil
}

// count notes the limit that an error tells of, or else what its status does: a fault of ours, or somebody who tries doors.
func (s *Server) count(err error, status int) {
	s.Tally.Count(cmp.Or(hook.LimitOf(err), refusals[status]))
}

var refusals = map[int]hook.Limit{
	http.StatusUnauthorized: hook.LimitNoLogin, http.StatusForbidden: hook.LimitNotAllowed, http.StatusMisdirectedRequest: hook.LimitUnknownHost,
	http.StatusInternalServerError: hook.LimitFault, http.StatusServiceUnavailable: hook.LimitNotNow,
}

// failPage answers with the page of an error.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, f failure) {
	page := s.page(r, http.StatusText(f.status))
	content := templates.ErrorPage(page, templates.Problem{
		Status: f.status, Title: page.Title, Detail: f.detail, RequestID: f.reference, Retry: f.retry,
	})
	if f.status == http.StatusMisdirectedRequest {
		content = templates.Misdirected(page, r.Host)
	}
	if err := s.render(w, r, f.status, content); err != nil && r.Context().Err() == nil {
		s.Log.Error("error page cannot be made", "error", err)
		http.Error(w, f.detail, f.status)
	}
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail"`
	Errors []problemField `json:"errors"`
}

type problemField struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

func writeProblem(w http.ResponseWriter, f failure) {
	p := problem{Title: http.StatusText(f.status), Status: f.status, Detail: f.detail}
	for _, field := range f.fields {
		p.Errors = append(p.Errors, problemField(field))
	}
	writeJSONAs(w, "application/problem+json", f.status, p)
}

func wantsSocket(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

// askLogin sends the browser to the login, or to the set-up while there is no user, and remembers where it wanted to go.
func (s *Server) askLogin(w http.ResponseWriter, r *http.Request) {
	path := "/login"
	if r.Method == http.MethodGet {
		path += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	claimed, err := s.hasUsers(r.Context())
	if err == nil && !claimed {
		path = "/setup"
	}
	if err == nil {
		err = s.redirect(w, r, path)
	}
	if err != nil {
		s.failPage(w, r, s.explain(r, err))
	}
}
