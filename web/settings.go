package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

var errNoPasswords = hook.Errorf(hook.Forbidden, "There are no passwords and no sessions with HOOKKEEPER_AUTH=none.")

// What the settings show once, as secrets are kept for them.
const (
	tokenShown  = "token"
	inviteShown = "invite"
)

// settingsPage: GET /settings
func (s *Server) settingsPage(w http.ResponseWriter, r *http.Request) error {
	var account templates.AccountPage
	account.NewToken, _ = s.takeSecret(r, tokenShown)
	if user(r).Admin {
		account.Admin = &templates.AdminPage{}
		account.Admin.InviteLink, account.Admin.InviteFor = s.takeSecret(r, inviteShown)
	}
	return s.renderSettings(w, r, http.StatusOK, account)
}

// backToSettings: GET of an address that a form of the settings posts to, where a browser stands when the form was refused.
func (s *Server) backToSettings(w http.ResponseWriter, r *http.Request) error {
	return s.redirect(w, r, "/settings")
}

// renderSettings shows the settings with what a form had to say: its mistakes, or what is shown once.
func (s *Server) renderSettings(w http.ResponseWriter, r *http.Request, status int, account templates.AccountPage) error {
	var err error
	if account.Tokens, err = s.Store.Tokens(r.Context(), actor(r)); err != nil {
		return err
	}
	if err := s.fillReserved(r, &account); err != nil {
		return err
	}
	if user(r).Admin {
		if account.Admin == nil {
			account.Admin = &templates.AdminPage{}
		}
		if err := s.fillAdmin(r, account.Admin); err != nil {
			return err
		}
	}
	return s.render(w, r, status, templates.Settings(s.page(r, "Settings"), account))
}

// fillAdmin reads what only admins see.
func (s *Server) fillAdmin(r *http.Request, page *templates.AdminPage) error {
	users, err := s.Store.Users(r.Context())
	if err != nil {
		return err
	}
	captureURLs, err := s.Store.CaptureURLs(r.Context(), hook.System, store.CaptureURLPage{})
	if err != nil {
		return err
	}
	owned := map[hook.ID]int{}
	for _, u := range captureURLs {
		owned[u.OwnerID]++
	}
	for _, u := range users {
		page.Users = append(page.Users, templates.UserItem{User: u, CaptureURLs: owned[u.ID], Self: u.ID == user(r).ID})
	}
	return nil
}

const reservedRows = 100 // reserved addresses on a page of the settings

// fillReserved reads the reserved addresses that the user may release; ?reserved= continues the list.
func (s *Server) fillReserved(r *http.Request, account *templates.AccountPage) error {
	reserved, err := s.Store.ReservedSlugs(r.Context(), actor(r), r.URL.Query().Get("reserved"), reservedRows+1)
	if len(reserved) > reservedRows {
		reserved = reserved[:reservedRows]
		account.MoreReserved = "/settings?reserved=" + reserved[reservedRows-1].Slug + "#slugs-heading"
	}
	for _, slug := range reserved {
		account.Reserved = append(account.Reserved, templates.ReservedSlug(slug))
	}
	return err
}

// fieldErrors returns the fields of an Invalid error, for the form to be shown again; any other error is handed back.
func fieldErrors(err error) (templates.FieldErrors, error) {
	if e, ok := errors.AsType[*hook.Error](err); ok && e.Kind == hook.Invalid {
		return e.Fields, nil
	}
	return nil, err
}

// changePassword: POST /settings/password changes the password of who is logged in and ends the other sessions.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) error {
	if s.LocalUser != nil {
		return errNoPasswords
	}
	revoke := r.PostForm.Get("tokens") == "revoke"
	change, err := s.replacePassword(w, r, r.PostForm.Get("current"), r.PostForm.Get("password"), revoke)
	if err == nil {
		s.flash(r, "Your password is changed. You are logged out everywhere else."+tokensAfter(change, revoke))
		return s.redirect(w, r, "/settings")
	}
	fields, err := fieldErrors(err)
	if err != nil {
		return err
	}
	return s.renderSettings(w, r, http.StatusUnprocessableEntity, templates.AccountPage{PasswordError: fields})
}

// tokensAfter says what a new password, which ends no API tokens by itself, has meant for them.
func tokensAfter(change store.PasswordChange, revoked bool) string {
	switch {
	case change.Tokens == 0:
		return ""
	case !revoked:
		return " API tokens of yours that stay valid: " + strconv.Itoa(change.Tokens) + ". Revoke them under API tokens."
	case change.EnvToken:
		return " API tokens of yours that are revoked: " + strconv.Itoa(change.Tokens) + ". The one from the environment comes back " +
			"when the server starts again, unless HOOKKEEPER_API_TOKEN is changed or removed."
	}
	return " API tokens of yours that are revoked: " + strconv.Itoa(change.Tokens) + "."
}

func (s *Server) replacePassword(w http.ResponseWriter, r *http.Request, current, password string, revokeTokens bool) (store.PasswordChange, error) {
	phc, err := s.checkNewPassword(r, current, password)
	if err != nil {
		return store.PasswordChange{}, err
	}
	change, err := s.Store.SetPassword(r.Context(), user(r).ID, phc, revokeTokens)
	if err != nil {
		return change, err
	}
	u := user(r)
	u.PasswordHash = phc
	s.setDevice(w, r, u) // the mark of this browser was made from the old password
	return change, s.keepSession(r, change.Epoch)
}

// checkNewPassword returns the hash of a new password for who knows the current one.
func (s *Server) checkNewPassword(r *http.Request, current, password string) (phc string, err error) {
	if err := hook.ValidatePassword(password); err != nil {
		return "", err
	}
	_, right, err := s.checkPassword(r, user(r).Email, current)
	if err != nil {
		return "", err
	}
	if !right {
		return "", fieldError("current", "is not your password")
	}
	return s.Hasher.Hash(r.Context(), password)
}

// logOutEverywhere: POST /settings/sessions/end ends all sessions of who is logged in, this one too.
func (s *Server) logOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	if s.LocalUser != nil {
		return errNoPasswords
	}
	if _, err := s.Store.EndSessions(r.Context(), user(r).ID); err != nil {
		return err
	}
	if err := visitorOf(r).session.Destroy(r.Context()); err != nil {
		return err
	}
	s.sockets.closeUser(user(r).ID, "")
	return s.redirect(w, r, "/login")
}

// releaseSlugs: POST /settings/slugs/release lets anybody take slugs of deleted capture URLs.
func (s *Server) releaseSlugs(w http.ResponseWriter, r *http.Request) error {
	slugs := r.PostForm["slug"]
	if err := s.Store.ReleaseSlugs(r.Context(), actor(r), slugs...); err != nil {
		return err
	}
	if len(slugs) == 1 {
		s.flash(r, "The address is released.")
	} else {
		s.flash(r, "The addresses are released.")
	}
	return s.redirect(w, r, "/settings")
}
