package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

// Cookies of ours. On HTTPS they have the prefix that binds them to the host (RFC 6265bis section 4.1.3.2); on plain
// HTTP a browser would not take them so.
const (
	hostPrefix    = "__Host-"
	sessionCookie = "hookkeeper"
	deviceCookie  = "hookkeeper-device"
)

// CookieNames returns the names of every cookie that the dashboard sets. A browser sends them to capture URLs on the
// same host, too, where they must not be stored.
func CookieNames() []string {
	return []string{sessionCookie, hostPrefix + sessionCookie, deviceCookie, hostPrefix + deviceCookie}
}

// What a session holds.
const (
	sessionUser  = "user"  // int64, the hook.ID
	sessionEpoch = "epoch" // int64, hook.User.SessionEpoch when the user logged in
)

// sessions keeps logins. There are two managers because name and Secure of the cookie follow the scheme of a request.
// Nothing is stored for a visitor who has not logged in.
type sessions struct {
	plain, secure *scs.SessionManager
}

// newSessions does not use scs.New, whose default store starts a goroutine for good.
func newSessions(st *store.Store, lifetime time.Duration) sessions {
	manager := func(name string, secure bool) *scs.SessionManager {
		return &scs.SessionManager{
			Store:            st,
			Lifetime:         lifetime,
			Codec:            scs.GobCodec{},
			HashTokenInStore: true,
			Cookie: scs.SessionCookie{
				Name: name, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, Persist: true,
			},
		}
	}
	return sessions{plain: manager(sessionCookie, false), secure: manager(hostPrefix+sessionCookie, true)}
}

// hashSession returns what the store knows a session by, as scs computes it. It is all that leaves this file.
func hashSession(token string) string {
	hash := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// contextKey is the key of the visitor in the context of a request.
type contextKey struct{}

// visitor is who sent a request of the dashboard or the API.
type visitor struct {
	user    hook.User           // its ID is 0 while nobody is logged in
	session *scs.SessionManager // whose data is in the same context; nil in the API
	hash    string              // what the store knows the session of a login by, "" with HOOKKEEPER_AUTH=none
}

func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(contextKey{}).(visitor)
	return v
}

func withVisitor(r *http.Request, ctx context.Context, v visitor) *http.Request {
	return r.WithContext(context.WithValue(ctx, contextKey{}, v))
}

// user returns who is logged in, or whose token was sent.
func user(r *http.Request) hook.User { return visitorOf(r).user }

// actor returns as whom the request reads and writes.
func actor(r *http.Request) hook.Actor {
	u := user(r)
	return hook.Actor{UserID: u.ID, Admin: u.Admin}
}

// identify finds out who asks. The request it returns carries the visitor and the session.
func (s *Server) identify(r *http.Request) (*http.Request, error) {
	v := visitor{session: s.sessions.plain}
	if s.Site.Scheme(r) == "https" {
		v.session = s.sessions.secure
	}
	var value string
	if cookie, err := r.Cookie(v.session.Cookie.Name); err == nil {
		value = cookie.Value
	}
	ctx, err := v.session.Load(r.Context(), value)
	if err != nil {
		return r, err
	}
	if s.LocalUser != nil {
		v.user = *s.LocalUser
		return withVisitor(r, ctx, v), nil
	}
	if v.user, err = s.sessionOwner(ctx, v.session); err != nil {
		return r, err
	}
	if v.user.ID != 0 {
		v.hash = hashSession(value)
		s.touchSession(ctx, v.hash)
	}
	return withVisitor(r, ctx, v), nil
}

// sessionOwner returns the user of the session in ctx, the zero User when nobody is logged in. The session of a user
// who is gone, and one from before the user's sessions were ended, is destroyed.
func (s *Server) sessionOwner(ctx context.Context, m *scs.SessionManager) (hook.User, error) {
	id := hook.ID(m.GetInt64(ctx, sessionUser))
	if id == 0 {
		return hook.User{}, nil
	}
	u, err := s.Store.User(ctx, id)
	switch {
	case hook.Is(err, hook.NotFound), err == nil && u.SessionEpoch != m.GetInt64(ctx, sessionEpoch):
		return hook.User{}, m.Destroy(ctx)
	case err != nil:
		return hook.User{}, err
	}
	return u, nil
}

const touchTimeout = time.Second

// touchSession notes that a session is in use. That is no part of any answer: when it fails, the next request does it.
func (s *Server) touchSession(ctx context.Context, session string) {
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	if err := s.Store.TouchSession(ctx, session); err != nil {
		s.Log.Warn("use of a session not noted", "error", err)
	}
}

// startSession logs the user in, in a session with a new token: one that somebody else planted is worth nothing.
func (s *Server) startSession(r *http.Request, u hook.User) error {
	m := visitorOf(r).session
	if err := m.RenewToken(r.Context()); err != nil {
		return err
	}
	m.Put(r.Context(), sessionUser, int64(u.ID))
	m.Put(r.Context(), sessionEpoch, u.SessionEpoch)
	return nil
}

// keepSession lets the session of the request outlive the end of all of the user's others, under a new token.
func (s *Server) keepSession(r *http.Request, epoch int64) error {
	v := visitorOf(r)
	s.sockets.closeUser(v.user.ID, v.hash)
	v.user.SessionEpoch = epoch
	if err := s.startSession(r, v.user); err != nil {
		return err
	}
	s.sockets.renew(v.hash, hashSession(v.session.Token(r.Context())), epoch)
	return nil
}

// save stores what the handler changed in the session and sets its cookie. It is called before anything is written.
func (sessions) save(w http.ResponseWriter, r *http.Request) error {
	m := visitorOf(r).session
	if m == nil {
		return nil
	}
	switch ctx := r.Context(); m.Status(ctx) {
	case scs.Modified:
		token, expires, err := m.Commit(ctx)
		if err != nil {
			return err
		}
		m.WriteSessionCookie(ctx, w, token, expires)
	case scs.Destroyed:
		m.WriteSessionCookie(ctx, w, "", time.Time{})
	}
	return nil
}

// page returns what every page shows around its content.
func (s *Server) page(r *http.Request, title string) templates.Page {
	v := visitorOf(r)
	p := templates.Page{
		Title:       title,
		Base:        s.Site.BasePath(),
		CaptureBase: s.Site.CaptureBase(r),
		Now:         time.Now(),
		Email:       v.user.Email,
		Admin:       v.user.Admin,
		AuthNone:    s.LocalUser != nil,
	}
	if v.user.ID == 0 {
		return p
	}
	p.Degraded = s.Store.Degraded()
	p.Flash = s.takeFlash(r)
	return p
}

// admit finds out who asks and refuses who may not use a route.
func (s *Server) admit(r *http.Request, need access) (*http.Request, error) {
	switch need {
	case anyHost:
		return r, nil
	case tokens:
		return s.admitToken(r)
	}
	r, err := s.identify(r)
	switch {
	case err != nil:
		return r, err
	case need != anybody && user(r).ID == 0:
		return r, errLogin
	case need == admins && !user(r).Admin:
		return r, errAdminsOnly
	}
	return r, nil
}
