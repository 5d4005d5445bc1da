package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

// deviceLifetime is as long as browsers keep a cookie (RFC 6265bis section 5.5).
const deviceLifetime = 400 * 24 * time.Hour

var (
	errSetupOver  = hook.Errorf(hook.Forbidden, "This instance is set up already. Log in instead.")
	errInviteLink = hook.Errorf(hook.NotFound, "This link was used already or is too old. Ask an admin for a new one.")
)

// hasUsers reports whether somebody has set the instance up. That cannot be undone, so it is asked until it is true.
func (s *Server) hasUsers(ctx context.Context) (bool, error) {
	if s.claimed.Load() {
		return true, nil
	}
	has, err := s.Store.HasUsers(ctx)
	if has {
		s.claimed.Store(true)
	}
	return has, err
}

// setupPage: GET /setup
func (s *Server) setupPage(w http.ResponseWriter, r *http.Request) error {
	claimed, err := s.hasUsers(r.Context())
	if err != nil {
		return err
	}
	if claimed {
		return s.redirect(w, r, "/login")
	}
	token := r.URL.Query().Get("token")
	if !s.validSetup(token) {
		return s.refuseSetup(w, r)
	}
	return s.render(w, r, http.StatusOK, templates.Setup(s.page(r, "Set up"), templates.SetupForm{Token: token}))
}

// setup: POST /setup makes the first user, an admin.
func (s *Server) setup(w http.ResponseWriter, r *http.Request) error {
	claimed, err := s.hasUsers(r.Context())
	token := r.PostForm.Get("token")
	switch {
	case err != nil:
		return err
	case claimed:
		return errSetupOver
	case !s.validSetup(token):
		return s.refuseSetup(w, r)
	}
	u := hook.User{Email: strings.TrimSpace(r.PostForm.Get("email")), Admin: true}
	password := r.PostForm.Get("password")
	if err := joinInvalid(hook.ValidateEmail(u.Email), hook.ValidatePassword(password)); err != nil {
		fields, err := fieldErrors(err)
		if err != nil {
			return err
		}
		form := templates.SetupForm{Token: token, Email: u.Email, Errors: fields}
		return s.render(w, r, http.StatusUnprocessableEntity, templates.Setup(s.page(r, "Set up"), form))
	}
	if u.PasswordHash, err = s.Hasher.Hash(r.Context(), password); err != nil {
		return err
	}
	if err := s.Store.CreateFirstUser(r.Context(), &u); err != nil {
		return err
	}
	s.claimed.Store(true)
	if s.Setup.Done != nil {
		s.Setup.Done()
	}
	return s.welcome(w, r, u, "/", "")
}

// refuseSetup says where the set-up link is. It is no page of an error, which leads to pages that nobody has before the set-up.
func (s *Server) refuseSetup(w http.ResponseWriter, r *http.Request) error {
	s.Tally.Count(hook.LimitNotAllowed)
	return s.render(w, r, http.StatusForbidden, templates.SetupClosed(s.page(r, "Set up")))
}

// validSetup reports whether a token is the one of the set-up link.
func (s *Server) validSetup(token string) bool {
	return time.Now().Before(s.Setup.Expires) && auth.Equal(auth.HashToken(token), s.Setup.Hash)
}

// loginPage: GET /login
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	claimed, err := s.hasUsers(r.Context())
	switch {
	case err != nil:
		return err
	case !claimed:
		return s.redirect(w, r, "/setup")
	case user(r).ID != 0:
		return s.redirect(w, r, next)
	}
	return s.render(w, r, http.StatusOK, templates.Login(s.page(r, "Log in"), templates.LoginForm{Next: next}))
}

// login: POST /login
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.PostForm.Get("next"))
	if s.LocalUser != nil {
		return s.redirect(w, r, next)
	}
	email := strings.TrimSpace(r.PostForm.Get("email"))
	u, right, err := s.checkPassword(r, email, r.PostForm.Get("password"))
	if err != nil {
		return err
	}
	if !right {
		s.Tally.Count(hook.LimitNoLogin)
		form := templates.LoginForm{Email: email, Next: next, Problem: "E-mail address or password is wrong."}
		return s.render(w, r, http.StatusUnauthorized, templates.Login(s.page(r, "Log in"), form))
	}
	return s.welcome(w, r, u, next, "")
}

// checkPassword looks a user up and reports whether the password is theirs. It counts, slows down and refuses as the
// limiter says, and takes as long for an address that nobody has.
func (s *Server) checkPassword(r *http.Request, email, password string) (hook.User, bool, error) {
	u, err := s.Store.UserByEmail(r.Context(), email)
	if err != nil && !hook.Is(err, hook.NotFound) {
		return u, false, err
	}
	succeeded, err := s.Limiter.Login(r.Context(), email, s.Site.Proxies.Client(r), s.knownDevice(r, u))
	if err != nil || password == "" {
		return u, false, err
	}
	right, err := s.Hasher.Verify(r.Context(), password, u.PasswordHash)
	if right {
		succeeded()
	}
	return u, right, err
}

// welcome logs a user in and leads to next, or to the first capture URL, made now for a user who has none, where a sentence is
// said, "" for none. A login that was there before ends with its live views: they may be another user's.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request, u hook.User, next, said string) error {
	if err := s.startSession(r, u); err != nil {
		return err
	}
	if said != "" {
		s.flashes.put(hashSession(visitorOf(r).session.Token(r.Context())), flash{message: said})
	}
	s.sockets.closeSession(visitorOf(r).hash)
	s.setDevice(w, r, u)
	first, err := s.firstCaptureURL(r.Context(), u)
	if err != nil {
		return err
	}
	if first != 0 && next == "/" {
		next = "/urls/" + first.Text(hook.CaptureURLPrefix)
	}
	return s.redirect(w, r, next)
}

// firstCaptureURL makes a capture URL for a user who has none, and returns its id; 0 when there is one, or no room for one.
func (s *Server) firstCaptureURL(ctx context.Context, u hook.User) (hook.ID, error) {
	own, err := s.Store.CaptureURLs(ctx, hook.Actor{UserID: u.ID}, store.CaptureURLPage{Limit: 1})
	if err != nil || len(own) > 0 {
		return 0, err
	}
	first := hook.CaptureURL{OwnerID: u.ID, Name: hook.FirstName, CORS: true, Response: hook.DefaultResponse()}
	err = s.createCaptureURL(ctx, &first)
	if hook.Is(err, hook.Conflict) {
		return 0, nil
	}
	return first.ID, err
}

// logout: POST /logout
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	v := visitorOf(r)
	if v.hash != "" {
		if err := v.session.Destroy(r.Context()); err != nil {
			return err
		}
		s.sockets.closeSession(v.hash)
	}
	return s.redirect(w, r, "/login")
}

// invitePage: GET /invite
func (s *Server) invitePage(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	return s.renderInvite(w, r, http.StatusOK, templates.InviteForm{Token: token})
}

func (s *Server) renderInvite(w http.ResponseWriter, r *http.Request, status int, form templates.InviteForm) error {
	u, err := s.Store.InviteUser(r.Context(), auth.HashToken(form.Token))
	if hook.Is(err, hook.NotFound) {
		return errInviteLink
	}
	if err != nil {
		return err
	}
	form.Email = u.Email
	return s.render(w, r, status, templates.Invite(s.page(r, "Set your password"), form))
}

// acceptInvite: POST /invite sets the password of an invited user and logs in.
func (s *Server) acceptInvite(w http.ResponseWriter, r *http.Request) error {
	token, password := r.PostForm.Get("token"), r.PostForm.Get("password")
	if err := hook.ValidatePassword(password); err != nil {
		fields, err := fieldErrors(err)
		if err != nil {
			return err
		}
		return s.renderInvite(w, r, http.StatusUnprocessableEntity, templates.InviteForm{Token: token, Errors: fields})
	}
	hash := auth.HashToken(token)
	if _, err := s.Store.InviteUser(r.Context(), hash); hook.Is(err, hook.NotFound) {
		return errInviteLink // before a stranger has us hash a password
	}
	phc, err := s.Hasher.Hash(r.Context(), password)
	if err != nil {
		return err
	}
	u, err := s.Store.AcceptInvite(r.Context(), hash, phc)
	if hook.Is(err, hook.NotFound) {
		return errInviteLink
	}
	if err != nil {
		return err
	}
	s.sockets.closeUser(u.ID, "")
	tokens, err := s.Store.Tokens(r.Context(), hook.Actor{UserID: u.ID})
	if err != nil {
		return err
	}
	return s.welcome(w, r, u, "/", strings.TrimSpace(tokensAfter(store.PasswordChange{Tokens: len(tokens)}, false)))
}

// localPath returns next when it is a path of ours, else "/": a link to our login must not lead to a page that looks
// like it. Browsers take a backslash for a slash and %2e for a dot, and drop control characters, so that the path may hold
// nothing but what paths of the dashboard are made of.
func localPath(next string) string {
	target := next
	if i := strings.IndexAny(next, "?#"); i >= 0 {
		target = next[:i]
	}
	switch {
	case !cleanPath(target), strings.ContainsFunc(target, foreignToPaths), strings.ContainsFunc(next, unicode.IsControl):
		return "/"
	case target == "/in", strings.HasPrefix(target, "/in/"): // an answer of a capture URL leads anywhere
		return "/"
	}
	return next
}

// foreignToPaths reports whether a character is in no path of the dashboard.
func foreignToPaths(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/_-.", c)
}

// deviceMark returns what a browser is given when it logs in to an account: later it is not slowed down by what others
// type there. It is made from the hash of the password, which nobody outside knows and which a new password changes.
func deviceMark(u hook.User) string {
	mac := hmac.New(sha256.New, []byte(u.PasswordHash))
	mac.Write([]byte("device " + u.ID.Text(hook.UserPrefix)))
	return hex.EncodeToString(mac.Sum(nil))
}

// knownDevice reports whether the browser has logged in to the account before.
func (s *Server) knownDevice(r *http.Request, u hook.User) bool {
	cookie, err := r.Cookie(s.deviceCookieName(r))
	return err == nil && u.PasswordHash != "" && hmac.Equal([]byte(cookie.Value), []byte(deviceMark(u)))
}

func (s *Server) setDevice(w http.ResponseWriter, r *http.Request, u hook.User) {
	http.SetCookie(w, &http.Cookie{
		Name: s.deviceCookieName(r), Value: deviceMark(u), Path: "/", MaxAge: int(deviceLifetime.Seconds()),
		Secure: s.Site.Scheme(r) == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (s *Server) deviceCookieName(r *http.Request) string {
	if s.Site.Scheme(r) == "https" {
		return hostPrefix + deviceCookie
	}
	return deviceCookie
}
