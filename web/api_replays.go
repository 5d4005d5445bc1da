package web

import (
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// replayJSON is a replay as the API shows it.
type replayJSON struct {
	ID             string      `json:"id"`
	CaptureURLID   string      `json:"capture_url_id"`
	SubscriptionID string      `json:"subscription_id"`
	State          string      `json:"state"`
	Reason         *string     `json:"reason"`
	Since          *string     `json:"since"`
	Until          *string     `json:"until"`
	Filter         *filterJSON `json:"filter"`
	RatePerSecond  *float64    `json:"rate_per_second"`
	Count          int64       `json:"count"`
	Queued         int64       `json:"queued"`
	Done           int64       `json:"done"`
	Failed         int64       `json:"failed"`
	By             *string     `json:"by"`
	CreatedAt      *string     `json:"created_at"`
	FinishedAt     *string     `json:"finished_at"`
}

func newReplayJSON(r hook.Replay) replayJSON {
	doc := replayJSON{
		ID: r.ID.Text(hook.ReplayPrefix), CaptureURLID: r.CaptureURLID.Text(hook.CaptureURLPrefix),
		SubscriptionID: r.SubscriptionID.Text(hook.SubscriptionPrefix), State: r.State.String(), Reason: textOrNull(r.Reason),
		Since: apiTime(r.Since), Until: apiTime(r.Until), Filter: newFilterJSON(r.Filter), Count: r.Count, Queued: r.Queued, Done: r.Done,
		Failed: r.Failed, By: textOrNull(r.By), CreatedAt: apiTime(r.CreatedAt), FinishedAt: apiTime(r.FinishedAt),
	}
	if r.Rate > 0 {
		doc.RatePerSecond = &r.Rate
	}
	return doc
}

type replayCountJSON struct {
	Count int64 `json:"count"`
}

// apiCreateReplay: POST /api/v1/subscriptions/{id}/replays
func (s *Server) apiCreateReplay(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	var in struct {
		Since  member[string]      `json:"since"`
		Until  member[string]      `json:"until"`
		Filter member[filterInput] `json:"filter"`
		Rate   member[float64]     `json:"rate_per_second"`
		DryRun member[bool]        `json:"dry_run"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	replay := hook.Replay{SubscriptionID: id, By: user(r).Email, Rate: in.Rate.value}
	var errs []error
	for _, at := range []struct {
		name string
		in   member[string]
		to   *time.Time
	}{{"since", in.Since, &replay.Since}, {"until", in.Until, &replay.Until}} {
		if at.in.value == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, at.in.value)
		if err != nil {
			errs = append(errs, fieldError(at.name, "is not a time in the form of RFC 3339, like 2026-01-31T14:05:00Z"))
		}
		*at.to = t
	}
	if in.Rate.set && !in.Rate.null && in.Rate.value == 0 {
		errs = append(errs, fieldError("rate_per_second", "must not be 0: leave it out to have no limit"))
	}
	if err := joinInvalid(errs...); err != nil {
		return err
	}
	if in.Filter.set && !in.Filter.null {
		if replay.Filter, err = in.Filter.value.filter("/filter"); err != nil {
			return err
		}
	}
	if _, err := s.countReplay(r.Context(), actor(r), &replay); err != nil {
		return err
	}
	if in.DryRun.value {
		return writeJSON(w, http.StatusOK, replayCountJSON{replay.Count})
	}
	if err := s.Store.CreateReplay(r.Context(), actor(r), &replay); err != nil {
		return err
	}
	w.Header().Set("Location", s.Site.BasePath()+"/api/v1/replays/"+replay.ID.Text(hook.ReplayPrefix))
	return writeJSON(w, http.StatusCreated, newReplayJSON(replay))
}

// apiReplays: GET /api/v1/subscriptions/{id}/replays
func (s *Server) apiReplays(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.SubscriptionPrefix)
	if err != nil {
		return err
	}
	query, err := apiQuery(r, "limit", "cursor")
	if err != nil {
		return err
	}
	limit, err := queryLimit(query)
	if err != nil {
		return err
	}
	before, err := queryID(query, "cursor", hook.ReplayPrefix)
	if err != nil {
		return err
	}
	rows, err := s.Store.Replays(r.Context(), actor(r), id, before, limit+1)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newList(rows, limit, newReplayJSON, func(r hook.Replay) string { return r.ID.Text(hook.ReplayPrefix) }))
}

// apiReplay: GET /api/v1/replays/{id}
func (s *Server) apiReplay(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.ReplayPrefix)
	if err != nil {
		return err
	}
	replay, err := s.Store.Replay(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newReplayJSON(replay))
}

// apiCancelReplay: POST /api/v1/replays/{id}/cancel
func (s *Server) apiCancelReplay(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.ReplayPrefix)
	if err != nil {
		return err
	}
	replay, err := s.Store.CancelReplay(r.Context(), actor(r), id, "cancelled by "+user(r).Email)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newReplayJSON(replay))
}
