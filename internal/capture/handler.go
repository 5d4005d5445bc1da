package capture

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// Options is what a Handler is made of.
type Options struct {
	Store   *store.Store
	Proxies netid.Proxies
	Cookies []string // names of the dashboard's cookies, which are never stored
	MaxBody int64    // bytes
	// SharedOrigin is true when the dashboard is served on the same host name.
	SharedOrigin bool
	Tally        *tally.Tally // counts what is refused; may be nil
	Log          *slog.Logger
}

// Handler captures. Its ServeHTTP expects a request whose RequestURI starts with /in/.
type Handler struct {
	Options
	budget   *budget
	rates    rates
	delays   delays
	draining atomic.Bool
	stopping context.Context // ends the delays of answers
	stop     context.CancelFunc
	closing  atomic.Bool
}

// New returns a handler.
func New(o Options) *Handler {
	h := &Handler{Options: o, budget: newBudget(hook.BytesInFlight, hook.SmallReserve)}
	h.stopping, h.stop = context.WithCancel(context.Background())
	return h
}

// Announce makes every answer say that the connection will be closed, so that senders open new ones elsewhere. Requests
// are still stored.
func (h *Handler) Announce() { h.closing.Store(true) }

// Drain refuses new requests with 503 and ends the delays of answers that are due.
func (h *Handler) Drain() {
	h.draining.Store(true)
	h.stop()
}

// ServeHTTP stores one request and answers it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.closing.Load() {
		w.Header().Set("Connection", "close")
	}
	path, query, bareQuery := splitTarget(r.RequestURI)
	url := h.Store.CaptureURLBySlug(slugOf(path))
	if !h.plausible(w, r, url) {
		return
	}
	if url == nil {
		h.refuse(w, nil, hook.LimitUnknownURL, "There is no capture URL at this address.\n")
		return
	}
	if isPreflight(r) && url.CORS {
		answerPreflight(w, r)
		return
	}
	if !h.admits(w, r, url) {
		return
	}
	if id := h.receive(w, r, url, h.describe(r, url, path, query, bareQuery)); id != 0 {
		h.answer(w, r, url, id)
	}
}

// receive stores a request and returns its id, 0 when it was refused. The body and its charge are let go: the answer may be
// delayed, and whoever reads it may be slow.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL, request described) hook.ID {
	charge := h.budget.open(url.ID, netid.Network(request.clientAddr))
	defer charge.release()
	body, err := h.readBody(w, r, &charge)
	switch {
	case errors.Is(err, errTooLarge):
		h.storeTruncated(w, r, url, request.Request)
		return 0
	case errors.Is(err, errBudget):
		h.refuseForNow(w, url, hook.LimitBytesInFlight, "Too many bytes are being received right now. Send the request again.\n")
		return 0
	case err != nil:
		h.refuseCut(w, url, err)
		return 0
	case headerLines(r.Trailer) > hook.MaxTrailerLines:
		h.refuse(w, url, hook.LimitTrailerLines, "There are more than "+strconv.Itoa(hook.MaxTrailerLines)+" trailer lines.\n")
		return 0
	}
	request.Body, request.BodySize = body, int64(len(body))
	request.Trailers = headerList(r.Trailer, nil)
	request.ResponseStatus = url.Response.Status
	request.Routes = routes(request.Request, h.Store.SubscriptionsOf(url.ID))
	if err := h.Store.Capture(request.Request); err != nil {
		h.refuseUnstored(w, url, err)
		return 0
	}
	return request.ID
}

// described is a request with its sender's address as a key.
type described struct {
	*hook.Request
	clientAddr netip.Addr
}

// describe copies everything but the body of a request.
func (h *Handler) describe(r *http.Request, url *hook.CaptureURL, path, query string, bareQuery bool) described {
	client := h.Proxies.Client(r)
	request := &hook.Request{Summary: hook.Summary{
		CaptureURLID: url.ID, ReceivedAt: time.Now(), Method: r.Method, Scheme: "http", Host: r.Host, Path: path, Query: query,
		BareQuery: bareQuery, Proto: r.Proto, Chunked: isChunked(r), RemoteAddr: r.RemoteAddr, ClientAddr: client.String(),
		ContentType: r.Header.Get("Content-Type"),
	}}
	if r.TLS != nil {
		request.TLS = tlsVersion(r.TLS.Version)
	}
	if h.Proxies.HTTPS(r) {
		request.Scheme = "https"
	}
	request.CookieRemoved = cutCookies(r.Header, h.Cookies)
	request.Headers = headerList(r.Header, &hook.Header{Name: "Host", Value: r.Host})
	return described{request, client}
}

// storeTruncated stores all but the body of a request that is over the limit, and answers 413 whether or not it could.
func (h *Handler) storeTruncated(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL, request *hook.Request) {
	request.Truncated = true
	request.BodySize = max(r.ContentLength, 0)
	request.ResponseStatus = http.StatusRequestEntityTooLarge
	if err := h.Store.Capture(request); err != nil {
		h.refuseUnstored(w, url, err)
		return
	}
	w.Header().Set("Connection", "close") // what is left of the body is not worth reading
	w.Header().Set("Hookkeeper-Request-Id", request.ID.Text(hook.RequestPrefix))
	h.refuse(w, url, hook.LimitBodySize, "The body is larger than the "+strconv.FormatInt(h.MaxBody, 10)+
		" bytes that are captured here. The request was noted without it.\n")
}

// answer sends the capture URL's own answer.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL, id hook.ID) {
	response := &url.Response
	if response.Delay > 0 {
		h.delay(w, r, url.ID, response.Delay)
	}
	header := w.Header()
	setPublic(header, url)
	header["Content-Type"] = textPlain
	replaced := map[string]bool{}
	for _, item := range response.Headers {
		if h.SharedOrigin && item.ChangesBrowserState() { // saved while capture URLs had a host of their own
			continue
		}
		name := http.CanonicalHeaderKey(item.Name)
		if !replaced[name] {
			header.Del(name)
			replaced[name] = true
		}
		header.Add(name, item.Value)
	}
	header["Hookkeeper-Request-Id"] = []string{id.Text(hook.RequestPrefix)}
	w.WriteHeader(response.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(response.Body) // the sender has left: the request is stored all the same
	}
}

// delay lets the delay of an answer pass. What is one too many is answered at once: the request is on disk.
// Its connection is closed, because with so many of them it is connections that run out.
func (h *Handler) delay(w http.ResponseWriter, r *http.Request, url hook.ID, d time.Duration) {
	if !h.delays.begin(url) {
		h.Tally.Count(hook.LimitDelays)
		w.Header().Set("Connection", "close")
		return
	}
	defer h.delays.end(url)
	h.wait(r.Context(), d)
}

// wait passes the time, less when the sender leaves or the server stops.
func (h *Handler) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-h.stopping.Done():
	}
}

// slugOf returns the segment behind /in/.
func slugOf(path string) string {
	slug, _, _ := strings.Cut(strings.TrimPrefix(path, "/in/"), "/")
	return slug
}

// splitTarget cuts a request target into path and query; bare tells of a question mark with nothing behind it.
func splitTarget(target string) (path, query string, bare bool) {
	path, query, found := strings.Cut(target, "?")
	return path, query, found && query == ""
}
