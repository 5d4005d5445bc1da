package capture

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

var (
	textPlain = []string{"text/plain; charset=utf-8"}
	noSniff   = []string{"nosniff"}
	sandbox   = []string{"sandbox"}
	anyOrigin = []string{"*"}
)

// setPublic sets the headers of every answer: whatever it says, it is nothing that a browser may run as part of the
// dashboard.
func setPublic(header http.Header, url *hook.CaptureURL) {
	header["X-Content-Type-Options"] = noSniff
	header["Content-Security-Policy"] = sandbox
	if url != nil && url.CORS {
		header["Access-Control-Allow-Origin"] = anyOrigin
	}
}

// refuse answers a request that is not stored, or not whole, with a sentence.
func (h *Handler) refuse(w http.ResponseWriter, url *hook.CaptureURL, limit hook.Limit, text string) {
	if url != nil {
		h.Tally.CountURL(url.ID, limit)
	} else {
		h.Tally.Count(limit)
	}
	header := w.Header()
	setPublic(header, url)
	header["Content-Type"] = textPlain
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(limit.Status())
	_, _ = w.Write([]byte(text)) // net/http leaves the body out for HEAD; a sender that left needs no answer
}

// refuseForNow answers 503: the same request can be sent again.
func (h *Handler) refuseForNow(w http.ResponseWriter, url *hook.CaptureURL, limit hook.Limit, text string) {
	w.Header().Set("Retry-After", "5")
	h.refuse(w, url, limit, text)
}

// refuseCut answers a body that did not arrive whole. Nothing on the connection can be trusted after it.
func (h *Handler) refuseCut(w http.ResponseWriter, url *hook.CaptureURL, err error) {
	limit := hook.LimitBodyCut
	if errors.Is(err, os.ErrDeadlineExceeded) {
		limit = hook.LimitBodyTime
	}
	w.Header().Set("Connection", "close")
	h.refuse(w, url, limit, "The body did not arrive whole: nothing was stored.\n")
}

// refuseUnstored answers a request that the store did not take.
func (h *Handler) refuseUnstored(w http.ResponseWriter, url *hook.CaptureURL, err error) {
	e, ok := errors.AsType[*hook.Error](err)
	if ok && e.Kind == hook.NotFound { // deleted while the body was on its way
		h.refuse(w, nil, hook.LimitUnknownURL, "There is no capture URL at this address.\n")
		return
	}
	if !ok || e.Kind != hook.Unavailable {
		h.Log.Error("storing a request failed", "error", err)
	}
	why := "The request could not be stored."
	if hook.LimitOf(err) == hook.LimitFull {
		why = "This capture URL is full: what it holds is still to be delivered."
	}
	h.refuseForNow(w, url, cmp.Or(hook.LimitOf(err), hook.LimitUnwritable), why+" Send the request again.\n")
}

// plausible refuses what no capture URL takes; url is nil when there is none.
func (h *Handler) plausible(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL) bool {
	switch {
	case r.ProtoMajor != 1 || r.Method == "PRI":
		h.refuseProtocol(w, url)
	case len(r.Method) > hook.MaxMethodLen:
		h.refuse(w, url, hook.LimitMethod, "The method is longer than "+strconv.Itoa(hook.MaxMethodLen)+" characters.\n")
	case len(r.RequestURI) > hook.MaxTargetLen:
		h.refuse(w, url, hook.LimitTarget, "Path and query are longer than "+strconv.Itoa(hook.MaxTargetLen)+" bytes.\n")
	case headerLines(r.Header) > hook.MaxHeaderLines:
		h.refuse(w, url, hook.LimitHeaderLines, "There are more than "+strconv.Itoa(hook.MaxHeaderLines)+" header lines.\n")
	case hasUnknownLength(r):
		w.Header().Set("Connection", "close")
		h.refuse(w, url, hook.LimitProtocol, "A request with HTTP/1.0 and this method needs a Content-Length.\n")
	default:
		return true
	}
	return false
}

func (h *Handler) refuseProtocol(w http.ResponseWriter, url *hook.CaptureURL) {
	w.Header().Set("Connection", "close")
	h.refuse(w, url, hook.LimitProtocol, "Capture URLs speak HTTP/1.1.\n")
}

// hasUnknownLength tells of an HTTP/1.0 request that may have a body of which nothing says where it ends: net/http takes
// it for empty, also when it came with a Transfer-Encoding (which HTTP/1.0 does not have).
func hasUnknownLength(r *http.Request) bool {
	if r.ProtoAtLeast(1, 1) || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false
	}
	return r.Header["Content-Length"] == nil
}

// headerLines counts the lines beside Host.
func headerLines(header http.Header) (n int) {
	for _, values := range header {
		n += len(values)
	}
	return n
}

// admits refuses what this capture URL does not take now.
func (h *Handler) admits(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL) bool {
	switch {
	case runsInPage(r):
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		h.refuse(w, url, hook.LimitInPage, "")
	case h.draining.Load():
		w.Header().Set("Connection", "close")
		h.refuseForNow(w, url, hook.LimitDraining, "The server is stopping. Send the request again.\n")
	case url.Paused:
		w.Header().Set("Retry-After", "60")
		h.refuse(w, url, hook.LimitPaused, "This capture URL is paused. Send the request again later.\n")
	case hops(r) > hook.MaxHops:
		h.refuse(w, url, hook.LimitHops, "The request has been passed on too often: it seems to go in a circle.\n")
	default:
		return h.withinRate(w, r, url)
	}
	return false
}

// withinRate refuses what comes faster than the owner of the capture URL wants.
func (h *Handler) withinRate(w http.ResponseWriter, r *http.Request, url *hook.CaptureURL) bool {
	wait := h.rates.wait(url, time.Now())
	if wait == 0 {
		return true
	}
	// Who does not mind being refused is slowed down: a refusal costs less than a capture, and as many of them as a connection
	// can carry would cost the neighbours more.
	h.wait(r.Context(), min(wait, hook.RefusalPause))
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	h.refuse(w, url, hook.LimitRate, "This capture URL takes "+strconv.FormatFloat(url.Rate, 'f', -1, 64)+
		" requests a second at most: nothing was stored. Send the request again later.\n")
	return false
}

// runsInPage tells of a request by which a page of the same origin would run the answer, as a script or a plug-in. The
// headers are a browser's own (Fetch Metadata): no page can set them.
func runsInPage(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "script", "style", "worker", "sharedworker", "serviceworker", "object", "embed":
		return true
	}
	return false
}

// hops returns how often instances of Hookkeeper have passed the request on; what is no number counts as too often.
func hops(r *http.Request) int {
	value := r.Header.Get("Hookkeeper-Hops")
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return hook.MaxHops + 1
	}
	return n
}

// isPreflight tells of a browser that asks whether a page may send a request (Fetch standard, CORS-preflight).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func answerPreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	setPublic(header, nil)
	header["Access-Control-Allow-Origin"] = anyOrigin
	header.Set("Access-Control-Allow-Methods", headerSafe(r.Header.Get("Access-Control-Request-Method")))
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		header.Set("Access-Control-Allow-Headers", headerSafe(names))
	}
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// headerSafe returns value without anything that is not part of a list of names.
func headerSafe(value string) string {
	return strings.Map(func(c rune) rune {
		if c > ' ' && c < 0x7f || c == ' ' {
			return c
		}
		return -1
	}, value)
}
