package hook

import "time"

// Header is one value of one header. A name that came with three values makes three Headers, in the order of the
// values. Values are the bytes that were sent, not necessarily UTF-8.
type Header struct {
	Name  string // canonical: Content-Type
	Value string
}

// Summary is what a list shows of a request.
type Summary struct {
	ID             ID
	CaptureURLID   ID
	ReceivedAt     time.Time
	Method         string // as sent
	Scheme         string // http or https: how the sender reached us, as far as a trusted proxy tells
	Host           string // the Host header
	Path           string // raw, as sent, with /in/{slug}
	Query          string // raw, as sent, without the question mark
	BareQuery      bool   // the target ended in a question mark with nothing behind it
	Proto          string // HTTP/1.1
	Chunked        bool   // framed by chunks, not by Content-Length
	RemoteAddr     string // the socket's peer, address and port
	ClientAddr     string // the sender's address, as a trusted proxy tells it; else the socket's
	TLS            string // "TLS 1.3" when the socket was encrypted
	ContentType    string
	BodySize       int64 // bytes stored; of a truncated request what Content-Length announced, 0 when it did not
	Truncated      bool  // the body was over the limit and was not kept
	CookieRemoved  bool  // a cookie of the dashboard was cut out of the Cookie header
	ResponseStatus int   // what the sender was answered
}

// Request is one captured HTTP request, to the byte.
type Request struct {
	Summary
	Headers    []Header // sorted by name, Host first
	Trailers   []Header
	Body       []byte
	BodySHA256 [32]byte
	Routes     []Route // one for each subscription of the capture URL
}

// Route is what the filter of a subscription said of a request when it was captured.
type Route struct {
	Subscription ID
	Refused      int    // the rule that said no, an index into Filter.Rules; Delivered = none did; Undecided = not known yet
	Rule         string // that rule in words, when the request is read again
}

// What Refused says of a request that gets a delivery: it is wanted, or the worker has to ask the filter again.
const (
	Delivered = -1
	Undecided = -2
)

// Queued reports whether the request gets a delivery.
func (r Route) Queued() bool { return r.Refused < 0 }

// SubPath returns what follows /in/{slug} in the path, "" or starting with a slash.
func (s *Summary) SubPath() string {
	const prefix = "/in/"
	if len(s.Path) < len(prefix) {
		return ""
	}
	for i := len(prefix); i < len(s.Path); i++ {
		if s.Path[i] == '/' {
			return s.Path[i:]
		}
	}
	return ""
}

// Target returns the path and the query as they stood in the request line.
func (s *Summary) Target() string {
	if s.Query == "" && !s.BareQuery {
		return s.Path
	}
	return s.Path + "?" + s.Query
}

// Framing returns "chunked" or "length".
func (s *Summary) Framing() string {
	if s.Chunked {
		return "chunked"
	}
	return "length"
}

// Header returns the first value of the header with the canonical name, "" when there is none.
func (r *Request) Header(name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}
