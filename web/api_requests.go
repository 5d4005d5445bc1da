package web

import (
	"bufio"
	"net/http"
	"slices"
	"strconv"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/snippet"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// requestSummaryJSON is a request as a list of the API shows it.
type requestSummaryJSON struct {
	ID           string       `json:"id"`
	CaptureURLID string       `json:"capture_url_id"`
	ReceivedAt   *string      `json:"received_at"`
	Method       string       `json:"method"`
	Scheme       string       `json:"scheme"`
	Host         string       `json:"host"`
	Path         string       `json:"path"`
	PathBase64   *string      `json:"path_base64"`
	SubPath      string       `json:"sub_path"`
	Query        string       `json:"query"`
	QueryBase64  *string      `json:"query_base64"`
	Proto        string       `json:"proto"`
	Framing      string       `json:"framing"`
	RemoteAddr   string       `json:"remote_addr"`
	ClientAddr   string       `json:"client_addr"`
	TLS          *string      `json:"tls"`
	ContentType  string       `json:"content_type"`
	BodySize     int64        `json:"body_size"`
	Truncated    bool         `json:"truncated"`
	Response     answeredJSON `json:"response"`
}

// requestJSON is one request, whole, but for the members body and body_base64, which writeWithBody puts behind its own.
type requestJSON struct {
	requestSummaryJSON
	Headers    []headerJSON   `json:"headers"`
	Trailers   []headerJSON   `json:"trailers"`
	Deliveries []deliveryJSON `json:"deliveries"`
}

// answeredJSON is what the sender was answered.
type answeredJSON struct {
	Status int `json:"status"`
}

type headerJSON struct {
	Name        string  `json:"name"`
	Value       string  `json:"value"`
	ValueBase64 *string `json:"value_base64"`
}

func newRequestSummaryJSON(q hook.Summary) requestSummaryJSON {
	doc := requestSummaryJSON{
		ID:           q.ID.Text(hook.RequestPrefix),
		CaptureURLID: q.CaptureURLID.Text(hook.CaptureURLPrefix),
		ReceivedAt:   apiTime(q.ReceivedAt),
		Method:       q.Method,
		Scheme:       q.Scheme,
		Host:         q.Host,
		Path:         q.Path,
		PathBase64:   base64IfNeeded(q.Path),
		SubPath:      q.SubPath(),
		Query:        q.Query,
		QueryBase64:  base64IfNeeded(q.Query),
		Proto:        q.Proto,
		Framing:      q.Framing(),
		RemoteAddr:   q.RemoteAddr,
		ClientAddr:   q.ClientAddr,
		ContentType:  q.ContentType,
		BodySize:     q.BodySize,
		Truncated:    q.Truncated,
		Response:     answeredJSON{q.ResponseStatus},
	}
	if q.TLS != "" {
		doc.TLS = &q.TLS
	}
	return doc
}

func newRequestJSON(q *hook.Request) requestJSON {
	return requestJSON{
		requestSummaryJSON: newRequestSummaryJSON(q.Summary),
		Headers:            headerList(q.Headers),
		Trailers:           headerList(q.Trailers),
	}
}

func headerList(headers []hook.Header) (lines []headerJSON) {
	for _, h := range headers {
		lines = append(lines, headerJSON{h.Name, h.Value, base64IfNeeded(h.Value)})
	}
	return lines
}

// GET /api/v1/capture-urls/{id}/requests gives a page of older requests, or with after= one of newer ones.
func (s *Server) apiRequests(w http.ResponseWriter, r *http.Request) error {
	captureURL, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	page, err := requestPage(r)
	if err != nil {
		return err
	}
	if err := s.checkPosition(r, captureURL, page.After); err != nil {
		return err
	}
	limit := page.Limit
	page.Limit++ // one more tells whether there is a next page
	read := func() ([]hook.Summary, error) { return s.Store.Requests(r.Context(), actor(r), captureURL, page) }
	rows, done, err := readPage(s, r, read, func(q *hook.Summary) int {
		return len(q.Host) + len(q.Path) + len(q.Query) + len(q.ContentType)
	})
	defer done()
	if err != nil {
		return err
	}
	id := func(q hook.Summary) string { return q.ID.Text(hook.RequestPrefix) }
	return writeJSON(w, http.StatusOK, newList(rows, limit, newRequestSummaryJSON, id))
}

// requestPage reads from the query which page of requests is meant.
func requestPage(r *http.Request) (page store.RequestPage, err error) {
	query, err := apiQuery(r, "limit", "cursor", "after")
	if err != nil {
		return page, err
	}
	if query.Has("cursor") && query.Has("after") {
		return page, hook.Errorf(hook.Malformed, "cursor and after exclude each other: one goes back in time, one forward.")
	}
	if page.Limit, err = queryLimit(query); err != nil {
		return page, err
	}
	if page.Before, err = queryID(query, "cursor", hook.RequestPrefix); err != nil {
		return page, err
	}
	page.After, err = queryID(query, "after", hook.RequestPrefix)
	return page, err
}

// checkPosition refuses the id of a request that was sent elsewhere as a place in the list of captureURL. An id that
// nothing has any more is a place like any other: retention must not stop who reads along. So is one of somebody else, or it
// would tell which they have.
func (s *Server) checkPosition(r *http.Request, captureURL, after hook.ID) error {
	if after == 0 {
		return nil
	}
	belongs, err := s.Store.CaptureURLOf(r.Context(), actor(r), after)
	switch {
	case hook.Is(err, hook.NotFound):
		return nil
	case err == nil && belongs != captureURL:
		return hook.Errorf(hook.NotFound, "after is not a request of this capture URL.")
	}
	return err
}

// GET /api/v1/capture-urls/{id}/requests/latest
func (s *Server) apiLatestRequest(w http.ResponseWriter, r *http.Request) error {
	captureURL, err := apiPathID(r, hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	newest, err := s.Store.Requests(r.Context(), actor(r), captureURL, store.RequestPage{Limit: 1})
	if err != nil {
		return err
	}
	if len(newest) == 0 {
		return hook.Errorf(hook.NotFound, "There is no such request.")
	}
	done, err := s.reading.wait(r.Context(), user(r).ID, newest[0].BodySize)
	if err != nil {
		return err
	}
	defer done()
	q, err := s.Store.LatestRequest(r.Context(), actor(r), captureURL) // not by its id: retention may have removed that one
	if err != nil {
		return err
	}
	return s.writeRequest(w, r, q)
}

// GET /api/v1/requests/{id}
func (s *Server) apiRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.RequestPrefix)
	if err != nil {
		return err
	}
	q, done, err := s.wholeRequest(r, id)
	defer done()
	if err != nil {
		return err
	}
	return s.writeRequest(w, r, q)
}

func (s *Server) writeRequest(w http.ResponseWriter, r *http.Request, q *hook.Request) (err error) {
	doc := newRequestJSON(q)
	if doc.Deliveries, err = s.requestDeliveries(r, q.ID); err != nil {
		return err
	}
	return writePieces(w, http.StatusOK, func(out *bufio.Writer) error { return writeWithBody(out, doc, "body", q.Body) })
}

// GET /api/v1/requests/{id}/body
func (s *Server) apiRequestBody(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.RequestPrefix)
	if err != nil {
		return err
	}
	q, done, err := s.wholeRequest(r, id)
	defer done()
	if err != nil {
		return err
	}
	return download(w, q)
}

// download sends the body of a request as bytes to keep, in a way that no browser shows or runs: its content was chosen
// by a stranger.
func download(w http.ResponseWriter, q *hook.Request) error {
	if q.Truncated {
		return hook.Errorf(hook.NotFound, "The body was over the limit and was not kept.")
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+snippet.BodyFile(q.ID)+`"`)
	h.Set("Content-Length", strconv.Itoa(len(q.Body)))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, _ = inPace(w).Write(q.Body) // the reader has left: nobody to tell
	return nil
}

// DELETE /api/v1/requests/{id}
func (s *Server) apiDeleteRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.RequestPrefix)
	if err != nil {
		return err
	}
	cancel, err := queryCancel(r)
	if err != nil {
		return err
	}
	if err := s.deleteRequest(r.Context(), actor(r), id, cancel); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// DELETE /api/v1/capture-urls/{id}/requests deletes them all, and wants to be told so: a forgotten filter must not.
func (s *Server) apiClearRequests(w http.ResponseWriter, r *http.Request) error {
	captureURL, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	cancel, err := queryCancel(r, "all")
	if err != nil {
		return err
	}
	if !slices.Equal(r.URL.Query()["all"], []string{"true"}) {
		return hook.Errorf(hook.Malformed, "This deletes all requests of the capture URL: confirm with all=true.")
	}
	if err := s.clearRequests(r.Context(), actor(r), captureURL, cancel); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
