package web

import (
	"cmp"
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// captureURLJSON is a capture URL as the API shows it.
type captureURLJSON struct {
	ID            string       `json:"id"`
	Name          string       `json:"name"`
	Slug          string       `json:"slug"`
	URL           string       `json:"url"`
	Paused        bool         `json:"paused"`
	CORS          bool         `json:"cors"`
	Response      responseJSON `json:"response"`
	Keep          keepJSON     `json:"keep"`
	Rate          *float64     `json:"rate_per_second"`
	RequestCount  int64        `json:"request_count"`
	ReceivedCount int64        `json:"received_count"`
	LastRequestAt *string      `json:"last_request_at"`
	CreatedAt     *string      `json:"created_at"`
}

type responseJSON struct {
	Status     int            `json:"status"`
	Headers    []responseLine `json:"headers"`
	Body       *textJSON      `json:"body"`
	BodyBase64 *[]byte        `json:"body_base64"`
	DelayMS    int64          `json:"delay_ms"`
}

type responseLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// keepJSON has null where the server's default holds.
type keepJSON struct {
	Requests *int64 `json:"requests"`
	Days     *int64 `json:"days"`
	Bytes    *int64 `json:"bytes"`
}

func (s *Server) captureURLJSON(r *http.Request, u hook.CaptureURLStats) captureURLJSON {
	return captureURLJSON{
		ID:            u.ID.Text(hook.CaptureURLPrefix),
		Name:          u.Name,
		Slug:          u.Slug,
		URL:           s.Site.CaptureBase(r) + "/in/" + u.Slug,
		Paused:        u.Paused,
		CORS:          u.CORS,
		Response:      newResponseJSON(u.Response),
		Keep:          keepJSON{orNull(u.Keep.Requests), orNull(u.Keep.Days), orNull(u.Keep.Bytes)},
		Rate:          orNull(u.Rate),
		RequestCount:  u.Kept,
		ReceivedCount: u.Received,
		LastRequestAt: apiTime(u.LastRequestAt),
		CreatedAt:     apiTime(u.CreatedAt),
	}
}

func newResponseJSON(r hook.Response) responseJSON {
	doc := responseJSON{Status: r.Status, DelayMS: r.Delay.Milliseconds()}
	for _, h := range r.Headers {
		doc.Headers = append(doc.Headers, responseLine(h))
	}
	doc.Body, doc.BodyBase64 = textOrBase64(r.Body)
	return doc
}

// orNull returns nil for the zero, which stands for the default.
func orNull[T int64 | float64](v T) *T {
	if v == 0 {
		return nil
	}
	return &v
}

// captureURLInput is what creates or changes a capture URL. A member that is left out changes nothing, a null takes the
// default.
type captureURLInput struct {
	Name     member[string]        `json:"name"`
	Slug     member[string]        `json:"slug"`
	Paused   member[bool]          `json:"paused"`
	CORS     member[bool]          `json:"cors"`
	Keep     member[keepInput]     `json:"keep"`
	Rate     member[float64]       `json:"rate_per_second"`
	Response member[responseInput] `json:"response"`
}

type keepInput struct {
	Requests member[int64] `json:"requests"`
	Days     member[int64] `json:"days"`
	Bytes    member[int64] `json:"bytes"`
}

type responseInput struct {
	Status     member[int]            `json:"status"`
	Headers    member[[]responseLine] `json:"headers"`
	Body       member[string]         `json:"body"`
	BodyBase64 member[[]byte]         `json:"body_base64"`
	DelayMS    member[int64]          `json:"delay_ms"`
}

// apply changes a capture URL. Only what Validate cannot see is an error.
func (in captureURLInput) apply(u *hook.CaptureURL) error {
	in.Name.apply(&u.Name, "")
	in.Slug.apply(&u.Slug, "")
	in.Paused.apply(&u.Paused, false)
	in.CORS.apply(&u.CORS, true)
	if in.Keep.null {
		u.Keep = hook.Keep{}
	}
	in.Keep.value.apply(&u.Keep)
	if in.Rate.set && !in.Rate.null {
		in.Rate.value = cmp.Or(in.Rate.value, -1) // as in keep: no limit is null
	}
	in.Rate.apply(&u.Rate, 0)
	if in.Response.null {
		u.Response = hook.DefaultResponse()
	}
	return in.Response.value.apply(&u.Response)
}

func (in keepInput) apply(k *hook.Keep) {
	set := func(to *int64, o member[int64]) {
		if o.set && !o.null {
			o.value = cmp.Or(o.value, -1) // a zero is no request for the default, it is a mistake for Validate to find
		}
		o.apply(to, 0)
	}
	set(&k.Requests, in.Requests)
	set(&k.Days, in.Days)
	set(&k.Bytes, in.Bytes)
}

func (in responseInput) apply(r *hook.Response) error {
	in.Status.apply(&r.Status, hook.DefaultResponse().Status)
	if in.Headers.set {
		r.Headers = nil
		for _, line := range in.Headers.value {
			r.Headers = append(r.Headers, hook.Header(line))
		}
	}
	if in.DelayMS.set {
		// In milliseconds first: a huge number must not become a small duration.
		ms := min(max(in.DelayMS.value, -1), hook.MaxResponseDelay.Milliseconds()+1)
		r.Delay = time.Duration(ms) * time.Millisecond
	}
	if in.Body.value != "" && len(in.BodyBase64.value) > 0 {
		return badField(hook.Invalid, "/response/body_base64", "must be null when there is a body")
	}
	if in.Body.set || in.BodyBase64.set {
		r.Body = append([]byte(in.Body.value), in.BodyBase64.value...)
	}
	return nil
}

// POST /api/v1/capture-urls
func (s *Server) apiCreateCaptureURL(w http.ResponseWriter, r *http.Request) error {
	if _, err := apiQuery(r); err != nil {
		return err
	}
	var in captureURLInput
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u := hook.CaptureURL{OwnerID: user(r).ID, CORS: true, Response: hook.DefaultResponse()}
	if err := in.apply(&u); err != nil {
		return err
	}
	if err := s.createCaptureURL(r.Context(), &u); err != nil {
		return err
	}
	created := s.captureURLJSON(r, hook.CaptureURLStats{CaptureURL: u})
	w.Header().Set("Location", s.Site.BasePath()+"/api/v1/capture-urls/"+created.ID)
	return writeJSON(w, http.StatusCreated, created)
}

// GET /api/v1/capture-urls
func (s *Server) apiCaptureURLs(w http.ResponseWriter, r *http.Request) error {
	query, err := apiQuery(r, "limit", "cursor")
	if err != nil {
		return err
	}
	limit, err := queryLimit(query)
	if err != nil {
		return err
	}
	before, err := queryID(query, "cursor", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	rows, err := s.Store.CaptureURLs(r.Context(), actor(r), store.CaptureURLPage{Before: before, Limit: limit + 1})
	if err != nil {
		return err
	}
	item := func(u hook.CaptureURLStats) captureURLJSON { return s.captureURLJSON(r, u) }
	id := func(u hook.CaptureURLStats) string { return u.ID.Text(hook.CaptureURLPrefix) }
	return writeJSON(w, http.StatusOK, newList(rows, limit, item, id))
}

// GET /api/v1/capture-urls/{id}
func (s *Server) apiCaptureURL(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	u, err := s.Store.CaptureURL(r.Context(), actor(r), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.captureURLJSON(r, u))
}

// PATCH /api/v1/capture-urls/{id}
func (s *Server) apiUpdateCaptureURL(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	var in captureURLInput
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := s.updateCaptureURL(r.Context(), actor(r), id, in.apply)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.captureURLJSON(r, u))
}

// DELETE /api/v1/capture-urls/{id}
func (s *Server) apiDeleteCaptureURL(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	cancel, err := queryCancel(r)
	if err != nil {
		return err
	}
	if err := s.deleteCaptureURL(r.Context(), actor(r), id, cancel); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// apiPathID returns the id in the path of a request that has no query.
func apiPathID(r *http.Request, prefix string) (hook.ID, error) {
	if _, err := apiQuery(r); err != nil {
		return 0, err
	}
	return pathID(r, "id", prefix)
}
