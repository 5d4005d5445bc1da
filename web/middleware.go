package web

import (
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/static"
)

// exchangeTimeout bounds reading a request of the dashboard or the API and making its answer, which is then written inPace. It
// leaves room for a test request whose answer is delayed by hook.MaxResponseDelay. Captures and sockets have limits of their own.
const exchangeTimeout = time.Minute

// serveSite serves what is not a capture. The order matters: headers that every answer carries, then whom we answer to
// and from where, and only then what is asked.
func (s *Server) serveSite(w http.ResponseWriter, r *http.Request, target string) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(exchangeTimeout)) // not supported by a recorder, which waits for nobody
	_ = conn.SetWriteDeadline(time.Now().Add(exchangeTimeout))

	rawPath, _, _ := strings.Cut(target, "?")
	r = withNonce(withPath(r, rawPath))
	s.setSecurityHeaders(w, r)
	rt, err := s.match(w, r)
	if err == nil && rt.access == anyHost {
		s.mux.ServeHTTP(w, r)
		return
	}
	for _, check := range []func(*http.Request) error{s.checkHost, s.checkPeer, s.checkOrigin} {
		if refused := check(r); refused != nil {
			s.fail(w, r, refused)
			return
		}
	}
	if err != nil {
		s.fail(w, s.recognize(r), err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// recognize gives the page of an address that is nobody's the menu of whoever is logged in. That needs no answer when it fails.
func (s *Server) recognize(r *http.Request) *http.Request {
	if known, err := s.identify(r); err == nil {
		return known
	}
	return r
}

// withPath returns the request with the path as the dashboard knows it: raw, and without the base path.
func withPath(r *http.Request, rawPath string) *http.Request {
	r2 := *r
	u := *r.URL
	u.Path, u.RawPath = rawPath, ""
	r2.URL = &u
	return &r2
}

// match finds the route of a request. A capture host has none but the health checks.
func (s *Server) match(w http.ResponseWriter, r *http.Request) (route, error) {
	switch {
	case !cleanPath(r.URL.Path),
		r.URL.Path+"/" == static.Prefix, // ServeMux would add the slash by a redirect
		s.Site.IsCaptureHost(r) && !isHealth(r.URL.Path):
		return route{}, errNoPage
	}
	if rt, found := s.routeOf(r); found {
		return rt, nil
	}
	if allowed := s.allowedMethods(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return route{}, errMethod
	}
	return route{}, errNoPage
}

func isHealth(path string) bool { return path == "/healthz" || path == "/readyz" }

func (s *Server) routeOf(r *http.Request) (route, bool) {
	_, pattern := s.mux.Handler(r)
	for _, rt := range s.routes {
		if rt.pattern == pattern {
			return rt, true
		}
	}
	return route{}, false
}

// allowedMethods returns the methods that the path of r has a route for.
func (s *Server) allowedMethods(r *http.Request) (allowed []string) {
	for _, method := range []string{"DELETE", "GET", "HEAD", "PATCH", "POST"} {
		r2 := *r
		r2.Method = method
		if _, found := s.routeOf(&r2); found {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// checkHost refuses host names that are not ours: a rebound DNS name, a proxy that forgot to pass the name on.
func (s *Server) checkHost(r *http.Request) error {
	if s.Site.Known(r) || s.Site.IsCaptureHost(r) {
		return nil
	}
	return errUnknownHost
}

// checkPeer keeps HOOKKEEPER_AUTH=none on this machine. A forwarding header betrays a proxy or a tunnel that would let
// strangers in by a loopback connection.
func (s *Server) checkPeer(r *http.Request) error {
	if s.LocalUser == nil || s.AuthNoneAnywhere || netid.Local(r) {
		return nil
	}
	return errNotLocal
}

// crossOrigin knows by Sec-Fetch-Site and Origin whether another site sent a request.
var crossOrigin http.CrossOriginProtection

// checkOrigin refuses changes that another site asks a browser for. CrossOriginProtection compares the host of an Origin
// with the Host header only; the site knows the scheme as well, and a port that a proxy did not pass on.
func (s *Server) checkOrigin(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	same := s.Site.SameOrigin(r)
	if r.Header.Values("Origin") != nil && !same {
		return errCrossOrigin
	}
	if crossOrigin.Check(r) != nil && (r.Header.Get("Sec-Fetch-Site") != "" || !same) {
		return errCrossOrigin
	}
	return nil
}

// setSecurityHeaders sets what every answer but those of capture URLs carries.
//
// The Referrer-Policy is same-origin and not no-referrer, which would make browsers send "Origin: null" with our own
// forms (Fetch standard, "append a request Origin header"); on plain HTTP, where there is no Sec-Fetch-Site either,
// no form could then be told from one of another site.
func (s *Server) setSecurityHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.contentPolicy(r))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
	if s.Site.Scheme(r) == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// contentPolicy names the directory of our own scripts and styles, never 'self': an answer of a capture URL on the same
// host would be "self" as well. A host that is not ours gets no sources, its name may not even belong into a policy.
func (s *Server) contentPolicy(r *http.Request) string {
	code, fonts, socket := "'none'", "'none'", ""
	if nonce := templ.GetNonce(r.Context()); nonce != "" {
		code = "'nonce-" + nonce + "'"
	} else if s.Site.Known(r) {
		origin := s.Site.Origin(r)
		code = origin + s.Site.BasePath() + static.Prefix
		fonts = code
		socket = " ws" + strings.TrimPrefix(origin, "http") // for browsers whose 'self' does not cover ws: and wss:
	}
	return "default-src 'none'; script-src " + code + "; style-src " + code + "; img-src 'self' data:; " +
		"connect-src 'self'" + socket + "; font-src " + fonts + "; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; trusted-types hookkeeper"
}

// withNonce gives a nonce to pages of an IPv6 address: a policy can name no such host (CSP level 3, host-source), and
// browsers ignore a source that tries.
func withNonce(r *http.Request) *http.Request {
	if !strings.HasPrefix(r.Host, "[") {
		return r
	}
	return r.WithContext(templ.WithNonce(r.Context(), rand.Text()))
}

// readBody reads what the route takes, within its limit.
func readBody(w http.ResponseWriter, r *http.Request, b body) error {
	switch b {
	case formBody:
		return readForm(w, r)
	case jsonBody:
		return readJSONBody(w, r)
	case optionalJSON:
		if r.ContentLength == 0 {
			r.Body = io.NopCloser(strings.NewReader("{}"))
			return nil
		}
		return readJSONBody(w, r)
	}
	return nil
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	if !hasMediaType(r, "application/x-www-form-urlencoded") {
		return hook.Errorf(hook.UnsupportedType, "The form has to be sent as application/x-www-form-urlencoded.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, hook.MaxFormBytes)
	if err := r.ParseForm(); err != nil {
		return bodyError(err, hook.LimitFormSize, "form")
	}
	return nil
}

// readJSONBody replaces the body by its bytes in memory.
func readJSONBody(w http.ResponseWriter, r *http.Request) error {
	if !hasMediaType(r, "application/json") {
		return hook.Errorf(hook.UnsupportedType, "The body has to be sent with Content-Type: application/json.")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, hook.MaxJSONBytes))
	if err != nil {
		return bodyError(err, hook.LimitJSONSize, "JSON document")
	}
	r.Body = io.NopCloser(strings.NewReader(string(data)))
	return nil
}

func hasMediaType(r *http.Request, want string) bool {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && got == want
}

func bodyError(err error, limit hook.Limit, what string) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return limit.Errorf(hook.TooLarge, "The %s is larger than %d bytes.", what, tooLarge.Limit)
	}
	return &hook.Error{Kind: hook.Malformed, Message: "The " + what + " cannot be read.", Err: err}
}

// recoverPanic turns a panic of a handler into an error page and a line in the log.
func (s *Server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	switch cause := recover(); cause {
	case nil:
	case http.ErrAbortHandler:
		panic(cause)
	default:
		s.Log.Error("panic while answering", "cause", cause, "stack", string(debug.Stack()))
		s.fail(w, r, errPanic)
	}
}
