package templates

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

// DeliveryList is one page of deliveries.
type DeliveryList struct {
	Path    string // of the list, without a query; "" = no ways through it
	Rows    []hook.Delivery
	Of      map[hook.ID]hook.Summary // what they deliver, by request, as far as it is kept; nil = the page says it
	Refused []Refusal                // subscriptions that did not want the request, whose deliveries these are
	State   string                   // that is shown only; "" = all
	Older   string                   // the path of the next page, "" on the last one
}

// finishedRows returns the deliveries that can be resent: the others are on their way.
func finishedRows(rows []hook.Delivery) (finished []hook.Delivery) {
	for _, d := range rows {
		if d.State.Finished() {
			finished = append(finished, d)
		}
	}
	return finished
}

// DeliveryView is what the page of a delivery shows.
type DeliveryView struct {
	hook.Delivery
	URL      hook.CaptureURL
	Request  *hook.Summary // nil when it is not kept any more
	Edit     *hook.Edit    // nil when the request is sent as it is
	Attempts []AttemptView
	Alone    bool // Attempts is the one that was asked for
}

// AttemptView is an attempt as a page shows it.
type AttemptView struct {
	hook.Attempt
	Whole bool // all that is kept of it; otherwise the beginning
	Cut   bool // there is more
}

// ResentView is what the page of one resend shows.
type ResentView struct {
	Request string // its path
	Answers []AnswerView
	Others  []hook.Delivery // beyond those that are shown side by side
}

// AnswerView is a delivery and what came of it last.
type AnswerView struct {
	hook.Delivery
	Last *AttemptView // nil while there is none
}

// RequestDeliveries is what the tab of a request shows.
type RequestDeliveries struct {
	Rows          []hook.Delivery // newest first
	Refused       []Refusal
	Outcome       hook.Outcome // of all, when there are any
	Subscriptions []*hook.Subscription
	Targets       []string // that were typed lately
	Form          ResendForm
}

// Refusal is a subscription that did not want a request, and the rule that said no.
type Refusal struct {
	ID         hook.ID
	Name, Rule string
}

// ResendForm is the state of the form that resends a request.
type ResendForm struct {
	To        []hook.ID // subscriptions
	NoRetry   bool
	TargetURL string
	SignAs    hook.ID     // for TargetURL: the subscription whose secret signs it; 0 = unsigned
	Errors    FieldErrors // at target_url, sign_as, subscription
}

// resendFields are the locations whose mistakes stand beside the fields of a ResendForm.
var resendFields = []string{"target_url", "sign_as", "subscription"}

// Selection is requests that are to be resent, and the state of the form that asks where.
type Selection struct {
	URL           URLItem
	Requests      []hook.ID
	Subscriptions []*hook.Subscription
	Targets       []string // that were typed lately
	Form          ResendForm
}

// signers returns the subscriptions that sign.
func signers(subs []*hook.Subscription) (all []*hook.Subscription) {
	for _, s := range subs {
		if s.Signing.Scheme != hook.SignNone {
			all = append(all, s)
		}
	}
	return all
}

// EditForm is the state of the form that edits a request before it is sent again.
type EditForm struct {
	Request        *hook.Request
	URL            URLItem
	Subscriptions  []*hook.Subscription
	Delivery       hook.ID // the form begins with what it sent; 0 = with the request
	SubscriptionID hook.ID // it goes to; 0, or one that is gone, = to TargetURL
	TargetURL      string
	SignAs         hook.ID // for TargetURL
	Method         string
	Path           string
	Query          string
	Headers        string
	Body           string
	BodyIsBinary   bool // it cannot be shown in a text field, and is sent as it is
	Retry          bool
	Errors         FieldErrors
}

// headersHint says what is sent beside the headers that stand in the form, and which of the request are not among them.
func (f EditForm) headersHint() string {
	return "One per line. Hookkeeper adds its own, the signature of the subscription, and a User-Agent where none is typed. Authorization and " +
		"Cookie are those of the request only where the subscription passes them on."
}

// whyNotEdited says why a body cannot be edited in a text field.
func (f EditForm) whyNotEdited() string {
	if len(f.Request.Body) > hook.MaxEditedBody {
		return "The body is longer than " + view.Size(hook.MaxEditedBody)
	}
	return "The body is no text, or its lines end in different ways"
}

// bodyHint says of a body that was not kept that the copy has the one that is typed.
func (f EditForm) bodyHint() string {
	if f.Request.Truncated {
		return "The body was over the limit and was not kept: what stands here is sent in its place."
	}
	return ""
}

// attemptPath returns where an attempt is shown alone, with as much of its answer as a page can show.
func attemptPath(a *AttemptView, v *DeliveryView) string {
	return deliveryPath(v.ID) + "?attempt=" + strconv.Itoa(a.Number)
}

func deliveryPath(id hook.ID) string { return "/deliveries/" + id.Text(hook.DeliveryPrefix) }

// stateClass colours a state.
func stateClass(s hook.State) string {
	switch s {
	case hook.Succeeded:
		return "good"
	case hook.Failed:
		return "bad"
	case hook.Held, hook.Waiting:
		return "warn"
	case hook.Sending:
		return "accent"
	}
	return "quiet"
}

// stateMark is the shape of a state, so that it does not depend on colour.
func stateMark(s hook.State) string {
	switch s {
	case hook.Succeeded:
		return "✓"
	case hook.Failed:
		return "✕"
	case hook.Waiting:
		return "↻"
	case hook.Held:
		return "‖"
	case hook.Sending, hook.Pending:
		return "→"
	}
	return "–"
}

// outcomeText tells an outcome in a few words: "delivered 200", "failed 500", "held"; of several targets "1 of 8 delivered".
func outcomeText(o hook.Outcome) string {
	if n := o.Wanted(); n > 1 {
		return share(&o) + " delivered"
	}
	return stateText(o.State, o.LastStatus)
}

// share says how many of the targets of a request have it.
func share(o *hook.Outcome) string {
	return number(int64(o.Targets[hook.Succeeded])) + " of " + number(int64(o.Wanted()))
}

func stateText(s hook.State, status int) string {
	word := s.String()
	if s == hook.Succeeded {
		word = "delivered"
	}
	if status != 0 && (s == hook.Succeeded || s == hook.Failed || s == hook.Waiting) {
		word += " " + strconv.Itoa(status)
	}
	return word
}

// outcomeDetail is outcomeText with what became of the other targets: "1 of 8 delivered, 5 held, 2 waiting".
func outcomeDetail(o hook.Outcome) string {
	text := outcomeText(o)
	if o.Wanted() < 2 {
		return text
	}
	for _, s := range hook.States {
		if n := o.Targets[s]; n > 0 && s != hook.Succeeded {
			text += ", " + number(int64(n)) + " " + stateText(s, 0)
		}
	}
	return text
}

// moreOf has a mark tell more than there is room for.
func moreOf(o hook.Outcome) templ.Attributes {
	if o.Wanted() < 2 {
		return nil
	}
	return templ.Attributes{"title": outcomeDetail(o)}
}

// shortOutcome is an outcome where there is little room: "✓ 200", "‖ held", "↻ 1 of 8".
func shortOutcome(o hook.Outcome) string {
	if o.Wanted() > 1 {
		return stateMark(o.State) + " " + share(&o)
	}
	if words := strings.Fields(outcomeText(o)); len(words) > 1 {
		return stateMark(o.State) + " " + words[1]
	}
	return stateMark(o.State) + " " + o.State.String()
}

// heldBy has the page of an unfinished delivery read again when its subscription changes, because that may hold it.
func heldBy(d *hook.Delivery) templ.Attributes {
	if d.State.Finished() || d.SubscriptionID == 0 {
		return nil
	}
	return templ.Attributes{"data-live-subscription": d.SubscriptionID.Text(hook.SubscriptionPrefix)}
}

// whyAndWhen says why a delivery is where it is, and when something happens next.
func whyAndWhen(p Page, d *hook.Delivery) string {
	text := d.Reason
	switch d.State {
	case hook.Succeeded:
		text = ""
	case hook.Skipped:
		text = hook.WhySkipped(text)
	case hook.Pending:
		if text == "" {
			text = "on its way"
		}
	case hook.Sending:
		text = "an attempt is under way"
	}
	if d.Ahead != nil { // when its own next attempt would be says nothing
		return d.Ahead.Words()
	}
	if d.State == hook.Waiting && !d.NextAt.IsZero() {
		if text != "" {
			text += "; "
		}
		text += "next attempt " + inWords(p.Now, d.NextAt)
	}
	return text
}

// inWords says when something will be: "in 5 minutes".
func inWords(now, t time.Time) string {
	d := t.Sub(now)
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return "in " + counted(int64(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return "in " + counted(int64(d/time.Minute), "minute", "minutes")
	}
	return "in " + counted(int64(d/time.Hour), "hour", "hours")
}

// madeBy says what made a delivery.
func madeBy(d *hook.Delivery) string {
	switch {
	case d.ReplayID != 0:
		return "replay by " + d.By
	case d.By != "":
		return "resent by " + d.By
	case d.Trigger == hook.TriggerManual:
		return "resent"
	}
	return "captured"
}

// targetName names where a delivery goes.
func targetName(d *hook.Delivery) string {
	if d.SubscriptionID != 0 {
		return d.Subscription
	}
	return d.TargetURL
}

// durationText writes how long something took.
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) + " ms"
	case d < 10*time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

// phases splits the duration of an attempt.
func phases(a *hook.Attempt) []pair {
	return []pair{
		{"DNS", durationText(a.Timing.DNS)},
		{"Connect", durationText(a.Timing.Connect)},
		{"TLS", durationText(a.Timing.TLS)},
		{"First byte", durationText(a.Timing.FirstByte)},
		{"In all", durationText(a.Duration)},
	}
}

// attemptStatus is the outcome of an attempt in a word.
func attemptStatus(a *hook.Attempt) string {
	if a.Status != 0 {
		return statusText(a.Status)
	}
	return "no answer"
}

func attemptClass(a *hook.Attempt) string {
	if a.OK() {
		return "good"
	}
	return "bad"
}

// unsentHeaders are the captured headers beside those that were added: what was sent besides.
func withoutAdded(captured, added []hook.Header) (rest []hook.Header) {
	names := map[string]bool{}
	for _, h := range added {
		names[strings.ToLower(h.Name)] = true
	}
	for _, h := range captured {
		if !names[strings.ToLower(h.Name)] {
			rest = append(rest, h)
		}
	}
	return rest
}

// listStates are offered to choose from above a list.
var listStates = []struct{ Value, Label string }{
	{"", "All"},
	{"held", "Held"},
	{"waiting", "Waiting"},
	{"failed", "Failed"},
	{"succeeded", "Delivered"},
	{"cancelled", "Cancelled"},
	{"skipped", "Skipped"},
}

func withState(path, state string) string {
	if state == "" {
		return path
	}
	return path + "?state=" + state
}

// unfinished counts the deliveries that deleting the request would cancel.
func (d RequestDeliveries) unfinished() (n int64) {
	for _, row := range d.Rows {
		if !row.State.Finished() {
			n++
		}
	}
	return n
}
