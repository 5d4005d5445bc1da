package hook

import (
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// connect is the one method that is no request to a resource: no target gets it.
const connect = "CONNECT"

// Subscription delivers the requests of a capture URL to a target URL.
type Subscription struct {
	ID           ID
	CaptureURLID ID
	Name         string
	TargetURL    string
	Filter       Filter
	Method       string   // "" = that of the request
	AppendPath   bool     // the request's sub-path and query are put behind the target URL's
	Headers      []Header // added to every delivery; the values are secrets
	Ordered      bool     // one delivery at a time, in the order of the requests
	Signing      Signing
	Retry        Retry
	Rate         float64 // attempts a second at most; 0 = no limit
	Concurrency  int     // attempts at a time

	ForwardCredentials bool // captured Authorization and Cookie headers are sent on
	KeepUserAgent      bool // the captured User-Agent is sent on

	Hold      Hold
	CreatedAt time.Time
}

// Retry says how long an attempt may take and when the next one follows.
type Retry struct {
	Timeout     time.Duration   // of one attempt, connecting and the answer's body included
	MaxAttempts int             // attempts in all
	Backoff     []time.Duration // the pause behind each attempt; the last one repeats
}

// Hold is what keeps deliveries from being sent; they wait and are not lost.
type Hold struct {
	Disabled       bool
	DisabledReason string // in words
	DisabledAt     time.Time
	Paused         bool
	PausedBy       string // e-mail address
	PausedAt       time.Time
}

// Scheme is a way to sign deliveries.
type Scheme string

// The schemes. Standard Webhooks 1.0.0 is at github.com/standard-webhooks/standard-webhooks.
const (
	SignStandard    Scheme = "standard"     // Standard Webhooks v1: HMAC-SHA256, whsec_
	SignStandardV1a Scheme = "standard-v1a" // Standard Webhooks v1a: Ed25519, whsk_
	SignGitHub      Scheme = "github"       // X-Hub-Signature-256: sha256=
	SignStripe      Scheme = "stripe"       // Stripe-Signature: t=,v1=
	SignNone        Scheme = "none"
)

// Schemes lists the schemes in the order in which forms offer them.
var Schemes = []Scheme{SignStandard, SignStandardV1a, SignGitHub, SignStripe, SignNone}

// Signing is how deliveries are signed.
type Signing struct {
	Scheme  Scheme
	Secrets []Secret // the current one first; none for SignNone
}

// Secret is a key for signatures in its written form: whsec_ and base64, whsk_ and base64, or any text for the schemes of
// providers.
type Secret struct {
	Text    string
	Expires time.Time // a rotated secret signs beside the new one until then; zero = the current one
}

// LogValue and String keep secrets out of logs and error texts.
func (s Secret) String() string { return "[secret]" }

// GoString does so for %#v.
func (s Secret) GoString() string { return "[secret]" }

// Current returns the secret that signs from now on, "" when there is none.
func (s Signing) Current() string {
	if len(s.Secrets) == 0 {
		return ""
	}
	return s.Secrets[0].Text
}

// Hint returns what may be shown of the current secret: see Secret.Hint. "" without one.
func (s Signing) Hint() string {
	if s.Current() == "" {
		return ""
	}
	return s.Secrets[0].Hint()
}

// Hint returns what may be shown of a secret: four dots and its last 4 characters.
func (s Secret) Hint() string { return "••••" + s.Text[max(0, len(s.Text)-4):] }

// Before returns the secrets from before the current one that sign beside it at a time.
func (s Signing) Before(now time.Time) (before []Secret) {
	for _, secret := range s.Secrets {
		if now.Before(secret.Expires) {
			before = append(before, secret)
		}
	}
	return before
}

// DefaultBackoff is the schedule that Standard Webhooks recommends: ten attempts over 75 hours.
func DefaultBackoff() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
		20 * time.Hour, 24 * time.Hour,
	}
}

// NewSubscription returns a subscription with the defaults, without name, target and secret.
func NewSubscription() Subscription {
	return Subscription{
		Signing: Signing{Scheme: SignStandard},
		Retry: Retry{
			Timeout: DefaultDeliveryTimeout, MaxAttempts: DefaultMaxAttempts, Backoff: DefaultBackoff(),
		},
		Concurrency: DefaultConcurrency,
	}
}

// Pause returns the pause behind the n-th attempt, counted from 1, without jitter.
func (r Retry) Pause(n int) time.Duration {
	if len(r.Backoff) == 0 {
		return 0
	}
	return r.Backoff[min(max(n, 1), len(r.Backoff))-1]
}

// What a subscription takes in memory beside its texts, and how much larger a jq program is than its text; both measured.
const (
	subscriptionItself = 2 << 10
	jqCompiled         = 64
)

// Size is what the subscription counts against MaxSubscriptionBytes. Secrets do not count, so that one can always be replaced.
func (s *Subscription) Size() int {
	n := subscriptionItself + len(s.Name) + len(s.TargetURL) + jqCompiled*len(s.Filter.JQ)
	for _, h := range s.Headers {
		n += len(h.Name) + len(h.Value)
	}
	for _, c := range s.Filter.Conditions {
		n += len(c.Field) + len(c.Value)
	}
	return n
}

// CheckRoom returns a Conflict when the subscription is larger than the one it replaces, nil for none, and takes all subscriptions
// of its owner, others bytes without the two, over MaxSubscriptionBytes.
func (s *Subscription) CheckRoom(replaced *Subscription, others int) error {
	size := s.Size()
	if replaced != nil && size <= replaced.Size() || others+size <= MaxSubscriptionBytes {
		return nil
	}
	return LimitSubscriptions.Errorf(Conflict, "This subscription takes %d bytes of memory, a jq condition %d times its length of that. "+
		"The owner's others take %d, and %d in all is the most: shorten it, or delete others.", size, jqCompiled, others, MaxSubscriptionBytes)
}

// Validate returns an Invalid error that names every mistake, nil when there is none. It judges the form of the target
// URL only; whether it may be reached is for package egress, a jq program for package filter, a secret for
// ValidateSecret.
func (s *Subscription) Validate() error {
	var v invalid
	validateText(&v, "name", s.Name)
	if s.TargetURL == "" {
		v.add("target_url", "is empty: say where requests are delivered to")
	} else if err := ValidateTargetURL(s.TargetURL); err != nil {
		v.add("target_url", "%s", err.Error())
	}
	s.Filter.validate(&v)
	if s.Method != "" && (!ValidHeaderName(s.Method) || len(s.Method) > MaxMethodLen || s.Method == connect) {
		v.add("method", "must be original, or an HTTP method other than CONNECT")
	}
	validateTargetHeaders(&v, "headers", s.Headers)
	if !slices.Contains(Schemes, s.Signing.Scheme) {
		v.add("signing.scheme", "must be standard, standard-v1a, github, stripe or none")
	}
	s.Retry.validate(&v)
	if s.Rate < 0 || s.Rate > MaxRate || s.Rate > 0 && s.Rate < MinRate {
		v.add("rate_per_second", "must be between %g and %d, or empty for no limit", MinRate, MaxRate)
	}
	if s.Concurrency < 1 || s.Concurrency > MaxConcurrency {
		v.add("concurrency", "must be between 1 and %d", MaxConcurrency)
	}
	return v.err()
}

func validateText(v *invalid, location, text string) {
	switch {
	case strings.TrimSpace(text) == "":
		v.add(location, "is empty")
	case !utf8.ValidString(text):
		v.add(location, "is not valid UTF-8")
	case utf8.RuneCountInString(text) > MaxNameLen:
		v.add(location, "is longer than %d characters", MaxNameLen)
	case strings.ContainsFunc(text, unicode.IsControl):
		v.add(location, "contains control characters, such as a line break")
	}
}

func (r Retry) validate(v *invalid) {
	if r.Timeout < MinDeliveryTimeout || r.Timeout > MaxDeliveryTimeout {
		v.add("timeout_ms", "must be between %d and %d", MinDeliveryTimeout.Milliseconds(), MaxDeliveryTimeout.Milliseconds())
	}
	if r.MaxAttempts < 1 || r.MaxAttempts > MaxAttempts {
		v.add("max_attempts", "must be between 1 and %d", MaxAttempts)
	}
	if len(r.Backoff) > MaxAttempts-1 {
		v.add("backoff", "has more than %d pauses", MaxAttempts-1)
		return
	}
	if len(r.Backoff) == 0 && r.MaxAttempts > 1 {
		v.add("backoff", "is empty: more than one attempt needs a pause")
	}
	for i, pause := range r.Backoff {
		if pause < time.Second || pause > MaxBackoff {
			v.add("backoff["+strconv.Itoa(i)+"]", "must be between 1 and %d seconds", int(MaxBackoff.Seconds()))
		}
	}
}

// refusedTargetHeaders belong to the connection (RFC 9110 section 7.6.1), to the client, or to the signature.
var refusedTargetHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length", "Host", "Expect",
}

// validateTargetHeaders checks headers that a subscription or an edited request sends.
func validateTargetHeaders(v *invalid, location string, headers []Header) {
	if len(headers) > MaxTargetHeaders {
		v.add(location, "has more than %d entries", MaxTargetHeaders)
		return
	}
	for i, h := range headers {
		at := location + "[" + strconv.Itoa(i) + "]"
		validateHeader(v, at, h)
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		switch {
		case slices.Contains(refusedTargetHeaders, name):
			v.add(at+".name", "is set by Hookkeeper and cannot be chosen")
		case strings.HasPrefix(name, "Hookkeeper-"), strings.HasPrefix(name, "Webhook-"):
			v.add(at+".name", "must not start with Hookkeeper- or webhook-: those say what is delivered")
		}
	}
}
