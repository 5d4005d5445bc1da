package web

import (
	"slices"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
)

// subscriptionJSON is a subscription as the API shows it.
type subscriptionJSON struct {
	ID                 string         `json:"id"`
	CaptureURLID       string         `json:"capture_url_id"`
	Name               string         `json:"name"`
	TargetURL          string         `json:"target_url"`
	Filter             *filterJSON    `json:"filter"`
	Headers            []secretLine   `json:"headers"`
	Method             string         `json:"method"`
	AppendPath         bool           `json:"append_path"`
	Ordered            bool           `json:"ordered"`
	Signing            signingJSON    `json:"signing"`
	TimeoutMS          int64          `json:"timeout_ms"`
	MaxAttempts        int            `json:"max_attempts"`
	Backoff            []float64      `json:"backoff"`
	RatePerSecond      *float64       `json:"rate_per_second"`
	Concurrency        int            `json:"concurrency"`
	ForwardCredentials bool           `json:"forward_credentials"`
	KeepUserAgent      bool           `json:"keep_user_agent"`
	Enabled            bool           `json:"enabled"`
	Paused             bool           `json:"paused"`
	DisabledReason     *string        `json:"disabled_reason"`
	HeldReason         *string        `json:"held_reason"`
	Deliveries         deliveryCounts `json:"deliveries"`
	CreatedAt          *string        `json:"created_at"`
}

// filterJSON has the conditions in one of all and any.
type filterJSON struct {
	All []conditionJSON `json:"all,format:emitnull"`
	Any []conditionJSON `json:"any,format:emitnull"`
	JQ  *string         `json:"jq"`
}

type conditionJSON struct {
	Field string `json:"field"`
	Op    string `json:"op"`
	Value string `json:"value"`
}

// secretLine is a header whose value is written and never read back: it is null in every answer.
type secretLine struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

type signingJSON struct {
	Scheme     string  `json:"scheme"`
	SecretHint string  `json:"secret_hint"`
	Secret     *string `json:"secret"` // only in the answer that made it
	PublicKey  *string `json:"public_key"`
}

type deliveryCounts struct {
	Unfinished int64 `json:"unfinished"`
	Succeeded  int64 `json:"succeeded"`
	Failed     int64 `json:"failed"`
	Cancelled  int64 `json:"cancelled"`
	Skipped    int64 `json:"skipped"`
}

// originalMethod stands for the method of the request.
const originalMethod = "original"

func newSubscriptionJSON(sub hook.SubscriptionStatus) subscriptionJSON {
	doc := subscriptionJSON{
		ID: sub.ID.Text(hook.SubscriptionPrefix), CaptureURLID: sub.CaptureURLID.Text(hook.CaptureURLPrefix), Name: sub.Name,
		TargetURL: sub.TargetURL, Filter: newFilterJSON(sub.Filter), Method: sub.Method, AppendPath: sub.AppendPath, Ordered: sub.Ordered,
		Signing:   signingJSON{Scheme: string(sub.Signing.Scheme), SecretHint: sub.Signing.Hint()},
		TimeoutMS: sub.Retry.Timeout.Milliseconds(), MaxAttempts: sub.Retry.MaxAttempts, Concurrency: sub.Concurrency,
		ForwardCredentials: sub.ForwardCredentials, KeepUserAgent: sub.KeepUserAgent,
		Enabled: !sub.Hold.Disabled, Paused: sub.Hold.Paused, DisabledReason: textOrNull(sub.Hold.DisabledReason),
		HeldReason: textOrNull(sub.HeldWhy()), CreatedAt: apiTime(sub.CreatedAt),
		Deliveries: deliveryCounts{
			sub.Counts.Unfinished, sub.Counts.Succeeded, sub.Counts.Failed, sub.Counts.Cancelled, sub.Counts.Skipped,
		},
	}
	if doc.Method == "" {
		doc.Method = originalMethod
	}
	for _, h := range sub.Headers {
		doc.Headers = append(doc.Headers, secretLine{Name: h.Name})
	}
	for _, pause := range sub.Retry.Backoff {
		doc.Backoff = append(doc.Backoff, pause.Seconds())
	}
	if sub.Rate > 0 {
		doc.RatePerSecond = &sub.Rate
	}
	if key, err := signing.PublicKey(sub.Signing.Current()); err == nil {
		doc.Signing.PublicKey = &key
	}
	return doc
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func newFilterJSON(f hook.Filter) *filterJSON {
	if f.IsZero() {
		return nil
	}
	doc := &filterJSON{JQ: textOrNull(f.JQ)}
	conditions := []conditionJSON{}
	for _, c := range f.Conditions {
		conditions = append(conditions, conditionJSON{c.Field, string(c.Op), c.Value})
	}
	if f.Any {
		doc.Any = conditions
	} else {
		doc.All = conditions
	}
	return doc
}

// withSecret adds the secret to the one answer that shows it.
func withSecret(doc subscriptionJSON, sub hook.Subscription) subscriptionJSON {
	doc.Signing.Secret = textOrNull(sub.Signing.Current())
	return doc
}

// subscriptionInput is what creates or changes a subscription. A member that is left out changes nothing, a null takes the
// default.
type subscriptionInput struct {
	Name               member[string]       `json:"name"`
	TargetURL          member[string]       `json:"target_url"`
	Filter             member[filterInput]  `json:"filter"`
	Headers            member[[]secretLine] `json:"headers"`
	Method             member[string]       `json:"method"`
	AppendPath         member[bool]         `json:"append_path"`
	Ordered            member[bool]         `json:"ordered"`
	Signing            member[signingInput] `json:"signing"`
	TimeoutMS          member[int64]        `json:"timeout_ms"`
	MaxAttempts        member[int]          `json:"max_attempts"`
	Backoff            member[[]float64]    `json:"backoff"`
	RatePerSecond      member[float64]      `json:"rate_per_second"`
	Concurrency        member[int]          `json:"concurrency"`
	ForwardCredentials member[bool]         `json:"forward_credentials"`
	KeepUserAgent      member[bool]         `json:"keep_user_agent"`
	Enabled            member[bool]         `json:"enabled"`
	Paused             member[bool]         `json:"paused"`
}

type filterInput struct {
	All member[[]conditionInput] `json:"all"`
	Any member[[]conditionInput] `json:"any"`
	JQ  member[string]           `json:"jq"`
}

type conditionInput struct {
	Field string         `json:"field"`
	Op    string         `json:"op"`
	Value member[string] `json:"value"`
}

type signingInput struct {
	Scheme member[string] `json:"scheme"`
	Secret member[string] `json:"secret"`
}

// apply changes a subscription. Only what Validate cannot see is an error.
func (in subscriptionInput) apply(sub *hook.Subscription, by string) error {
	def := hook.NewSubscription()
	in.Name.apply(&sub.Name, "")
	in.TargetURL.apply(&sub.TargetURL, "")
	in.AppendPath.apply(&sub.AppendPath, false)
	in.Ordered.apply(&sub.Ordered, false)
	in.Concurrency.apply(&sub.Concurrency, def.Concurrency)
	in.ForwardCredentials.apply(&sub.ForwardCredentials, false)
	in.KeepUserAgent.apply(&sub.KeepUserAgent, false)
	in.RatePerSecond.apply(&sub.Rate, 0)
	if in.RatePerSecond.set && !in.RatePerSecond.null && sub.Rate == 0 {
		sub.Rate = -1 // a zero is no request for no limit, it is a mistake for Validate to find
	}
	if in.Method.set {
		if sub.Method = in.Method.value; sub.Method == originalMethod {
			sub.Method = ""
		}
	}
	in.applyRetry(&sub.Retry, def.Retry)
	in.Signing.value.apply(&sub.Signing, in.Signing)
	if in.Enabled.set {
		enable(&sub.Hold, in.Enabled.value || in.Enabled.null, by)
	}
	if in.Paused.set {
		pause(&sub.Hold, in.Paused.value, by)
	}
	if in.Headers.set {
		sub.Headers = mergeHeaders(in.Headers.value, sub.Headers)
	}
	if !in.Filter.set {
		return nil
	}
	f, err := in.Filter.value.filter("/filter")
	sub.Filter = f
	return err
}

func (in subscriptionInput) applyRetry(r *hook.Retry, def hook.Retry) {
	if in.TimeoutMS.set {
		// In milliseconds first: a huge number must not become a small duration.
		ms := min(max(in.TimeoutMS.value, -1), hook.MaxDeliveryTimeout.Milliseconds()+1)
		r.Timeout = time.Duration(ms) * time.Millisecond
		if in.TimeoutMS.null {
			r.Timeout = def.Timeout
		}
	}
	if in.Backoff.set {
		r.Backoff = def.Backoff
		if !in.Backoff.null {
			r.Backoff = durations(in.Backoff.value)
			r.MaxAttempts = len(r.Backoff) + 1
		}
	}
	in.MaxAttempts.apply(&r.MaxAttempts, def.MaxAttempts)
}

// durations turns seconds into times; what is far out of range stays out of range.
func durations(seconds []float64) []time.Duration {
	all := make([]time.Duration, len(seconds))
	for i, s := range seconds {
		all[i] = time.Duration(min(max(s, -1), 2*hook.MaxBackoff.Seconds()) * float64(time.Second))
	}
	return all
}

func (in signingInput) apply(s *hook.Signing, m member[signingInput]) {
	if m.null {
		s.Scheme = hook.SignStandard
	}
	if in.Scheme.set {
		s.Scheme = hook.Scheme(in.Scheme.value)
	}
	if in.Scheme.null {
		s.Scheme = hook.SignStandard
	}
	if in.Secret.set && !in.Secret.null {
		s.Secrets = []hook.Secret{{Text: in.Secret.value}}
		if in.Secret.value == "" {
			s.Secrets[0].Text = " " // a mistake for the check of secrets, not a request for a generated one
		}
	}
}

// mergeHeaders returns the headers of a document. One without a value keeps the value that is stored under its name.
func mergeHeaders(lines []secretLine, stored []hook.Header) []hook.Header {
	stored = slices.Clone(stored)
	headers := []hook.Header{}
	for _, line := range lines {
		h := hook.Header{Name: line.Name}
		at := slices.IndexFunc(stored, func(old hook.Header) bool { return strings.EqualFold(old.Name, line.Name) })
		switch {
		case line.Value != nil:
			h.Value = *line.Value
		case at >= 0:
			h.Value = stored[at].Value
		}
		if at >= 0 {
			stored = slices.Delete(stored, at, at+1)
		}
		headers = append(headers, h)
	}
	return headers
}

func (in filterInput) filter(at string) (f hook.Filter, err error) {
	if len(in.All.value) > 0 && len(in.Any.value) > 0 {
		return f, fieldError(at[1:]+".any", "must be null when there is all: conditions are joined in one way")
	}
	f.Any, f.JQ = len(in.Any.value) > 0, in.JQ.value
	for _, c := range append(in.All.value, in.Any.value...) {
		f.Conditions = append(f.Conditions, hook.Condition{Field: c.Field, Op: hook.Op(c.Op), Value: c.Value.value})
	}
	return f, nil
}
