package web

import (
	"net/http"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// createToken: POST /settings/tokens leads to the settings, which show the token once: it is stored nowhere.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if err := hook.ValidateTokenName(name); err != nil {
		fields, err := fieldErrors(err)
		if err != nil {
			return err
		}
		return s.renderSettings(w, r, http.StatusUnprocessableEntity, templates.AccountPage{TokenName: name, TokenErrors: fields})
	}
	text, hash, hint := auth.NewToken()
	if err := s.Store.CreateToken(r.Context(), &hook.Token{UserID: user(r).ID, Name: name, Hint: hint}, hash); err != nil {
		return err
	}
	return s.redirectWithSecret(w, r, "/settings#tokens-heading", tokenShown, text, "")
}

// revokeToken: POST /settings/tokens/{id}/revoke
func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.TokenPrefix)
	if err != nil {
		return err
	}
	if err := s.Store.RevokeToken(r.Context(), actor(r), id); err != nil {
		return err
	}
	s.flash(r, "The token is revoked.")
	return s.redirect(w, r, "/settings")
}
