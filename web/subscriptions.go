package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
	"github.com/hookkeeper/hookkeeper/internal/snippet"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

const deliveryRows = 50 // deliveries on a page of a list

func subscriptionPath(id hook.ID) string {
	return "/subscriptions/" + id.Text(hook.SubscriptionPrefix)
}

// subscriptionsPage: GET /urls/{id}/subscriptions
func (s *Server) subscriptionsPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Subscriptions")
	if err != nil {
		return err
	}
	items, err := s.Store.Subscriptions(r.Context(), actor(r), store.SubscriptionPage{CaptureURL: u.ID})
	if err != nil {
		return err
	}
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.Subscriptions(page, u, items))
}

// ownSubscription returns the subscription that the path names, its capture URL, and a page about it.
func (s *Server) ownSubscription(r *http.Request, title string) (page templates.Page, u templates.URLItem, sub hook.SubscriptionStatus, err error) {
	page = s.page(r, title)
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return page, u, sub, err
	}
	if sub, err = s.Store.Subscription(r.Context(), actor(r), id); err != nil {
		return page, u, sub, err
	}
	stats, err := s.Store.CaptureURL(r.Context(), actor(r), sub.CaptureURLID)
	if err != nil {
		return page, u, sub, err
	}
	u, err = s.urlItem(r.Context(), actor(r), page, stats)
	page.Title = sub.Name
	page.Crumbs = []templates.Crumb{
		home, {Name: u.Name, Path: urlPath(u.ID)}, {Name: "Subscriptions", Path: urlPath(u.ID) + "/subscriptions"}, {Name: sub.Name},
	}
	if title != "" {
		page.Title = title + " · " + sub.Name
		page.Crumbs[3].Path = subscriptionPath(id)
		page.Crumbs = append(page.Crumbs, templates.Crumb{Name: title})
	}
	return page, u, sub, err
}

// subscriptionPage: GET /subscriptions/{id}; ?state= and ?before= choose among its deliveries.
func (s *Server) subscriptionPage(w http.ResponseWriter, r *http.Request) error {
	page, u, sub, err := s.ownSubscription(r, "")
	if err != nil {
		return err
	}
	v := templates.SubscriptionView{SubscriptionStatus: sub, URL: u, Circle: s.circle(r, u.ID, sub.TargetURL)}
	if v.Oldest, err = s.Store.OldestUnfinished(r.Context(), actor(r), sub.ID); err != nil {
		return err
	}
	v.Deliveries, err = s.deliveryList(r, subscriptionPath(sub.ID), store.DeliveryPage{Subscription: sub.ID})
	if err != nil {
		return err
	}
	if v.Replays, err = s.Store.Replays(r.Context(), actor(r), sub.ID, 0, shownReplays); err != nil {
		return err
	}
	for _, code := range snippet.Verify(sub.Signing.Scheme) {
		v.Snippets = append(v.Snippets, templates.VerifySnippet{Language: code.Language, Text: code.Text})
	}
	if key, err := signing.PublicKey(sub.Signing.Current()); err == nil {
		v.PublicKey = key
	}
	v.NewSecret, _ = s.takeSecret(r, subscriptionPath(sub.ID))
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.SubscriptionPage(page, v))
}

// newSubscriptionPage: GET /urls/{id}/subscriptions/new
func (s *Server) newSubscriptionPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "New subscription")
	if err != nil {
		return err
	}
	form := subscriptionForm(hook.NewSubscription())
	return s.showSubscriptionForm(w, r, http.StatusOK, page, u, form)
}

// showSubscriptionForm shows the form with what there is to say of its target.
func (s *Server) showSubscriptionForm(w http.ResponseWriter, r *http.Request, status int, page templates.Page, u templates.URLItem, form templates.SubscriptionForm) error {
	form.Circle = s.circle(r, u.ID, form.TargetURL)
	return s.render(w, r, status, templates.SubscriptionFormPage(page, u, form))
}

// createSubscriptionForm: POST /urls/{id}/subscriptions
func (s *Server) createSubscriptionForm(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "New subscription")
	if err != nil {
		return err
	}
	sub := hook.NewSubscription()
	sub.CaptureURLID = u.ID
	unread := readSubscriptionForm(r.PostForm, &sub)
	if r.PostForm.Get("action") != "save" {
		return s.tryForm(w, r, page, u, hook.NewSubscription(), sub, unread)
	}
	err = unread
	if err == nil {
		err = s.createSubscription(r.Context(), actor(r), &sub)
	} else {
		err = joinInvalid(unread, s.readySubscription(&sub))
	}
	if err != nil {
		return s.refuseSubscription(w, r, page, u, hook.NewSubscription(), err)
	}
	s.flash(r, "The subscription is created.")
	return s.showSubscriptionSecret(w, r, sub)
}

// showSubscriptionSecret leads to the page of a subscription, which shows the secret that signs now.
func (s *Server) showSubscriptionSecret(w http.ResponseWriter, r *http.Request, sub hook.Subscription) error {
	path := subscriptionPath(sub.ID)
	return s.redirectWithSecret(w, r, path, path, sub.Signing.Current(), "")
}

// refuseSubscription shows the form of what is stored again, with what was typed and what is wrong with it.
func (s *Server) refuseSubscription(w http.ResponseWriter, r *http.Request, page templates.Page, u templates.URLItem, stored hook.Subscription, err error) error {
	form := typedSubscriptionForm(r.PostForm, subscriptionForm(stored))
	status, problems, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	form.Errors = typedErrors(problems)
	return s.showSubscriptionForm(w, r, status, page, u, form)
}

// tryForm does what the buttons of the form do that save nothing: test, dry-run and more, with a subscription as it would be saved.
func (s *Server) tryForm(w http.ResponseWriter, r *http.Request, page templates.Page, u templates.URLItem, stored, sub hook.Subscription, unread error) error {
	form := typedSubscriptionForm(r.PostForm, subscriptionForm(stored))
	var err error
	switch r.PostForm.Get("action") {
	case "test":
		form.Undone = "sent"
		if err = joinInvalid(unread, s.readySubscription(&sub)); err == nil {
			var a hook.Attempt
			a, err = s.trySubscription(r.Context(), actor(r), sub)
			form.Attempt = &a
		}
	case "dry-run":
		form.Undone = "tried"
		if err = s.checkFilter(&sub); err == nil {
			form.DryRun, err = s.dryRunResult(r, u.ID, sub.Filter)
		}
	default:
		addConditions(&form)
	}
	if err == nil {
		return s.showSubscriptionForm(w, r, http.StatusOK, page, u, form)
	}
	form.Attempt = nil
	status, problems, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	form.Errors = typedErrors(problems)
	return s.showSubscriptionForm(w, r, status, page, u, form)
}

func (s *Server) dryRunResult(r *http.Request, captureURL hook.ID, f hook.Filter) (*templates.DryRunResult, error) {
	run, err := s.dryRun(r.Context(), actor(r), captureURL, f, hook.DefaultDryRun)
	if err != nil {
		return nil, err
	}
	result := &templates.DryRunResult{Matched: run.Matched, Total: run.Total}
	for _, item := range run.Items {
		result.Items = append(result.Items, templates.DryRunItem{Summary: item.Summary, Matched: item.Matched, Fails: item.Fails, Rule: item.Rule})
	}
	return result, nil
}

// editSubscriptionPage: GET /subscriptions/{id}/edit
func (s *Server) editSubscriptionPage(w http.ResponseWriter, r *http.Request) error {
	page, u, sub, err := s.ownSubscription(r, "Edit")
	if err != nil {
		return err
	}
	return s.showSubscriptionForm(w, r, http.StatusOK, page, u, subscriptionForm(sub.Subscription))
}

// saveSubscription: POST /subscriptions/{id}/edit
func (s *Server) saveSubscription(w http.ResponseWriter, r *http.Request) error {
	page, u, status, err := s.ownSubscription(r, "Edit")
	if err != nil {
		return err
	}
	sub := status.Subscription
	unread := readSubscriptionForm(r.PostForm, &sub)
	if r.PostForm.Get("action") != "save" {
		return s.tryForm(w, r, page, u, status.Subscription, sub, unread)
	}
	before := status.Signing.Current()
	saved, err := s.updateSubscription(r.Context(), actor(r), sub.ID, func(stored *hook.Subscription) error {
		if err := readSubscriptionForm(r.PostForm, stored); err != nil {
			return joinInvalid(err, s.readySubscription(stored))
		}
		return nil // what was read is checked next
	})
	if err != nil {
		return s.refuseSubscription(w, r, page, u, status.Subscription, err)
	}
	if secret := saved.Signing.Current(); secret != before && r.PostForm.Get("secret") == "" && secret != "" {
		s.flash(r, "Saved.")
		return s.showSubscriptionSecret(w, r, saved.Subscription)
	}
	s.flash(r, "Saved.")
	return s.redirect(w, r, subscriptionPath(sub.ID))
}

// pauseSubscription: POST /subscriptions/{id}/pause, with paused=true or paused=false
func (s *Server) pauseSubscription(w http.ResponseWriter, r *http.Request) error {
	paused := r.PostForm.Get("paused") == "true"
	return s.changeHold(w, r, func(h *hook.Hold) { pause(h, paused, user(r).Email) },
		map[bool]string{true: "Paused: deliveries wait.", false: "Delivering again."}[paused])
}

// enableSubscription: POST /subscriptions/{id}/enable
func (s *Server) enableSubscription(w http.ResponseWriter, r *http.Request) error {
	return s.changeHold(w, r, func(h *hook.Hold) { enable(h, true, user(r).Email) }, "Enabled: what was held is delivered now.")
}

func (s *Server) changeHold(w http.ResponseWriter, r *http.Request, change func(*hook.Hold), done string) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	_, err = s.Store.UpdateSubscription(r.Context(), actor(r), id, func(sub *hook.Subscription) error {
		change(&sub.Hold)
		return nil
	})
	if err != nil {
		return err
	}
	s.flash(r, done)
	return s.redirect(w, r, subscriptionPath(id))
}

// deliverNow: POST /subscriptions/{id}/deliver-now
func (s *Server) deliverNow(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	if err := s.Store.DeliverNow(r.Context(), actor(r), id); err != nil {
		return err
	}
	s.flash(r, "Everything that waited is due now.")
	return s.redirect(w, r, subscriptionPath(id))
}

// discardPage: GET /subscriptions/{id}/discard asks first.
func (s *Server) discardPage(w http.ResponseWriter, r *http.Request) error {
	page, _, sub, err := s.ownSubscription(r, "Discard")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, templates.DiscardHeld(page, sub))
}

// discardHeld: POST /subscriptions/{id}/discard
func (s *Server) discardHeld(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	n, err := s.Store.DiscardHeld(r.Context(), actor(r), id, "discarded by "+user(r).Email)
	if err != nil {
		return err
	}
	s.flash(r, strconv.FormatInt(n, 10)+" deliveries are cancelled.")
	return s.redirect(w, r, subscriptionPath(id))
}

// rotateSecretForm: POST /subscriptions/{id}/rotate, with overlap_hours
func (s *Server) rotateSecretForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	if _, err := s.Store.Subscription(r.Context(), actor(r), id); err != nil {
		return err
	}
	hours, err := strconv.ParseFloat(strings.TrimSpace(r.PostForm.Get("overlap_hours")), 64)
	if err != nil || hours < 0 || hours > maxOverlap.Hours() {
		return hook.Errorf(hook.Invalid, "The overlap has to be a number of hours from 0 to %d.", int(maxOverlap.Hours()))
	}
	rotated, err := s.rotateSecret(r.Context(), actor(r), id, "", time.Duration(hours*float64(time.Hour)))
	if err != nil {
		return err
	}
	return s.showSubscriptionSecret(w, r, rotated.Subscription)
}

// deleteSubscriptionPage: GET /subscriptions/{id}/delete asks first.
func (s *Server) deleteSubscriptionPage(w http.ResponseWriter, r *http.Request) error {
	page, _, sub, err := s.ownSubscription(r, "Delete")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, templates.DeleteSubscription(page, sub))
}

// deleteSubscription: POST /subscriptions/{id}/delete
func (s *Server) deleteSubscription(w http.ResponseWriter, r *http.Request) error {
	_, u, sub, err := s.ownSubscription(r, "")
	if err != nil {
		return err
	}
	if err := s.Store.DeleteSubscription(r.Context(), actor(r), sub.ID, true); err != nil {
		return err
	}
	s.flash(r, "The subscription is deleted.")
	return s.redirect(w, r, urlPath(u.ID)+"/subscriptions")
}
