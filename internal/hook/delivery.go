package hook

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// State is where a delivery stands.
type State int

// The states. The first two are unfinished and stored; Sending and Held are seen, not stored: an unfinished delivery is
// being sent while an attempt is under way, and is held while its subscription is paused, disabled or down.
const (
	Pending   State = 0 // has not been tried
	Waiting   State = 1 // for its next attempt
	Succeeded State = 2
	Failed    State = 3 // for good
	Cancelled State = 4
	Skipped   State = 5 // the filter said no
	Sending   State = 6
	Held      State = 7
)

var stateNames = [...]string{"pending", "waiting", "succeeded", "failed", "cancelled", "skipped", "sending", "held"}

// States lists all states in the order in which people think of them.
var States = []State{Pending, Sending, Waiting, Held, Succeeded, Failed, Cancelled, Skipped}

// String returns the word for the state.
func (s State) String() string { return stateNames[s] }

// Finished reports whether nothing more will happen to the delivery by itself.
func (s State) Finished() bool { return s >= Succeeded && s <= Skipped }

// ParseState reads the word for a state.
func ParseState(word string) (s State, ok bool) {
	for i, name := range stateNames {
		if name == word {
			return State(i), true
		}
	}
	return 0, false
}

// Trigger is what made an attempt happen.
type Trigger int

// The triggers.
const (
	TriggerCapture Trigger = iota // the request arrived
	TriggerRetry                  // the schedule
	TriggerProbe                  // the target was down, and this was to see whether it is back
	TriggerManual                 // somebody pressed Resend
	TriggerTest                   // somebody tried the subscription out
)

var triggerNames = [...]string{"capture", "retry", "probe", "manual", "test"}

// String returns the word for the trigger.
func (t Trigger) String() string { return triggerNames[t] }

// Delivery is one request bound for one target.
type Delivery struct {
	ID             ID
	RequestID      ID
	CaptureURLID   ID
	SubscriptionID ID     // 0 = a resend to a typed URL
	Subscription   string // its name, also when it is deleted; set when a delivery is read
	State          State
	Reason         string // why it failed, was cancelled, skipped, or is not on its way
	TargetURL      string // of a resend to a typed URL; "" = the subscription's, which is filled in when a delivery is read
	Trigger        Trigger
	By             string // e-mail address of who asked for it; "" for captures
	Retry          bool   // failed attempts are followed by others, as the subscription says
	SignAs         ID     // the subscription whose secret signs a resend to a typed URL; 0 = unsigned
	Edited         bool   // an Edit is sent in place of the request
	AttemptCount   int    // attempts made
	Used           int    // attempts that count against the schedule; probes do not
	ReplayID       ID     // 0 = not made by a replay
	LastStatus     int    // of the newest attempt; 0 = no answer came, or no attempt was made
	NextAt         time.Time
	CreatedAt      time.Time
	Ahead          *Ahead // it waits for this one, in order; nil = it does not, or nobody has asked
}

// Ahead is the delivery that the others of an ordered subscription wait for.
type Ahead struct {
	Delivery ID       // 0 = it was not looked up, and is perhaps the one that is asked about
	Request  *Summary // nil = it is not kept, or was not looked up
}

// Words says what is waited for.
func (a *Ahead) Words() string {
	if a.Delivery == 0 {
		return "waits for its turn, in order"
	}
	return "waits for " + a.Delivery.Text(DeliveryPrefix) + ", in order"
}

// DeliveryNews tells that a delivery was made or has changed.
type DeliveryNews struct {
	ID             ID
	RequestID      ID
	CaptureURLID   ID
	SubscriptionID ID
	ReplayID       ID
	State          State
	LastStatus     int
}

// Outcome is the newest of what happened to the deliveries of a request: what its mark in a list says.
type Outcome struct {
	State      State
	LastStatus int           // 0 = no answer came
	Targets    [Held + 1]int // by state; all zero for a single delivery
}

// Wanted counts the targets that the request is for: all but those whose filter said no.
func (o *Outcome) Wanted() (n int) {
	for state, targets := range o.Targets {
		if State(state) != Skipped {
			n += targets
		}
	}
	return n
}

// Worst returns the outcome that the deliveries of a request, newest first, have together. Of each target only the newest
// counts; what needs somebody's attention comes before what is under way, and that before what went well.
func Worst(deliveries []Delivery) Outcome {
	type target struct {
		subscription ID
		url          string
	}
	seen := map[target]bool{}
	worst, rank := Outcome{}, -1
	for _, d := range deliveries {
		t := target{d.SubscriptionID, ""}
		if d.SubscriptionID == 0 {
			t.url = d.TargetURL
		}
		if seen[t] {
			continue
		}
		seen[t] = true
		worst.Targets[d.State]++
		if r := slices.Index(byUrgency, d.State); r > rank {
			worst.State, worst.LastStatus, rank = d.State, d.LastStatus, r
		}
	}
	return worst
}

// byUrgency has the most urgent state last.
var byUrgency = []State{Skipped, Cancelled, Succeeded, Pending, Sending, Waiting, Held, Failed}

// Resend asks for a new delivery of an old request.
type Resend struct {
	RequestID      ID
	SubscriptionID ID     // to this subscription, or
	TargetURL      string // to this URL
	Edit           *Edit  // what is sent in place of the request; nil = the request as it is
	EditOf         ID     // or the delivery of the request whose edited copy is sent once more; 0 = none
	Retry          bool   // failed attempts are followed by others
	SignAs         ID     // for a TargetURL: the subscription whose secret signs it; 0 = unsigned
}

// MessageID returns the webhook-id of its attempts: the same for every delivery of an unchanged request, so that a
// receiver can tell repetitions, and its own for an edited copy.
func (d *Delivery) MessageID() string {
	if d.Edited {
		return d.ID.Text("msg_")
	}
	return d.RequestID.Text(RequestPrefix)
}

// Edited reports whether something else is sent than the request as it is.
func (r *Resend) Edited() bool { return r.Edit != nil || r.EditOf != 0 }

// Edit is a request changed by hand before it is sent again. Deliveries do not carry theirs, because it can be as large as a
// body: it is read where it is sent or shown.
type Edit struct {
	Method  string
	Path    string // sub-path, "" or starting with a slash
	Query   string // without the question mark
	Headers []Header
	Body    []byte // nil = the request's, which is not stored twice
}

// Validate returns an Invalid error that names every mistake.
func (e *Edit) Validate() error {
	var v invalid
	if !ValidHeaderName(e.Method) || len(e.Method) > MaxMethodLen || e.Method == connect {
		v.add("method", "must be an HTTP method other than CONNECT")
	}
	switch {
	case e.Path != "" && e.Path[0] != '/':
		v.add("path", "must start with a slash, or be empty")
	case len(e.Path)+len(e.Query) > MaxTargetLen:
		v.add("path", "is longer than %d bytes together with the query", MaxTargetLen)
	}
	if !sendableInTarget(e.Path) || strings.Contains(e.Path, "?") {
		v.add("path", "contains a space, a control character, ? or #: write them as %%20, %%3F, %%23")
	}
	if !sendableInTarget(e.Query) {
		v.add("query", "contains a space, a control character or #: write them as %%20, %%23")
	}
	if len(e.Headers) > MaxHeaderLines {
		v.add("headers", "has more than %d entries", MaxHeaderLines)
	} else {
		for i, h := range e.Headers {
			at := "headers[" + strconv.Itoa(i) + "]"
			if !ValidHeaderName(h.Name) {
				v.add(at+".name", "is not a header name: letters, digits and !#$%%&'*+-.^_`|~ only")
			}
			if !ValidHeaderValue(h.Value) {
				v.add(at+".value", "contains a line break or another control character")
			}
		}
	}
	return v.err()
}

// sendableInTarget reports whether text can stand in a request line as it is.
func sendableInTarget(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// Attempt is one try of a delivery.
type Attempt struct {
	DeliveryID ID
	Number     int // from 1
	Trigger    Trigger
	By         string
	StartedAt  time.Time
	Duration   time.Duration
	Timing     Timing
	RemoteAddr string // address and port that was dialled, "" when none was
	TLS        string // "TLS 1.3", "" for plain HTTP
	Status     int    // 0 = no answer came
	Error      string // why no answer came, in words; "" with a status
	URL        string // where it went, as sent
	Method     string

	RequestHeaders    []Header // those that were added or changed
	ResponseHeaders   []Header
	ResponseBody      []byte // at most MaxResponseKept
	ResponseTruncated bool
}

// Timing is where the time of an attempt went; zero = it did not come to that, or a connection was used again.
type Timing struct{ DNS, Connect, TLS, FirstByte time.Duration }

// OK reports whether the target took the delivery.
func (a *Attempt) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Beginning returns the attempt with at most n bytes of the headers that were sent, of those of the answer and of its body,
// and whether that leaves something out. It does not hold on to the rest.
func (a *Attempt) Beginning(n int) (short Attempt, cut bool) {
	short = *a
	short.RequestHeaders, short.ResponseHeaders = firstHeaders(a.RequestHeaders, n), firstHeaders(a.ResponseHeaders, n)
	short.ResponseBody = slices.Clone(a.ResponseBody[:min(len(a.ResponseBody), n)])
	return short, len(short.RequestHeaders) < len(a.RequestHeaders) || len(short.ResponseHeaders) < len(a.ResponseHeaders) ||
		len(short.ResponseBody) < len(a.ResponseBody)
}

// firstHeaders returns the headers that fit into n bytes.
func firstHeaders(all []Header, n int) []Header {
	for i, h := range all {
		if n -= len(h.Name) + len(h.Value); n < 0 {
			return slices.Clone(all[:i])
		}
	}
	return all
}

// Words returns the outcome of the attempt as people say it.
func (a *Attempt) Words() string {
	switch {
	case a.Error != "":
		return a.Error
	case a.Status >= 300 && a.Status <= 399:
		return "answered " + strconv.Itoa(a.Status) + ": redirects are not followed"
	}
	return "answered " + strconv.Itoa(a.Status)
}

// Answer returns the first value of a header of the answer, with the canonical name.
func (a *Attempt) Answer(name string) string {
	for _, h := range a.ResponseHeaders {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Next says what becomes of a delivery.
type Next struct {
	State  State
	Reason string
	At     time.Time // of the next attempt, when Waiting
}

// After returns what becomes of a delivery after an attempt that failed and was the used-th of its schedule. retryAfter
// is what the target asked for, 0 when it did not.
func (r Retry) After(used int, outcome string, now time.Time, retryAfter time.Duration) Next {
	if used >= r.MaxAttempts {
		return Next{State: Failed, Reason: "attempt " + strconv.Itoa(used) + " of " + strconv.Itoa(r.MaxAttempts) + ": " + outcome}
	}
	pause := Jitter(max(r.Pause(used), retryAfter))
	return Next{State: Waiting, Reason: outcome, At: now.Add(pause)}
}

// Jitter makes a pause 0 to 20 % longer, so that what failed together does not come back together. It never shortens: a
// target that asks for a pause gets at least that.
func Jitter(pause time.Duration) time.Duration {
	return pause + time.Duration(rand.Float64()*0.2*float64(pause)) //nolint:gosec // nobody gains by guessing it
}

// ParseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3), in seconds or as a date, and keeps it between
// MinRetryAfter and MaxRetryAfter. ok is false when there is none that can be read.
func ParseRetryAfter(value string, now time.Time) (pause time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter, true
		}
		return max(time.Duration(seconds)*time.Second, MinRetryAfter), true
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if at, err := time.Parse(layout, value); err == nil {
			return min(max(at.Sub(now), MinRetryAfter), MaxRetryAfter), true
		}
	}
	return 0, false
}

// Clip shortens a text for people to at most n bytes, at the border of a character.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
