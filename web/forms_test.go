package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestHeaderMistakesNameTheHeader: wherever headers are typed one a line, what is wrong with one is said with its name.
func TestHeaderMistakesNameTheHeader(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	edit := requestPath(d.own.ID, d.request(d.own.ID, "").ID) + "/edit"
	subscription := []string{"action", "save", "name", "n", "target_url", "https://a.example", "scheme", "none"}
	for _, test := range []struct {
		path    string
		fields  []string
		headers string
		want    string
	}{
		{urlPath(d.own.ID) + "/settings", nil, "X-A: 1\n\nSet-Cookie: a", `Header "Set-Cookie" `},
		{urlPath(d.own.ID) + "/settings", nil, "X-A: 1\n\nSecret a", `Header "Secret a" has no colon`},
		{d.form(), subscription, "X-A: 1\n\nHost: a", `Header "Host" is set by Hookkeeper`},
		{d.form(), subscription, "one\nX-A: 1\ntwo", `Header "one" has no colon: write it as Name: value; header "two" has no colon`},
		{d.form(), subscription, "\nX-A: ••••", `Header "X-A" has no stored value`},
		{edit, []string{"subscription", sub.ID.Text(hook.SubscriptionPrefix), "method", "POST"}, "X-A: 1\n\nX A: 1", `Header "X A" is not a header name`},
		{edit, []string{"subscription", sub.ID.Text(hook.SubscriptionPrefix), "method", "POST"}, "X-A", `Header "X-A" has no colon`},
	} {
		a := d.post(test.path, append([]string{"headers", test.headers}, test.fields...)...)
		wantStatus(t, test.path, a, http.StatusUnprocessableEntity)
		if got := a.parse(t).One("#headers-problem").Text(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s, %q: %q, want %q", test.path, test.headers, got, test.want)
		}
	}
}

// TestFormsSayWhatWasNotDone: a mistake is summed up by what the button was to do, in the words of the form.
func TestFormsSayWhatWasNotDone(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	replay, edit := subscriptionPath(sub.ID)+"/replay", requestPath(d.own.ID, d.request(d.own.ID, "").ID)+"/edit"
	subscription := []string{"name", "n", "target_url", "https://a.example", "scheme", "none", "method", "CONNECT", "jq", ".a |"}
	const method = "Must be an HTTP method other than CONNECT"
	for _, test := range []struct {
		path, action  string
		fields        []string
		undone        string
		method, about string
	}{
		{d.form(), "save", subscription, "saved", method + ", or empty: as captured.", "a subscription"},
		{d.form(), "test", subscription, "sent", method + ", or empty: as captured.", "a test"},
		{d.form(), "dry-run", subscription, "tried", "", "a dry run"},
		{replay, "count", []string{"jq", ".a |"}, "counted", "", "a count"},
		{replay, "start", []string{"jq", ".a |"}, "sent", "", "a replay"},
		{edit, "", []string{"target_url", "https://a.example", "method", "CONNECT"}, "sent", method + ".", "an edited copy"},
	} {
		a := d.post(test.path, append([]string{"action", test.action}, test.fields...)...)
		wantStatus(t, test.about, a, http.StatusUnprocessableEntity)
		page := a.parse(t)
		if got, want := page.One("form [role=alert]").Text(), "Nothing was "+test.undone+"."; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", test.about, got, want)
		}
		if got := strings.Join(page.Texts("#method-problem"), ""); got != test.method {
			t.Errorf("%s: %q, want %q", test.about, got, test.method)
		}
	}
}
