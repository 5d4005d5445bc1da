package templates

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

// SubscriptionForm is the state of the form of a subscription: texts as they were typed.
type SubscriptionForm struct {
	ID                 hook.ID // 0 while it is new
	Name               string
	TargetURL          string
	Any                bool
	Conditions         []ConditionRow
	Added              int // the first line that was just added to them, where the reader goes on; 0 = none was
	JQ                 string
	Method             string // "" = the request's
	AppendPath         bool
	Headers            string // one "Name: value" a line; a value of dots stands for the stored one
	ForwardCredentials bool
	KeepUserAgent      bool
	Scheme             string
	SecretHint         string // of the stored secret
	SecretLost         bool   // one was typed and is not shown again
	Timeout            string // seconds
	MaxAttempts        string
	Backoff            string // "5s, 5m, 2h"
	Rate               string
	Concurrency        string
	Ordered            bool
	Errors             FieldErrors // locations of the API's fields
	Undone             string      // what the mistakes have kept from being done: "counted"; "" = "saved"
	Attempt            *hook.Attempt
	DryRun             *DryRunResult
	Circle             string // what to expect of a target that is a capture URL of this server, "" of any other
}

// DryRunResult is what a filter would have made of the last requests.
type DryRunResult struct {
	Matched, Total int
	Items          []DryRunItem // newest first
}

// DryRunItem is one request of a dry run.
type DryRunItem struct {
	hook.Summary
	Matched bool
	Fails   bool // it cannot be told whether it matches
	Rule    string
}

// why says why the request would not be delivered.
func (i DryRunItem) why() string {
	if i.Fails {
		return i.Rule
	}
	return hook.WhySkipped(i.Rule)
}

// SubscriptionView is what the page of a subscription shows.
type SubscriptionView struct {
	hook.SubscriptionStatus
	URL        URLItem
	Circle     string         // as in SubscriptionForm
	NewSecret  string         // just made, shown once
	Oldest     *hook.Delivery // that waits longest; nil = nothing waits
	Deliveries DeliveryList
	Snippets   []VerifySnippet
	PublicKey  string
	Replays    []hook.Replay // the newest
}

// keyWord is what people call the secret that signs; kind stands before it when it is one of a pair.
func (v SubscriptionView) keyWord(kind string) string {
	if v.PublicKey != "" {
		return kind + "key"
	}
	return "secret"
}

// VerifySnippet is code that verifies the signature of a delivery.
type VerifySnippet struct{ Language, Text string }

// StoredValue stands in a form for a header's value that is stored and never shown.
const StoredValue = "••••"

func subscriptionPath(id hook.ID) string {
	return "/subscriptions/" + id.Text(hook.SubscriptionPrefix)
}

// path returns where the form is posted.
func (f SubscriptionForm) path(u URLItem) string {
	if f.ID == 0 {
		return urlPath(u.ID) + "/subscriptions"
	}
	return subscriptionPath(f.ID) + "/edit"
}

func (f SubscriptionForm) title() string {
	if f.ID == 0 {
		return "New subscription"
	}
	return "Edit " + f.Name
}

// at returns all mistakes in a field and in what is inside it, in words.
func (f SubscriptionForm) at(location string) string {
	var found []string
	for _, e := range f.Errors {
		rest, ok := strings.CutPrefix(e.Location, location)
		switch {
		case ok && rest == "":
			found = append(found, e.Message)
		case ok && rest[0] == '[':
			index, _, _ := strings.Cut(rest[1:], "]")
			if n, err := strconv.Atoi(index); err == nil {
				found = append(found, "number "+strconv.Itoa(n+1)+" "+e.Message)
			}
		}
	}
	return strings.Join(found, "; ")
}

// fresh reports whether the form has nothing to say yet.
func (f SubscriptionForm) fresh() bool {
	return len(f.Errors) == 0 && f.Attempt == nil && f.DryRun == nil && f.Added == 0
}

func (f SubscriptionForm) undone() string { return cmp.Or(f.Undone, "saved") }

// shownFields are the locations whose mistakes stand beside their fields.
var shownFields = []string{
	"name", "target_url", "filter", "filter.all", "filter.any", "filter.jq", "method", "headers", "signing.scheme", "signing.secret", "timeout_ms",
	"max_attempts", "backoff", "rate_per_second", "concurrency",
}

// opened reports whether a part of the form has something in it, or something wrong with it, and is to be seen.
func (f SubscriptionForm) opened(locations ...string) bool {
	for _, l := range locations {
		if f.at(l) != "" {
			return true
		}
	}
	return false
}

var schemeLabels = []struct{ Value, Label, Hint string }{
	{"standard", "Standard Webhooks", "HMAC-SHA256, whsec_…; there are libraries for most languages"},
	{"standard-v1a", "Standard Webhooks v1a", "Ed25519: the receiver needs only a public key"},
	{"github", "GitHub style", "X-Hub-Signature-256: sha256=…"},
	{"stripe", "Stripe style", "Stripe-Signature: t=…,v1=…"},
	{"none", "None", "the target cannot tell that it was us"},
}

// stateOf says in one or two words how a subscription is.
func stateOf(s *hook.SubscriptionStatus) (word, class string) {
	switch {
	case s.Hold.Disabled:
		return "Disabled", "bad"
	case s.Hold.Paused:
		return "Paused", "warn"
	case s.Health.Down():
		return "Target down", "bad"
	case s.Health.QuietUntil.After(time.Now()):
		return "Waiting for the target", "warn"
	case s.Health.Failing():
		return "Failing", "warn"
	}
	return "Delivering", "good"
}

// unfinishedWord says what the unfinished deliveries of a subscription are.
func unfinishedWord(s *hook.SubscriptionStatus) string {
	if s.HeldWhy() != "" {
		return "Held"
	}
	return "Waiting"
}

// successRate returns the share of attempts of the last hour that the target took, "" when there were none.
func successRate(s *hook.SubscriptionStatus) string {
	var ok, failed int64
	for _, m := range s.Hour {
		ok, failed = ok+m.OK, failed+m.Failed
	}
	if ok+failed == 0 {
		return ""
	}
	rate := float64(ok) / float64(ok+failed) * 100
	if rate > 99 && failed > 0 {
		return strconv.FormatFloat(min(rate, 99.9), 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(rate, 'f', 0, 64) + " %"
}

// bar is one minute of the chart, in units of its view box: 60 wide, 20 high.
type bar struct{ X, OKHeight, FailedHeight, OKY, FailedY string }

// bars scales the last hour to the chart. A minute with anything in it is never too small to be seen.
func bars(hour [60]hook.Minute) (all []bar) {
	var most int64
	for _, m := range hour {
		most = max(most, m.OK+m.Failed)
	}
	if most == 0 {
		return nil
	}
	height := func(n int64) float64 {
		if n == 0 {
			return 0
		}
		return max(1, float64(n)/float64(most)*20)
	}
	text := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	for i, m := range hour {
		ok, failed := height(m.OK), height(m.Failed)
		if m.OK+m.Failed > 0 {
			all = append(all, bar{strconv.Itoa(i), text(ok), text(failed), text(20 - ok), text(20 - min(20, ok+failed))})
		}
	}
	return all
}

// hourText says what the chart shows.
func hourText(s *hook.SubscriptionStatus) string {
	var ok, failed int64
	for _, m := range s.Hour {
		ok, failed = ok+m.OK, failed+m.Failed
	}
	return "Last hour: " + counted(ok, "attempt", "attempts") + " succeeded, " + view.Count(failed) + " failed"
}

// scheduleText tells a schedule: "10 attempts: 5s, 5m, 30m, …".
func scheduleText(r hook.Retry) string {
	return counted(int64(r.MaxAttempts), "attempt", "attempts") + pausesText(r)
}

func pausesText(r hook.Retry) string {
	if r.MaxAttempts < 2 || len(r.Backoff) == 0 {
		return ""
	}
	return ", pauses of " + BackoffText(r.Backoff)
}

// BackoffText writes pauses as people type them: "5s, 5m, 2h".
func BackoffText(pauses []time.Duration) string {
	texts := make([]string, len(pauses))
	for i, p := range pauses {
		texts[i] = shortDuration(p)
	}
	return strings.Join(texts, ", ")
}

// shortDuration writes 2h where Duration.String has 2h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// hasOwnRetry reports whether retries and limits are others than a new subscription has.
func (f SubscriptionForm) hasOwnRetry() bool {
	def := hook.NewSubscription()
	return f.Ordered || f.Rate != "" || f.MaxAttempts != strconv.Itoa(def.Retry.MaxAttempts) || f.Concurrency != strconv.Itoa(def.Concurrency) ||
		f.Backoff != BackoffText(def.Retry.Backoff) || f.Timeout != strconv.FormatFloat(def.Retry.Timeout.Seconds(), 'f', -1, 64)
}

// secretProblem says what is wrong with the secret that was typed, or that it has to be typed again.
func (f SubscriptionForm) secretProblem() string {
	problem := f.at("signing.secret")
	if !f.SecretLost {
		return problem
	}
	const again = "was not kept: type it again"
	if problem == "" {
		return again
	}
	return problem + "; it " + again
}

func secretHint(f SubscriptionForm) string {
	if f.SecretHint != "" {
		return "Empty keeps the stored one, " + f.SecretHint + ". To replace it with an overlap, rotate it on the page of the subscription."
	}
	return "Empty: one is generated and shown once. Or bring your own: whsec_… for Standard Webhooks, whsk_… for v1a, and for the others at least " +
		strconv.Itoa(hook.MinSecretLen) + " characters."
}

func schemeTitle(s hook.Scheme) string {
	for _, l := range schemeLabels {
		if l.Value == string(s) {
			return l.Label
		}
	}
	return string(s)
}

// subscriptionPairs tells the settings of a subscription.
func subscriptionPairs(v SubscriptionView) []pair {
	pairs := []pair{{"Capture URL", v.URL.Address}, {"Target URL", v.TargetURL}, {"Filter", filterText(v.Filter)}}
	method := v.Method
	if method == "" {
		method = "as captured"
	}
	pairs = append(pairs, pair{"Method", method}, pair{"Retries", scheduleText(v.Retry)}, pair{"Timeout", shortDuration(v.Retry.Timeout)})
	limits := strconv.Itoa(v.Concurrency) + " at a time"
	if v.Ordered {
		limits = "one at a time, in order"
	}
	if v.Rate > 0 {
		limits += ", " + strconv.FormatFloat(v.Rate, 'f', -1, 64) + " a second"
	}
	pairs = append(pairs, pair{"Limits", limits})
	if v.AppendPath {
		pairs = append(pairs, pair{"Path and query", "appended"})
	}
	for _, h := range v.Headers {
		pairs = append(pairs, pair{"Header", h.Name + ": " + StoredValue})
	}
	return pairs
}

func filterText(f hook.Filter) string {
	if f.IsZero() {
		return "every request"
	}
	rules := f.Words()
	if f.JQ != "" {
		rules = append(rules, "jq: "+f.JQ)
	}
	return strings.Join(rules, "; and ")
}
