package web

import (
	"bytes"
	"context"
	"net/http"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

const urlListRows = 100 // capture URLs on a page of the list

var home = templates.Crumb{Name: "Capture URLs", Path: "/"}

func urlPath(id hook.ID) string { return "/urls/" + id.Text(hook.CaptureURLPrefix) }

// homePage: GET / lists the capture URLs; ?before= continues a list.
func (s *Server) homePage(w http.ResponseWriter, r *http.Request) error {
	before, _ := hook.ParseID(hook.CaptureURLPrefix, r.URL.Query().Get("before"))
	urls, err := s.Store.CaptureURLs(r.Context(), actor(r), store.CaptureURLPage{Before: before, Limit: urlListRows + 1})
	if err != nil {
		return err
	}
	older := ""
	if len(urls) > urlListRows {
		urls = urls[:urlListRows]
		older = "/?before=" + urls[urlListRows-1].ID.Text(hook.CaptureURLPrefix)
	}
	seen, err := s.Store.SeenUpTo(r.Context(), user(r).ID)
	if err != nil {
		return err
	}
	page := s.page(r, home.Name)
	page.Crumbs = []templates.Crumb{{Name: home.Name}}
	if before == 0 {
		page.Live = "/live"
	}
	items := make([]templates.URLItem, len(urls))
	for i, u := range urls {
		if items[i], err = s.urlItem(r.Context(), actor(r), page, u); err != nil {
			return err
		}
		items[i].Unread = u.LastRequestID > seen[u.ID]
	}
	return s.render(w, r, http.StatusOK, templates.CaptureURLs(page, items, older))
}

// homeRow returns the line of one capture URL in the list, as HTML; seen is what Store.SeenUpTo returned.
func (s *Server) homeRow(ctx context.Context, by hook.Actor, page templates.Page, id hook.ID, seen map[hook.ID]hook.ID) (string, error) {
	u, err := s.Store.CaptureURL(ctx, by, id)
	if err != nil {
		return "", err
	}
	item, err := s.urlItem(ctx, by, page, u)
	if err != nil {
		return "", err
	}
	item.Unread = u.LastRequestID > seen[id]
	var html bytes.Buffer
	err = templates.CaptureURLRow(page, item).Render(ctx, &html)
	return html.String(), err
}

// urlItem returns a capture URL with what pages show beside it: its address, and the owner when that is somebody else.
func (s *Server) urlItem(ctx context.Context, by hook.Actor, page templates.Page, u hook.CaptureURLStats) (templates.URLItem, error) {
	item := templates.URLItem{CaptureURLStats: u, Address: page.CaptureBase + "/in/" + u.Slug}
	item.Subs.Count, item.Subs.Trouble = s.Store.CountSubscriptions(u.ID)
	if u.OwnerID != by.UserID {
		owner, err := s.Store.User(ctx, u.OwnerID)
		if err != nil && !hook.Is(err, hook.NotFound) { // deleted in this moment: its capture URLs go, too
			return item, err
		}
		item.Owner = owner.Email
	}
	return item, nil
}

// ownURL returns the capture URL that the path of a request names, and a page about it.
func (s *Server) ownURL(r *http.Request, title string) (templates.Page, templates.URLItem, error) {
	page := s.page(r, title)
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return page, templates.URLItem{}, err
	}
	u, err := s.Store.CaptureURL(r.Context(), actor(r), id)
	if err != nil {
		return page, templates.URLItem{}, err
	}
	page.Crumbs = []templates.Crumb{home, {Name: u.Name, Path: urlPath(id)}, {Name: title}}
	page.Title = title + " · " + u.Name
	item, err := s.urlItem(r.Context(), actor(r), page, u)
	if err != nil {
		return page, item, err
	}
	item.Full = s.Store.Full(id)
	item.Refused = s.Tally.OfURL(id)
	item.Unfinished, err = s.Store.Unfinished(r.Context(), id)
	return page, item, err
}

// newURLPage: GET /urls/new
func (s *Server) newURLPage(w http.ResponseWriter, r *http.Request) error {
	return s.renderNewURL(w, r, http.StatusOK, templates.NewURLForm{})
}

// renderNewURL shows the form, with a name that is hard to guess wherever none was typed.
func (s *Server) renderNewURL(w http.ResponseWriter, r *http.Request, status int, form templates.NewURLForm) error {
	page := s.page(r, "New capture URL")
	page.Crumbs = []templates.Crumb{home, {Name: "New"}}
	if form.Slug == "" {
		form.Slug = "name-" + hook.NewSlugSuffix()
	}
	return s.render(w, r, status, templates.NewCaptureURL(page, form))
}

// createURL: POST /urls
func (s *Server) createURL(w http.ResponseWriter, r *http.Request) error {
	form := templates.NewURLForm{
		Name: r.PostForm.Get("name"), Slug: r.PostForm.Get("slug"), Chosen: r.PostForm.Get("kind") == "chosen",
	}
	u := &hook.CaptureURL{OwnerID: user(r).ID, Name: form.Name, CORS: true, Response: hook.DefaultResponse()}
	var err error
	if form.Chosen {
		u.Slug = form.Slug
		err = requireSlug(u.Slug)
	}
	if err == nil {
		err = s.createCaptureURL(r.Context(), u)
	}
	if hook.Is(err, hook.Conflict) {
		s.Tally.Count(hook.LimitOf(err))
		form.Errors = templates.FieldErrors{{Location: "slug", Message: err.Error()}}
		return s.renderNewURL(w, r, http.StatusConflict, form)
	}
	if err != nil {
		var status int
		if status, form.Errors, err = s.refuse(w, r, err); err != nil {
			return err
		}
		return s.renderNewURL(w, r, status, form)
	}
	return s.redirect(w, r, urlPath(u.ID))
}

func requireSlug(slug string) error {
	if slug == "" {
		return fieldError("slug", "is empty: type one, or have it generated")
	}
	return nil
}

// pauseURL: POST /urls/{id}/pause, with paused=true or paused=false
func (s *Server) pauseURL(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	paused := r.PostForm.Get("paused") == "true"
	_, err = s.updateCaptureURL(r.Context(), actor(r), id, func(u *hook.CaptureURL) error {
		u.Paused = paused
		return nil
	})
	if err != nil {
		return err
	}
	if paused {
		s.flash(r, "Paused: senders get 503 and are told to try again later.")
	} else {
		s.flash(r, "Capturing again.")
	}
	return s.redirect(w, r, urlPath(id))
}

// deleteURLPage: GET /urls/{id}/delete asks first.
func (s *Server) deleteURLPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Delete")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, templates.DeleteCaptureURL(page, u))
}

// deleteURL: POST /urls/{id}/delete
func (s *Server) deleteURL(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	if err := s.deleteCaptureURL(r.Context(), actor(r), id, true); err != nil {
		return err
	}
	s.flash(r, "The capture URL is deleted.")
	return s.redirect(w, r, "/")
}
