package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

// addUser: POST /settings/users makes a user without a password and shows the one-time link to set it.
func (s *Server) addUser(w http.ResponseWriter, r *http.Request) error {
	u := hook.User{Email: strings.TrimSpace(r.PostForm.Get("email")), Admin: r.PostForm.Get("admin") != ""}
	err := hook.ValidateEmail(u.Email)
	if err == nil {
		err = s.Store.CreateUser(r.Context(), &u)
		if hook.Is(err, hook.Conflict) {
			s.Tally.Count(hook.LimitOf(err))
			err = fieldError("email", err.Error())
		}
	}
	if err == nil {
		return s.showInvite(w, r, u)
	}
	fields, err := fieldErrors(err)
	if err != nil {
		return err
	}
	page := &templates.AdminPage{UserEmail: u.Email, UserErrors: fields}
	return s.renderSettings(w, r, http.StatusUnprocessableEntity, templates.AccountPage{Admin: page})
}

// inviteUser: POST /settings/users/{id}/invite makes a new link for a user who lost the first one, or the password.
func (s *Server) inviteUser(w http.ResponseWriter, r *http.Request) error {
	u, err := s.pathUser(r)
	if err != nil {
		return err
	}
	return s.showInvite(w, r, u)
}

// showInvite makes a link and leads to the settings, which show it once: like a token it can be read only there.
func (s *Server) showInvite(w http.ResponseWriter, r *http.Request, u hook.User) error {
	text, hash := auth.NewSecret()
	if err := s.Store.CreateInvite(r.Context(), u.ID, hash, time.Now().Add(hook.InviteLifetime)); err != nil {
		return err
	}
	link := s.Site.Base(r) + "/invite?token=" + url.QueryEscape(text)
	return s.redirectWithSecret(w, r, "/settings#users-heading", inviteShown, link, u.Email)
}

// deleteUserPage: GET /settings/users/{id}/delete asks what becomes of the user's capture URLs.
func (s *Server) deleteUserPage(w http.ResponseWriter, r *http.Request) error {
	return s.askDeleteUser(w, r, http.StatusOK, "")
}

func (s *Server) askDeleteUser(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	u, err := s.pathUser(r)
	if err != nil {
		return err
	}
	owned, err := s.Store.CaptureURLs(r.Context(), hook.Actor{UserID: u.ID}, store.CaptureURLPage{})
	if err != nil {
		return err
	}
	others, err := s.Store.Users(r.Context())
	if err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(other hook.User) bool { return other.ID == u.ID })
	page := templates.DeleteUserPage{User: u, CaptureURLs: len(owned), Others: others, Problem: problem}
	return s.render(w, r, status, templates.DeleteUser(s.page(r, "Delete user"), page))
}

// deleteUser: POST /settings/users/{id}/delete
func (s *Server) deleteUser(w http.ResponseWriter, r *http.Request) error {
	u, err := s.pathUser(r)
	if err != nil {
		return err
	}
	if u.ID == user(r).ID {
		return s.askDeleteUser(w, r, http.StatusConflict, "You cannot delete yourself. Another admin can.")
	}
	options, err := s.deleteOptions(r)
	if err != nil {
		return s.askDeleteUser(w, r, http.StatusUnprocessableEntity, "Choose the user who takes over the capture URLs.")
	}
	owned, err := s.Store.CaptureURLs(r.Context(), hook.Actor{UserID: u.ID}, store.CaptureURLPage{})
	if err != nil {
		return err
	}
	err = s.Store.DeleteUser(r.Context(), u.ID, options)
	if hook.Is(err, hook.Conflict) {
		return s.askDeleteUser(w, r, http.StatusConflict, err.Error())
	}
	if err != nil {
		return err
	}
	s.sockets.closeUser(u.ID, "")
	event := live.Event{Kind: live.Changed}
	if options.WithData {
		event = live.Event{Kind: live.Deleted, Owner: u.ID}
	}
	for _, captureURL := range owned {
		event.CaptureURL = captureURL.ID
		s.Hub.Publish(event)
	}
	s.flash(r, "The user "+u.Email+" is deleted.")
	return s.redirect(w, r, "/settings")
}

// deleteOptions reads what is to become of the capture URLs. Neither choice is fine for a user who has none.
func (s *Server) deleteOptions(r *http.Request) (o store.DeleteUserOptions, err error) {
	switch r.PostForm.Get("what") {
	case "delete":
		o.WithData = true
	case "transfer":
		o.TransferTo, _ = hook.ParseID(hook.UserPrefix, r.PostForm.Get("transfer_to"))
		_, err = s.Store.User(r.Context(), o.TransferTo) // also when that was no id: nobody has 0
	}
	return o, err
}

// pathUser returns the user in the path.
func (s *Server) pathUser(r *http.Request) (hook.User, error) {
	id, err := pathID(r, "id", hook.UserPrefix)
	if err != nil {
		return hook.User{}, err
	}
	return s.Store.User(r.Context(), id)
}
