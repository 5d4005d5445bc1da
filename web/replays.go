package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

const (
	shownReplays = 5           // on the page of a subscription
	countPage    = 1000        // requests that are counted in one query
	countStep    = time.Second // after which it is ended, with at least one counted
	countTime    = 10 * time.Second
)

func replayPath(id hook.ID) string { return "/replays/" + id.Text(hook.ReplayPrefix) }

// countReplay checks a replay and sets its Count to the number of stored requests that it would send. It returns how many it would
// send as well, had their bodies been kept. UpTo becomes the newest that is counted: what is captured meanwhile does not belong to it.
func (s *Server) countReplay(ctx context.Context, by hook.Actor, r *hook.Replay) (leftOut int64, err error) {
	sub, err := s.Store.Subscription(ctx, by, r.SubscriptionID)
	if err != nil {
		return 0, err
	}
	r.CaptureURLID = sub.CaptureURLID
	sub.Filter = r.Filter
	if err := joinInvalid(r.Validate(), s.checkFilter(&sub.Subscription)); err != nil {
		return 0, err
	}
	r.Filter.Normalize()
	match, err := filter.NewMatcher(r.Filter)
	if err != nil {
		return 0, fieldError("filter.jq", err.Error())
	}
	done, err := s.tries.begin(by.UserID)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	u, err := s.Store.CaptureURL(ctx, by, r.CaptureURLID)
	if err != nil {
		return 0, err
	}
	r.Count, r.UpTo = 0, max(u.LastRequestID, 1) // 0 would be what there is when it starts
	seen := *r
	for all := false; !all; {
		until := time.Now().Add(countStep)
		seen.Cursor, all, err = s.Store.EachReplayable(ctx, &seen, countPage, func(request *hook.Request, damaged bool) bool {
			switch {
			case damaged: // gets a delivery that fails, unless its body was not kept anyway
				if !request.Truncated {
					r.Count++
				}
			case match.Match(ctx, request).Matched:
				r.Count++
			case match.LeftOut(request):
				leftOut++
			}
			return ctx.Err() == nil && time.Now().Before(until)
		})
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // and not the time of one query, which tells of itself
			return 0, hook.Errorf(hook.Unavailable, "Counting took longer than %s: choose a shorter time with since and until.", countTime)
		}
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return 0, err
		}
	}
	return leftOut, nil
}

// newReplayPage: GET /subscriptions/{id}/replay
func (s *Server) newReplayPage(w http.ResponseWriter, r *http.Request) error {
	page, _, sub, err := s.ownSubscription(r, "Replay")
	if err != nil {
		return err
	}
	form := templates.ReplayForm{Filter: subscriptionForm(sub.Subscription)}
	return s.render(w, r, http.StatusOK, templates.NewReplay(page, sub, form))
}

// startReplay: POST /subscriptions/{id}/replay counts first, and starts when the count has been shown.
func (s *Server) startReplay(w http.ResponseWriter, r *http.Request) error {
	page, _, sub, err := s.ownSubscription(r, "Replay")
	if err != nil {
		return err
	}
	form := templates.ReplayForm{
		Filter: typedSubscriptionForm(r.PostForm, templates.SubscriptionForm{}),
		Since:  r.PostForm.Get("since"), Until: r.PostForm.Get("until"), Rate: r.PostForm.Get("rate"),
	}
	action := r.PostForm.Get("action")
	if action == "more" {
		addConditions(&form.Filter)
		return s.render(w, r, http.StatusOK, templates.NewReplay(page, sub, form))
	}
	replay := hook.Replay{SubscriptionID: sub.ID, By: user(r).Email}
	if err = joinInvalid(readReplayForm(r.PostForm, &replay), replay.Validate()); err == nil {
		form.LeftOut, err = s.countReplay(r.Context(), actor(r), &replay)
	}
	starts := action == "start" && replay.Count > 0
	if err == nil && starts {
		err = s.Store.CreateReplay(r.Context(), actor(r), &replay)
	}
	if err != nil {
		form.Filter.Undone = "counted"
		if action == "start" {
			form.Filter.Undone = "sent"
		}
		var status int
		if status, form.Filter.Errors, err = s.refuse(w, r, err); err != nil {
			return err
		}
		return s.render(w, r, status, templates.NewReplay(page, sub, form))
	}
	if !starts {
		form.Count = &replay.Count
		return s.render(w, r, http.StatusOK, templates.NewReplay(page, sub, form))
	}
	s.flash(r, "The replay has begun.")
	return s.redirect(w, r, replayPath(replay.ID))
}

// readReplayForm sets what was typed; the error names the fields that cannot be read.
func readReplayForm(typed url.Values, replay *hook.Replay) error {
	replay.Filter = hook.Filter{
		Any: typed.Get("join") == "any", Conditions: typedConditions(typed), JQ: strings.TrimSpace(typedText(typed.Get("jq"))),
	}
	var errs []error
	for name, to := range map[string]*time.Time{"since": &replay.Since, "until": &replay.Until} {
		t, err := typedTime(typed.Get(name))
		if err != nil {
			errs = append(errs, fieldError(name, "is not a time like 2026-01-31T14:05"))
		}
		*to = t
	}
	replay.Rate = readDecimal(typed.Get("rate"))
	return joinInvalid(errs...)
}

// typedTime reads what browsers send for <input type="datetime-local">, as a time in UTC.
func typedTime(text string) (t time.Time, err error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), "Z")
	if text == "" {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, err
}

// replayPage: GET /replays/{id}
func (s *Server) replayPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.ReplayPrefix)
	if err != nil {
		return err
	}
	replay, err := s.Store.Replay(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	r.SetPathValue("id", replay.SubscriptionID.Text(hook.SubscriptionPrefix))
	page, u, sub, err := s.ownSubscription(r, "Replay")
	if err != nil {
		return err
	}
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.ReplayPage(page, sub, replay))
}

// cancelReplay: POST /replays/{id}/cancel
func (s *Server) cancelReplay(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.ReplayPrefix)
	if err != nil {
		return err
	}
	if _, err := s.Store.CancelReplay(r.Context(), actor(r), id, "cancelled by "+user(r).Email); err != nil {
		return err
	}
	s.flash(r, "The replay is cancelled.")
	return s.redirect(w, r, replayPath(id))
}
