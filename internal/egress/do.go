package egress

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// maxDrained is what is read of an answer's body behind the part that is kept, so that the connection can be used again.
const maxDrained = 256 << 10

// Request is one request to send.
type Request struct {
	Method string
	URL    string
	// Header goes out as it stands, values of one name in their order. Host, Content-Length, Transfer-Encoding and
	// Trailer are left out, they follow from the URL and the body, and so is a second User-Agent.
	Header  []hook.Header
	Body    []byte
	Timeout time.Duration // of everything; hook.DefaultDeliveryTimeout when it is 0
}

// Answer is what came back, as far as it came.
type Answer struct {
	Status     int    // 0 without an answer
	Proto      string // HTTP/1.1
	Headers    []hook.Header
	Body       []byte // as sent: not decompressed; at most hook.MaxResponseKept
	Truncated  bool   // there was more body than is kept
	RemoteAddr string // the address that was dialled, ip:port; "" when none was
	TLS        string // "TLS 1.3", "" without
	Timing     Timing
}

// Timing is where the time went. A phase that did not take place took none.
type Timing struct {
	DNS, Connect, TLS time.Duration // of the connection's set-up; none when Reused
	FirstByte         time.Duration // from having the connection to the first byte of the answer
	Total             time.Duration // from the start to the end of the body that was read
	Reused            bool          // the connection had been used before
}

// Do sends a request and reads the answer. An answer of any status is none of its errors, which are *Refused and *Error;
// the Answer then holds what is known. When ctx ends before the answer does, the error wraps ctx's.
func (g *Guard) Do(ctx context.Context, r Request) (Answer, error) {
	x := &exchange{caller: ctx, timeout: cmp.Or(r.Timeout, hook.DefaultDeliveryTimeout), began: time.Now()}
	err := x.run(g, r)
	x.answer.Timing.Total = time.Since(x.began)
	return x.answer, err
}

// exchange is one Do under way.
type exchange struct {
	caller  context.Context
	ctx     context.Context // caller with the deadline
	timeout time.Duration
	began   time.Time
	trace   httptrace.ClientTrace
	answer  Answer

	connected time.Time    // when there was a connection; zero before
	firstByte atomic.Int64 // nanoseconds since began; net/http may set it when Do has given up
}

func (x *exchange) run(g *Guard, r Request) error {
	if err := g.Check(r.URL); err != nil {
		if refused, ok := errors.AsType[*Refused](err); ok {
			return refused
		}
		return &Error{PhaseRequest, "the target URL " + err.Error(), err}
	}
	x.trace = httptrace.ClientTrace{GotConn: x.gotConn, GotFirstResponseByte: x.gotFirstByte}
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(x.caller, &x.trace), x.timeout)
	defer cancel()
	x.ctx = ctx
	request, err := r.build(ctx)
	if err != nil {
		return unsendable(err)
	}
	// A round trip is one request: following redirects, keeping cookies and the like is what http.Client adds to it.
	response, err := g.transport.RoundTrip(request)
	if err != nil {
		return x.failure(err)
	}
	defer response.Body.Close()
	return x.read(response)
}

// build returns the request for net/http, bound to ctx.
func (r Request) build(ctx context.Context) (*http.Request, error) {
	if r.Method == http.MethodConnect {
		return nil, errors.New("CONNECT asks for a tunnel")
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	keepPath(request.URL, r.URL)
	request.Header = headerMap(r.Header)
	return request, nil
}

// headerMap has one more name than headers, User-Agent with no value, which stops net/http from adding its own.
func headerMap(headers []hook.Header) http.Header {
	values := make([]string, len(headers))
	header := make(http.Header, len(headers)+1)
	for i, h := range headers {
		values[i] = h.Value
		if before := header[h.Name]; before != nil {
			header[h.Name] = append(before, h.Value)
		} else {
			header[h.Name] = values[i : i+1 : i+1]
		}
	}
	if _, given := header["User-Agent"]; !given {
		header["User-Agent"] = nil
	}
	return header
}

// keepPath has the path sent as it stands in target where net/url would encode characters that are not quite allowed, a |
// or a {, but that the sender of a captured request has sent: the target may sign over it. What is not ASCII is encoded.
func keepPath(u *url.URL, target string) {
	_, rest, _ := strings.Cut(target, "://")
	start := strings.IndexAny(rest, "/?")
	if start < 0 {
		return
	}
	path, _, _ := strings.Cut(rest[start:], "?")
	ascii := !strings.ContainsFunc(path, func(r rune) bool { return r > '~' })
	if ascii && path != u.EscapedPath() && !strings.HasPrefix(path, "//") { // with // net/url would take it for a host
		u.Opaque = path
	}
}

// unsendable is the error of a request that net/http does not send. Its texts name headers but not their values.
func unsendable(err error) error {
	return &Error{PhaseRequest, "the request cannot be sent: " + quoted(strings.TrimPrefix(err.Error(), "net/http: ")), err}
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.connected = time.Now()
	x.answer.Timing.Reused = info.Reused
	if c, ok := info.Conn.(*conn); ok {
		x.note(c.setUp)
	}
}

func (x *exchange) gotFirstByte() { x.firstByte.Store(int64(time.Since(x.began))) }

// note copies what is known of a connection into the answer.
func (x *exchange) note(s setUp) {
	x.answer.RemoteAddr, x.answer.TLS = s.remote, s.version
	timing := &x.answer.Timing
	timing.DNS, timing.Connect, timing.TLS = s.dns, s.connect, s.tls
	if timing.Reused {
		timing.DNS, timing.Connect, timing.TLS = 0, 0, 0
	}
}

// failure returns the error of a round trip that failed.
func (x *exchange) failure(err error) error {
	if dialled, ok := errors.AsType[*dialError](err); ok {
		x.note(dialled.setUp)
		return dialled.err
	}
	switch {
	case x.ctx.Err() != nil && x.connected.IsZero():
		return x.outOfTime(PhaseConnect, "no connection")
	case x.ctx.Err() != nil:
		return x.outOfTime(PhaseAnswer, "no answer")
	case x.connected.IsZero():
		return unsendable(err)
	}
	return exchangeFailure(err)
}

// outOfTime says what has not happened within the timeout, or before the caller gave up.
func (x *exchange) outOfTime(phase Phase, what string) error {
	if err := x.caller.Err(); err != nil {
		return &Error{phase, what + " before the attempt was stopped", err}
	}
	return &Error{phase, what + " within " + seconds(x.timeout), x.ctx.Err()}
}

// read takes over the answer.
func (x *exchange) read(response *http.Response) error {
	answer := &x.answer
	if first := x.firstByte.Load(); first != 0 {
		answer.Timing.FirstByte = max(0, time.Duration(first)-x.connected.Sub(x.began))
	}
	if response.StatusCode < 100 {
		return &Error{PhaseAnswer, "the answer's status is no number from 100 to 999: " + strconv.Itoa(response.StatusCode), nil}
	}
	answer.Status, answer.Proto, answer.Headers = response.StatusCode, response.Proto, sorted(response.Header)
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil // what follows is no body, and may never end
	}
	var err error
	answer.Body, answer.Truncated, err = readBody(response.Body)
	switch {
	case err == nil:
		return nil
	case x.ctx.Err() != nil:
		return x.outOfTime(PhaseBody, "the answer's body did not end")
	}
	return &Error{PhaseBody, "the answer's body broke off", err}
}

// readBody returns the part of the body that is kept. An error behind it is none: nobody asked for more.
func readBody(body io.Reader) (kept []byte, truncated bool, err error) {
	kept, err = io.ReadAll(io.LimitReader(body, hook.MaxResponseKept))
	if err != nil || len(kept) < hook.MaxResponseKept {
		return kept, false, err
	}
	n, err := io.CopyN(io.Discard, body, maxDrained)
	return kept, n > 0 || !errors.Is(err, io.EOF), nil
}

// sorted returns the headers by name, the values of a name in their order.
func sorted(header http.Header) []hook.Header {
	headers := make([]hook.Header, 0, len(header))
	for name, values := range header {
		for _, value := range values {
			headers = append(headers, hook.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(headers, func(a, b hook.Header) int { return strings.Compare(a.Name, b.Name) })
	return headers
}
