package hook

import (
	"crypto/rand"
	"math/big"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// CaptureURL is an address that captures what is sent to it, and what it answers.
type CaptureURL struct {
	ID        ID
	OwnerID   ID
	Name      string // what people call it, 1 to MaxNameLen characters
	Slug      string // its last path segment; see ValidateSlug
	Paused    bool   // answers 503 and stores nothing
	CORS      bool   // answers preflights and lets pages of any origin read its answers
	Response  Response
	Keep      Keep
	Rate      float64 // requests a second that are taken at most, with bursts of RateBurst; 0 = no limit
	CreatedAt time.Time
}

// Response is the answer that a sender gets once its request is stored.
type Response struct {
	Status  int // 200 to 599
	Headers []Header
	Body    []byte        // at most MaxResponseBody
	Delay   time.Duration // after the commit, 0 to MaxResponseDelay
}

// Size is what the answer counts against MaxResponses.
func (r *Response) Size() (n int) {
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return n + len(r.Body)
}

// CheckRoom returns an Invalid error when the answer is larger than the one it replaces and takes all answers of its owner,
// others bytes without the two, over MaxResponses.
func (r *Response) CheckRoom(replaced *Response, others int) error {
	size := r.Size()
	if size <= replaced.Size() || others+size <= MaxResponses {
		return nil
	}
	var v invalid
	v.add("response.body", "is too large: with its headers it has %d bytes, the answers of the owner's other capture URLs have %d, "+
		"and %d in all is the most", size, others, MaxResponses)
	return v.err()
}

// Keep bounds what a capture URL holds; the oldest requests go first. A zero takes the server's default.
type Keep struct {
	Requests int64
	Days     int64
	Bytes    int64 // bodies and headers
}

// Or returns k with its zeros replaced by those of def.
func (k Keep) Or(def Keep) Keep {
	if k.Requests == 0 {
		k.Requests = def.Requests
	}
	if k.Days == 0 {
		k.Days = def.Days
	}
	if k.Bytes == 0 {
		k.Bytes = def.Bytes
	}
	return k
}

// Stats counts the requests of a capture URL.
type Stats struct {
	Kept          int64 // stored now
	Received      int64 // stored ever
	Bytes         int64 // size of what is kept: bodies and headers
	LastRequestAt time.Time
	LastRequestID ID // 0 when there was none
}

// CaptureURLStats is a capture URL with its counts.
type CaptureURLStats struct {
	CaptureURL
	Stats
}

// FirstName names the capture URL that a new user finds ready.
const FirstName = "My first capture URL"

// DefaultResponse is the answer of a capture URL that was not told another one: 200 and an empty text.
func DefaultResponse() Response { return Response{Status: 200} }

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// generatedSlugLen gives 131 bits: nobody finds a capture URL by trying.
const generatedSlugLen = 22

// NewSlug returns a slug that cannot be guessed: 22 characters of base62.
func NewSlug() string { return randomText(base62, generatedSlugLen) }

// NewSlugSuffix returns 8 random characters that make a chosen name hard to guess.
func NewSlugSuffix() string { return randomText("0123456789abcdefghijklmnopqrstuvwxyz", 8) }

func randomText(alphabet string, n int) string {
	b := make([]byte, n)
	size := big.NewInt(int64(len(alphabet)))
	for i := range b {
		v, err := rand.Int(rand.Reader, size)
		if err != nil {
			panic(err) // crypto/rand does not fail on any system that Go supports
		}
		b[i] = alphabet[v.Int64()]
	}
	return string(b)
}

// ValidSlug reports whether slug has a form that a capture URL can have: generated, or chosen by a user.
func ValidSlug(slug string) bool {
	return len(slug) == generatedSlugLen && strings.Trim(slug, base62) == "" || ValidChosenSlug(slug)
}

// ValidChosenSlug reports whether slug matches [a-z0-9][a-z0-9-]{2,62}.
func ValidChosenSlug(slug string) bool {
	if len(slug) < 3 || len(slug) > 63 || slug[0] == '-' {
		return false
	}
	for i := range len(slug) {
		c := slug[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ValidateRules are what a capture URL's answer is checked against beyond its own form.
type ValidateRules struct {
	// SharedOrigin is true when capture URLs live on the dashboard's host: answers must then not touch what
	// browsers keep for that host.
	SharedOrigin bool
}

// Validate returns an Invalid error that names every mistake, nil when there is none. The slug is checked by whoever
// creates the capture URL, because only a chosen one has rules.
func (u *CaptureURL) Validate(rules ValidateRules) error {
	var v invalid
	validateName(&v, u.Name)
	u.Keep.validate(&v)
	if u.Rate != 0 && !(u.Rate >= MinRate && u.Rate <= MaxRate) { // also what is no number
		v.add("rate_per_second", "must be between %v and %v, or empty for no limit", MinRate, float64(MaxRate))
	}
	u.Response.validate(&v, rules)
	return v.err()
}

func validateName(v *invalid, name string) {
	switch {
	case strings.TrimSpace(name) == "":
		v.add("name", "is empty: give the capture URL a name")
	case !utf8.ValidString(name):
		v.add("name", "is not valid UTF-8")
	case utf8.RuneCountInString(name) > MaxNameLen:
		v.add("name", "is longer than %d characters", MaxNameLen)
	case strings.ContainsFunc(name, unicode.IsControl):
		v.add("name", "contains control characters, such as a line break")
	}
}

func (k Keep) validate(v *invalid) {
	check := func(location string, value, low, high int64) {
		if value != 0 && (value < low || value > high) {
			v.add(location, "must be between %d and %d, or empty for the default", low, high)
		}
	}
	check("keep.requests", k.Requests, 1, MaxKeepRequests)
	check("keep.days", k.Days, 1, MaxKeepDays)
	check("keep.bytes", k.Bytes, MinKeepBytes, MaxKeepBytes)
}

func (r *Response) validate(v *invalid, rules ValidateRules) {
	if r.Status < 200 || r.Status > 599 {
		v.add("response.status", "must be between 200 and 599")
	}
	if len(r.Body) > MaxResponseBody {
		v.add("response.body", "is larger than %d bytes", MaxResponseBody)
	}
	if len(r.Body) > 0 && (r.Status == 204 || r.Status == 304) {
		v.add("response.body", "must be empty: an answer with status %d has no body", r.Status)
	}
	if r.Delay < 0 || r.Delay > MaxResponseDelay {
		v.add("response.delay_ms", "must be between 0 and %d", MaxResponseDelay.Milliseconds())
	}
	if len(r.Headers) > MaxResponseHeaders {
		v.add("response.headers", "has more than %d entries", MaxResponseHeaders)
		return
	}
	for i, h := range r.Headers {
		location := "response.headers[" + strconv.Itoa(i) + "]"
		validateHeader(v, location, h)
		if reason := refusedResponseHeader(h, rules); reason != "" {
			v.add(location+".name", "%s", reason)
		}
	}
}

func validateHeader(v *invalid, location string, h Header) {
	switch {
	case !ValidHeaderName(h.Name):
		v.add(location+".name", "is not a header name: letters, digits and !#$%%&'*+-.^_`|~ only")
	case len(h.Name) > MaxHeaderName:
		v.add(location+".name", "is longer than %d characters", MaxHeaderName)
	}
	switch {
	case !ValidHeaderValue(h.Value):
		v.add(location+".value", "contains a line break or another control character")
	case len(h.Value) > MaxHeaderValue:
		v.add(location+".value", "is longer than %d bytes", MaxHeaderValue)
	}
}

var (
	// framingHeaders belong to the connection (RFC 9110 section 7.6.1) or to the server.
	framingHeaders = []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Content-Length", "Date", "Content-Security-Policy", "X-Content-Type-Options",
	}
	// proxyCommands tell a reverse proxy in front of us to do something: nginx, Apache, lighttpd.
	proxyCommands = []string{"X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-Url"}
	// browserState is what a browser keeps for the whole host, or has it do something beyond the answer. Headers of the
	// one answer, such as Permissions-Policy, SourceMap or No-Vary-Search, are none of it.
	browserState = map[string]bool{
		"Accept-Ch":                   true, // which hints go along with requests from now on
		"Accept-Ch-Lifetime":          true,
		"Activate-Storage-Access":     true, // asks again, with cookies
		"Alt-Svc":                     true, // another server speaks for the host
		"Clear-Site-Data":             true, // ends logins
		"Critical-Ch":                 true, // asks again
		"Expect-Ct":                   true, // where to report certificates to
		"Idp-Signin-Status":           true, // whether somebody is logged in here: FedCM
		"Nel":                         true, // where to report failures to
		"Observe-Browsing-Topics":     true, // what the visitor likes
		"Origin-Agent-Cluster":        true, // how later pages of the origin are kept apart
		"Origin-Trial":                true, // features switched on until the token ends
		"Public-Key-Pins":             true, // locks the host's next certificate out
		"Public-Key-Pins-Report-Only": true,
		"Report-To":                   true, // where to report to
		"Reporting-Endpoints":         true,
		"Service-Worker-Allowed":      true, // a worker for pages of the dashboard
		"Set-Cookie":                  true,
		"Set-Cookie2":                 true,
		"Set-Login":                   true, // see Idp-Signin-Status
		"Shared-Storage-Write":        true,
		"Speculation-Rules":           true, // fetches and renders other pages, with cookies
		"Strict-Transport-Security":   true, // locks plain HTTP out
		"Use-As-Dictionary":           true, // what later answers are unpacked with
		"Www-Authenticate":            true, // asks for a password in the dashboard's name and keeps it
	}
	// browserStatePrefixes are those of whole families: conversions reported to advertisers, sessions bound to a device,
	// and what else browsers have reserved for themselves.
	browserStatePrefixes = []string{"Attribution-Reporting-", "Sec-", "Secure-Session-"}
)

func refusedResponseHeader(h Header, rules ValidateRules) string {
	name := textproto.CanonicalMIMEHeaderKey(h.Name)
	switch {
	case slices.Contains(framingHeaders, name):
		return "is set by the server and cannot be chosen"
	case strings.HasPrefix(name, "Hookkeeper-"):
		return "belongs to Hookkeeper: choose a name that does not start with Hookkeeper-"
	case slices.Contains(proxyCommands, name), strings.HasPrefix(name, "X-Accel-"):
		return "would command a proxy in front of the server"
	case rules.SharedOrigin && h.ChangesBrowserState():
		return "would change what browsers keep for the dashboard or do in its name: it can be used once capture URLs have " +
			"a host of their own (HOOKKEEPER_CAPTURE_ORIGIN)"
	case name == "Set-Cookie" && cookieHasDomain(h.Value):
		return "must not have a Domain: the cookie would reach other hosts"
	}
	return ""
}

// ChangesBrowserState reports whether the header changes what a browser keeps for the whole host that sent it, or has it
// do more than show the answer.
func (h Header) ChangesBrowserState() bool {
	name := textproto.CanonicalMIMEHeaderKey(h.Name)
	return browserState[name] || slices.ContainsFunc(browserStatePrefixes, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

func cookieHasDomain(value string) bool {
	for _, attr := range strings.Split(value, ";")[1:] {
		name, _, _ := strings.Cut(attr, "=")
		if strings.EqualFold(strings.TrimSpace(name), "domain") {
			return true
		}
	}
	return false
}

// ValidHeaderName reports whether name is a token of RFC 9110 section 5.6.2.
func ValidHeaderName(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return true
}

// ValidHeaderValue reports whether value can stand in a header: no control character but TAB (RFC 9110 section 5.5).
func ValidHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
