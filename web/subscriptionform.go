package web

import (
	"cmp"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// leastConditions are the lines of a filter that the form shows.
const leastConditions = 3

// subscriptionForm returns a subscription as texts of a form.
func subscriptionForm(sub hook.Subscription) templates.SubscriptionForm {
	form := templates.SubscriptionForm{
		ID: sub.ID, Name: sub.Name, TargetURL: sub.TargetURL, Any: sub.Filter.Any, JQ: sub.Filter.JQ, Method: sub.Method,
		AppendPath: sub.AppendPath, ForwardCredentials: sub.ForwardCredentials, KeepUserAgent: sub.KeepUserAgent,
		Scheme: string(sub.Signing.Scheme), Timeout: decimal(sub.Retry.Timeout.Seconds()),
		MaxAttempts: strconv.Itoa(sub.Retry.MaxAttempts), Backoff: templates.BackoffText(sub.Retry.Backoff),
		Concurrency: strconv.Itoa(sub.Concurrency), Ordered: sub.Ordered,
	}
	if sub.ID != 0 {
		form.SecretHint = sub.Signing.Hint()
	}
	if sub.Rate > 0 {
		form.Rate = decimal(sub.Rate)
	}
	for _, c := range sub.Filter.Conditions {
		form.Conditions = append(form.Conditions, templates.RowOf(c))
	}
	for len(form.Conditions) < leastConditions {
		form.Conditions = append(form.Conditions, templates.ConditionRow{})
	}
	var lines []string
	for _, h := range sub.Headers {
		lines = append(lines, h.Name+": "+templates.StoredValue)
	}
	form.Headers = strings.Join(lines, "\n")
	return form
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// typedSubscriptionForm returns the form with what was typed. A secret is not shown again: the form says that it has to be typed once more.
func typedSubscriptionForm(typed url.Values, form templates.SubscriptionForm) templates.SubscriptionForm {
	form.Name, form.TargetURL, form.JQ, form.Method = typed.Get("name"), typed.Get("target_url"), typedText(typed.Get("jq")), typed.Get("method")
	form.Any, form.AppendPath, form.Ordered = typed.Get("join") == "any", typed.Get("append_path") == "true", typed.Get("ordered") == "true"
	form.ForwardCredentials, form.KeepUserAgent = typed.Get("forward_credentials") == "true", typed.Get("keep_user_agent") == "true"
	form.Headers, form.Scheme = typedText(typed.Get("headers")), typed.Get("scheme")
	form.SecretLost = strings.TrimSpace(typed.Get("secret")) != ""
	form.Timeout, form.MaxAttempts, form.Backoff = typed.Get("timeout"), typed.Get("max_attempts"), typed.Get("backoff")
	form.Rate, form.Concurrency = typed.Get("rate"), typed.Get("concurrency")
	form.Conditions = typedRows(typed)
	for len(form.Conditions) < leastConditions {
		form.Conditions = append(form.Conditions, templates.ConditionRow{})
	}
	return form
}

// typedRows returns the lines of the filter in their places. Blank ones are as many as a form has had.
func typedRows(typed url.Values) (rows []templates.ConditionRow) {
	at := func(name string, i int) string {
		if values := typed[name]; i < len(values) {
			return values[i]
		}
		return ""
	}
	for i, field := range typed["field"] {
		row := templates.ConditionRow{Field: field, Name: strings.TrimSpace(at("field_name", i)), Op: at("op", i), Value: at("value", i)}
		if !row.Blank() || len(rows) < 2*hook.MaxConditions {
			rows = append(rows, row)
		}
	}
	return rows
}

// addConditions adds blank lines to the filter, of which the first is typed in next.
func addConditions(form *templates.SubscriptionForm) {
	form.Added = len(form.Conditions)
	form.Conditions = append(form.Conditions, make([]templates.ConditionRow, leastConditions)...)
}

// typedConditions returns what the lines ask for that are not blank. One without a field is among them, so that it is refused:
// what was typed in it would be lost.
func typedConditions(typed url.Values) (conditions []hook.Condition) {
	for _, row := range typedRows(typed) {
		if !row.Blank() {
			conditions = append(conditions, row.Condition())
		}
	}
	return conditions
}

// readSubscriptionForm sets what was typed; the error names the fields that cannot be read, by their names in the API.
func readSubscriptionForm(typed url.Values, sub *hook.Subscription) error {
	sub.Name, sub.TargetURL, sub.Method = typed.Get("name"), strings.TrimSpace(typed.Get("target_url")), strings.TrimSpace(typed.Get("method"))
	sub.Filter = hook.Filter{Any: typed.Get("join") == "any", Conditions: typedConditions(typed), JQ: strings.TrimSpace(typedText(typed.Get("jq")))}
	sub.AppendPath, sub.Ordered = typed.Get("append_path") == "true", typed.Get("ordered") == "true"
	sub.ForwardCredentials, sub.KeepUserAgent = typed.Get("forward_credentials") == "true", typed.Get("keep_user_agent") == "true"
	if scheme := hook.Scheme(typed.Get("scheme")); scheme != sub.Signing.Scheme {
		sub.Signing = hook.Signing{Scheme: scheme}
	}
	if secret := strings.TrimSpace(typed.Get("secret")); secret != "" {
		sub.Signing.Secrets = []hook.Secret{{Text: secret}}
	}
	def := hook.NewSubscription()
	seconds := min(cmp.Or(readDecimal(typed.Get("timeout")), def.Retry.Timeout.Seconds()), math.MaxInt32)
	sub.Retry.Timeout = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	sub.Retry.MaxAttempts = int(cmp.Or(readLimit(typed.Get("max_attempts")), int64(def.Retry.MaxAttempts)))
	sub.Concurrency = int(cmp.Or(readLimit(typed.Get("concurrency")), int64(def.Concurrency)))
	sub.Rate = readDecimal(typed.Get("rate"))
	var errs []error
	var err error
	if sub.Retry.Backoff, err = readBackoff(typed.Get("backoff")); err != nil {
		errs = append(errs, err)
	}
	if sub.Headers, err = readSecretHeaders(typed.Get("headers"), sub.Headers); err != nil {
		errs = append(errs, err)
	}
	return joinInvalid(errs...)
}

// readBackoff reads "5s, 5m, 2h"; a number alone is seconds. Nothing is the default, and so is what cannot be read: it is
// not missing as well.
func readBackoff(text string) (pauses []time.Duration, err error) {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		d, err := time.ParseDuration(part)
		if seconds, plain := strconv.ParseFloat(part, 64); plain == nil && seconds < 1e7 {
			d, err = time.Duration(seconds*float64(time.Second)), nil
		}
		if err != nil {
			return hook.DefaultBackoff(), fieldError("backoff", "is not a list of times: write it like 5s, 5m, 2h")
		}
		pauses = append(pauses, d)
	}
	if len(pauses) == 0 {
		return hook.DefaultBackoff(), nil
	}
	return pauses, nil
}

// readSecretHeaders reads one "Name: value" a line. A value of dots stands for the stored one.
func readSecretHeaders(text string, stored []hook.Header) ([]hook.Header, error) {
	lines, err := readHeaderLines(text, "headers")
	if err != nil {
		return stored, err
	}
	stored = slices.Clone(stored)
	for i, h := range lines {
		at := slices.IndexFunc(stored, func(old hook.Header) bool { return strings.EqualFold(old.Name, h.Name) })
		if h.Value != templates.StoredValue {
			continue
		}
		if at < 0 {
			return lines, fieldError("headers["+strconv.Itoa(i)+"].value", "has no stored value: type it")
		}
		lines[i].Value = stored[at].Value
		stored = slices.Delete(stored, at, at+1)
	}
	return lines, nil
}
