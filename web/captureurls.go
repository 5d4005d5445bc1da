package web

import (
	"context"
	"errors"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
)

// What the dashboard and the API do to capture URLs and requests goes through the functions in this file: the rules,
// then the row, then the notice to those who look on.

// createCaptureURL checks and stores a new capture URL. An empty slug is generated.
func (s *Server) createCaptureURL(ctx context.Context, u *hook.CaptureURL) error {
	var badSlug error
	if u.Slug != "" && !hook.ValidSlug(u.Slug) {
		badSlug = fieldError("slug", "must have 3 to 63 characters: small letters, digits and dashes, no dash in front. Capitals are only in those that are generated, of 22 letters and digits")
	}
	if err := joinInvalid(s.validate(u), badSlug); err != nil {
		return err
	}
	if err := s.Store.CreateCaptureURL(ctx, u); err != nil {
		return err
	}
	s.Hub.Publish(live.Event{Kind: live.Changed, CaptureURL: u.ID})
	return nil
}

// updateCaptureURL lets change alter a capture URL, checks the result and stores it.
func (s *Server) updateCaptureURL(ctx context.Context, by hook.Actor, id hook.ID, change func(*hook.CaptureURL) error) (hook.CaptureURLStats, error) {
	u, err := s.Store.UpdateCaptureURL(ctx, by, id, func(u *hook.CaptureURL) error {
		slug := u.Slug
		if err := change(u); err != nil {
			return err
		}
		var badSlug error
		if u.Slug != slug {
			badSlug = fieldError("slug", "cannot be changed: senders know it")
		}
		return joinInvalid(s.validate(u), badSlug)
	})
	if err != nil {
		return u, err
	}
	s.Hub.Publish(live.Event{Kind: live.Changed, CaptureURL: id})
	return u, nil
}

// deleteCaptureURL deletes a capture URL and its requests. Here and below, cancel says that unfinished deliveries may go, too.
func (s *Server) deleteCaptureURL(ctx context.Context, by hook.Actor, id hook.ID, cancel bool) error {
	u, err := s.Store.CaptureURL(ctx, by, id)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteCaptureURL(ctx, by, id, cancel); err != nil {
		return err
	}
	s.Hub.Publish(live.Event{Kind: live.Deleted, CaptureURL: id, Owner: u.OwnerID})
	return nil
}

// deleteRequest deletes one request.
func (s *Server) deleteRequest(ctx context.Context, by hook.Actor, id hook.ID, cancel bool) error {
	captureURL, err := s.Store.CaptureURLOf(ctx, by, id)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteRequest(ctx, by, id, cancel); err != nil {
		return err
	}
	s.Hub.Publish(live.Event{Kind: live.Removed, CaptureURL: captureURL, Request: id})
	return nil
}

// clearRequests deletes all requests of a capture URL that have arrived so far.
func (s *Server) clearRequests(ctx context.Context, by hook.Actor, captureURL hook.ID, cancel bool) error {
	upTo, err := s.Store.ClearRequests(ctx, by, captureURL, cancel)
	if err != nil {
		return err
	}
	s.Hub.Publish(live.Event{Kind: live.Pruned, CaptureURL: captureURL, Request: upTo})
	return nil
}

func (s *Server) validate(u *hook.CaptureURL) error {
	return u.Validate(hook.ValidateRules{SharedOrigin: s.Site.Capture == nil})
}

// fieldError returns an error about one field of a form or a document.
func fieldError(location, message string) error {
	return &hook.Error{
		Kind:    hook.Invalid,
		Message: "Some of the values cannot be used.",
		Fields:  []hook.FieldError{{Location: location, Message: message}},
	}
}

// joinInvalid returns one error with the fields of those that are not nil, so that a user reads all mistakes at once.
func joinInvalid(errs ...error) error {
	var all *hook.Error
	for _, err := range errs {
		e, ok := errors.AsType[*hook.Error](err)
		switch {
		case err == nil:
		case !ok || e.Kind != hook.Invalid:
			return err
		case all == nil:
			all = e
		default:
			all.Fields = append(all.Fields, e.Fields...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}
