package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

const (
	listRows = 50 // requests on a page of the list

	// fragmentHeader is sent by app.js to get a part of a page: "detail" or "list". With any other value a form is
	// answered by its status alone.
	fragmentHeader = "Hookkeeper-Fragment"
)

func requestPath(captureURL, id hook.ID) string {
	return urlPath(captureURL) + "/requests/" + id.Text(hook.RequestPrefix)
}

// urlPage: GET /urls/{id} is the inspector with its newest requests; ?before= and ?after= give other pages of the list.
func (s *Server) urlPage(w http.ResponseWriter, r *http.Request) error {
	page, in, err := s.inspector(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	before, _ := hook.ParseID(hook.RequestPrefix, query.Get("before"))
	after, _ := hook.ParseID(hook.RequestPrefix, query.Get("after"))
	if in.List, err = s.requestList(r, in.URL.CaptureURLStats, store.RequestPage{Before: before, After: after}); err != nil {
		return err
	}
	if err := s.markUnread(r, &in); err != nil {
		return err
	}
	if r.Header.Get(fragmentHeader) == "list" {
		return s.render(w, r, http.StatusOK, templates.InspectorSide(page, in))
	}
	return s.render(w, r, http.StatusOK, templates.InspectorPage(page, in))
}

// showRequest: GET /urls/{id}/requests/{rid} is the inspector with one request open; ?tab= chooses how it is shown.
func (s *Server) showRequest(w http.ResponseWriter, r *http.Request) error {
	page, in, err := s.inspector(r)
	if err != nil {
		return err
	}
	detail, done, err := s.requestDetail(r, in.URL)
	defer done()
	fragment := r.Header.Get(fragmentHeader) == "detail"
	switch {
	case hook.Is(err, hook.NotFound) && !fragment:
		in.Gone = true
	case err != nil:
		return err
	default:
		in.Detail = detail
		page.Title = templates.RequestTitle(&detail.Request.Summary) + " · " + page.Title
	}
	if fragment {
		return s.render(w, r, http.StatusOK, templates.RequestDetail(page, *detail))
	}
	if err := s.listAround(r, &in); err != nil {
		return err
	}
	status := http.StatusOK
	if in.Gone {
		status = http.StatusNotFound
	}
	return s.render(w, r, status, templates.InspectorPage(page, in))
}

// inspector returns the page of a capture URL without its list.
func (s *Server) inspector(r *http.Request) (templates.Page, templates.Inspector, error) {
	page, u, err := s.ownURL(r, "")
	if err != nil {
		return page, templates.Inspector{}, err
	}
	page.Title = u.Name
	page.Crumbs = []templates.Crumb{home, {Name: u.Name}}
	page.Live = urlPath(u.ID) + "/live"
	return page, templates.Inspector{URL: u, Keep: u.Keep.Or(s.Keep)}, nil
}

// requestDetail returns the request that the path names, when it belongs to the capture URL; see wholeRequest.
func (s *Server) requestDetail(r *http.Request, u templates.URLItem) (detail *templates.Detail, done func(), err error) {
	request, done, err := s.ownWhole(r, u)
	if err != nil {
		return nil, done, err
	}
	detail = &templates.Detail{
		Request: request, URL: u.CaptureURL, Tab: templates.ParseTab(r.URL.Query().Get("tab")),
	}
	if detail.Deliveries, err = s.requestDeliveriesTab(r, u.ID, request.ID); err != nil {
		return nil, done, err
	}
	detail.Newer, detail.Older, err = s.Store.Neighbours(r.Context(), actor(r), u.ID, request.ID)
	return detail, done, err
}

// listAround fills the list with the page that has the open request in it: the newest one, or one that starts with it.
func (s *Server) listAround(r *http.Request, in *templates.Inspector) (err error) {
	in.List, err = s.requestList(r, in.URL.CaptureURLStats, store.RequestPage{})
	if err != nil {
		return err
	}
	if in.Detail != nil {
		open := in.Detail.Request.ID
		isOpen := func(row templates.Row) bool { return row.ID == open }
		if !slices.ContainsFunc(in.List.Rows, isOpen) {
			in.List, err = s.requestList(r, in.URL.CaptureURLStats, store.RequestPage{Before: open + 1})
			if err != nil {
				return err
			}
		}
		if i := slices.IndexFunc(in.List.Rows, isOpen); i >= 0 {
			in.List.Rows[i].Selected = true
		}
	}
	return s.markUnread(r, in)
}

// requestList returns a page of requests, newest first. A page that turns out to be empty is replaced by the newest one.
func (s *Server) requestList(r *http.Request, u hook.CaptureURLStats, page store.RequestPage) (templates.RequestList, error) {
	page.Limit = listRows + 1
	requests, err := s.Store.Requests(r.Context(), actor(r), u.ID, page)
	if err != nil {
		return templates.RequestList{}, err
	}
	if len(requests) == 0 && (page.Before != 0 || page.After != 0) {
		return s.requestList(r, u, store.RequestPage{})
	}
	more := len(requests) > listRows
	requests = requests[:min(len(requests), listRows)]
	list := templates.RequestList{Older: more}
	if page.After != 0 {
		slices.Reverse(requests)
		list.Older, list.Newer = true, more
	} else if page.Before != 0 {
		list.Newer = requests[0].ID < u.LastRequestID
	}
	for _, request := range requests {
		list.Rows = append(list.Rows, templates.Row{Summary: request})
	}
	return list, s.markOutcomes(r.Context(), list.Rows)
}

// markUnread marks what has arrived since the viewer last looked.
func (s *Server) markUnread(r *http.Request, in *templates.Inspector) error {
	seen, err := s.Store.SeenUpTo(r.Context(), user(r).ID)
	if err != nil {
		return err
	}
	for i := range in.List.Rows {
		row := &in.List.Rows[i]
		row.Unread = row.ID > seen[in.URL.ID] && !row.Selected
		in.Unread = in.Unread || row.Unread
	}
	return nil
}

// markSeen: POST /urls/{id}/seen, with up_to
func (s *Server) markSeen(w http.ResponseWriter, r *http.Request) error {
	_, u, err := s.ownURL(r, "")
	if err != nil {
		return err
	}
	upTo, ok := hook.ParseID(hook.RequestPrefix, r.PostForm.Get("up_to"))
	if !ok {
		return hook.Errorf(hook.Malformed, "up_to is not the id of a request.")
	}
	// Nobody has seen what has not arrived: an id from the future would hide it.
	if err := s.Store.MarkSeen(r.Context(), user(r).ID, u.ID, min(upTo, u.LastRequestID)); err != nil {
		return err
	}
	return s.formDone(w, r, urlPath(u.ID))
}

// formDone answers a form: app.js is told that it is done, a browser is sent on.
func (s *Server) formDone(w http.ResponseWriter, r *http.Request, path string) error {
	if r.Header.Get(fragmentHeader) == "" {
		return s.redirect(w, r, path)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// clearPage: GET /urls/{id}/clear asks first.
func (s *Server) clearPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Delete all requests")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, templates.ConfirmClear(page, u))
}

// clearURL: POST /urls/{id}/clear deletes all requests of a capture URL.
func (s *Server) clearURL(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	if err := s.clearRequests(r.Context(), actor(r), id, true); err != nil {
		return err
	}
	s.flash(r, "All requests are deleted.")
	return s.redirect(w, r, urlPath(id))
}

// downloadRequest: GET /urls/{id}/requests/{rid}/body
func (s *Server) downloadRequest(w http.ResponseWriter, r *http.Request) error {
	_, u, err := s.ownURL(r, "")
	if err != nil {
		return err
	}
	request, done, err := s.ownWhole(r, u)
	defer done()
	if err != nil {
		return err
	}
	return download(w, request)
}

// removeRequest: POST /urls/{id}/requests/{rid}/delete goes on with the next older one.
func (s *Server) removeRequest(w http.ResponseWriter, r *http.Request) error {
	_, u, request, err := s.ownRequest(r, "")
	if err != nil {
		return err
	}
	_, older, err := s.Store.Neighbours(r.Context(), actor(r), u.ID, request)
	if err != nil {
		return err
	}
	if err := s.deleteRequest(r.Context(), actor(r), request, true); err != nil {
		return err
	}
	s.flash(r, "The request is deleted.")
	if older != 0 {
		return s.redirect(w, r, requestPath(u.ID, older))
	}
	return s.redirect(w, r, urlPath(u.ID))
}

// testBody is what a test request sends.
const testBody = `{"event":"hookkeeper.test","message":"Hello from Hookkeeper","sent_at":"`

// sendTest: POST /urls/{id}/test sends a request to the capture URL as any sender would, without the network between.
func (s *Server) sendTest(w http.ResponseWriter, r *http.Request) error {
	_, u, err := s.ownURL(r, "")
	if err != nil {
		return err
	}
	if u.Paused {
		return s.refuseTest(w, r, u.ID)
	}
	request, err := testRequest(r, u.CaptureURL)
	if err != nil {
		return err
	}
	answer := &answerStatus{header: http.Header{}}
	s.Capture.ServeHTTP(answer, request)
	if answer.header.Get("Hookkeeper-Request-Id") == "" {
		return hook.Errorf(hook.Unavailable, "The test request was not captured: the answer was %d %s.", answer.status,
			http.StatusText(answer.status))
	}
	return s.formDone(w, r, urlPath(u.ID))
}

// refuseTest says what has to come before a test request: it would be turned away as senders are. app.js then has the browser post
// the form itself, which shows this.
func (s *Server) refuseTest(w http.ResponseWriter, r *http.Request, id hook.ID) error {
	const why = "The capture URL is paused: resume capturing to send a test request."
	if r.Header.Get(fragmentHeader) != "" {
		return hook.Errorf(hook.Conflict, why)
	}
	s.flash(r, why)
	return s.redirect(w, r, urlPath(id))
}

// testRequest returns a request as the capture handler gets it from a socket. It comes from where the browser is.
func testRequest(r *http.Request, u hook.CaptureURL) (*http.Request, error) {
	body := testBody + time.Now().UTC().Format(time.RFC3339) + `"}`
	target := "/in/" + u.Slug
	request, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.RequestURI, request.Host, request.RemoteAddr, request.TLS = target, r.Host, r.RemoteAddr, r.TLS
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Hookkeeper (test request)")
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} { // from a proxy of ours, or ignored
		if values := r.Header.Values(name); len(values) > 0 {
			request.Header[name] = slices.Clone(values)
		}
	}
	return request, nil
}

// answerStatus is a http.ResponseWriter that keeps status and headers and drops the body.
type answerStatus struct {
	header http.Header
	status int
}

func (a *answerStatus) Header() http.Header { return a.header }

func (a *answerStatus) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(b), nil
}

func (a *answerStatus) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// SetReadDeadline does nothing: the body is in memory.
func (a *answerStatus) SetReadDeadline(time.Time) error { return nil }
