package web

import (
	"bufio"
	"fmt"
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// POST /api/v1/capture-urls/{id}/subscriptions
func (s *Server) apiCreateSubscription(w http.ResponseWriter, r *http.Request) error {
	captureURL, err := apiPathID(r, hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	var in subscriptionInput
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if _, err := s.Store.CaptureURL(r.Context(), actor(r), captureURL); err != nil {
		return err // before the document is judged
	}
	sub := hook.NewSubscription()
	sub.CaptureURLID = captureURL
	if err := in.apply(&sub, user(r).Email); err != nil {
		return err
	}
	if err := s.createSubscription(r.Context(), actor(r), &sub); err != nil {
		return err
	}
	created := withSecret(newSubscriptionJSON(hook.SubscriptionStatus{Subscription: sub}), sub)
	w.Header().Set("Location", s.Site.BasePath()+"/api/v1/subscriptions/"+created.ID)
	return writeJSON(w, http.StatusCreated, created)
}

// GET /api/v1/subscriptions
func (s *Server) apiSubscriptions(w http.ResponseWriter, r *http.Request) error {
	query, err := apiQuery(r, "capture_url_id", "limit", "cursor")
	if err != nil {
		return err
	}
	limit, err := queryLimit(query)
	if err != nil {
		return err
	}
	page := store.SubscriptionPage{Limit: limit + 1}
	if page.CaptureURL, err = queryRef(query, "capture_url_id", hook.CaptureURLPrefix); err != nil {
		return err
	}
	if page.Before, err = queryID(query, "cursor", hook.SubscriptionPrefix); err != nil {
		return err
	}
	rows, err := s.Store.Subscriptions(r.Context(), actor(r), page)
	if err != nil {
		return err
	}
	id := func(sub hook.SubscriptionStatus) string { return sub.ID.Text(hook.SubscriptionPrefix) }
	return writeJSON(w, http.StatusOK, newList(rows, limit, newSubscriptionJSON, id))
}

// GET /api/v1/subscriptions/{id}
func (s *Server) apiSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	sub, err := s.Store.Subscription(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newSubscriptionJSON(sub))
}

// PATCH /api/v1/subscriptions/{id}
func (s *Server) apiUpdateSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	var in subscriptionInput
	if err := readJSON(r, &in); err != nil {
		return err
	}
	secret := ""
	sub, err := s.updateSubscription(r.Context(), actor(r), id, func(sub *hook.Subscription) error {
		secret = sub.Signing.Current()
		return in.apply(sub, user(r).Email)
	})
	if err != nil {
		return err
	}
	doc := newSubscriptionJSON(sub)
	if sub.Signing.Current() != secret { // it was made, or chosen, by this change
		doc = withSecret(doc, sub.Subscription)
	}
	return writeJSON(w, http.StatusOK, doc)
}

// DELETE /api/v1/subscriptions/{id}
func (s *Server) apiDeleteSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	cancel, err := queryCancel(r)
	if err != nil {
		return err
	}
	if err := s.Store.DeleteSubscription(r.Context(), actor(r), id, cancel); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// POST /api/v1/subscriptions/{id}/rotate-secret
func (s *Server) apiRotateSecret(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	var in struct {
		Secret         member[string]  `json:"secret"`
		OverlapSeconds member[float64] `json:"overlap_seconds"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	overlap := defaultOverlap
	if in.OverlapSeconds.set && !in.OverlapSeconds.null {
		overlap = time.Duration(min(max(in.OverlapSeconds.value, -1), maxOverlap.Seconds()+1) * float64(time.Second))
	}
	sub, err := s.rotateSecret(r.Context(), actor(r), id, in.Secret.value, overlap)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, withSecret(newSubscriptionJSON(sub), sub.Subscription))
}

// POST /api/v1/subscriptions/{id}/test
func (s *Server) apiTestSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	sub, err := s.Store.Subscription(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	attempt, err := s.trySubscription(r.Context(), actor(r), sub.Subscription)
	if err != nil {
		return err
	}
	return writePieces(w, http.StatusOK, func(out *bufio.Writer) error { return writeAttempt(out, attempt) })
}

type dryRunJSON struct {
	Matched int          `json:"matched"`
	Total   int          `json:"total"`
	Items   []dryRunLine `json:"items"`
}

type dryRunLine struct {
	RequestID  string  `json:"request_id"`
	ReceivedAt *string `json:"received_at"`
	Method     string  `json:"method"`
	SubPath    string  `json:"sub_path"`
	Matched    bool    `json:"matched"`
	Rule       *string `json:"rule"`
}

// POST /api/v1/subscriptions/{id}/dry-run
func (s *Server) apiDryRun(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	var in struct {
		Filter member[filterInput] `json:"filter"`
		Last   member[int]         `json:"last"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	sub, err := s.Store.Subscription(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	last := hook.DefaultDryRun
	in.Last.apply(&last, hook.DefaultDryRun)
	if last < 1 || last > hook.MaxDryRun {
		return fieldError("last", fmt.Sprintf("must be between 1 and %d", hook.MaxDryRun))
	}
	if in.Filter.set {
		if sub.Filter, err = in.Filter.value.filter("/filter"); err != nil {
			return err
		}
		if err := s.checkFilter(&sub.Subscription); err != nil {
			return err
		}
	}
	run, err := s.dryRun(r.Context(), actor(r), sub.CaptureURLID, sub.Filter, last)
	if err != nil {
		return err
	}
	doc := dryRunJSON{Matched: run.Matched, Total: run.Total}
	for _, item := range run.Items {
		doc.Items = append(doc.Items, dryRunLine{
			item.ID.Text(hook.RequestPrefix), apiTime(item.ReceivedAt), item.Method, item.SubPath(), item.Matched, textOrNull(item.Rule),
		})
	}
	return writeJSON(w, http.StatusOK, doc)
}

// POST /api/v1/subscriptions/{id}/discard
func (s *Server) apiDiscard(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	n, err := s.Store.DiscardHeld(r.Context(), actor(r), id, "discarded by "+user(r).Email)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Discarded int64 `json:"discarded"`
	}{n})
}

// POST /api/v1/subscriptions/{id}/deliver-now
func (s *Server) apiDeliverNow(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	if err := s.Store.DeliverNow(r.Context(), actor(r), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
