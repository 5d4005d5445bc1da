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

// TestFilterRowsKeepTheirPlaces: each line of a filter that cannot be one is named and marked where it was typed, and one without
// a field is not dropped with what was typed in it.
func TestFilterRowsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	var rows []string
	for _, row := range [][4]string{
		{"", "", "is", ""}, {"", "", "is", "lost?"}, {"path", "", "is", "/ok"}, {"header", "", "is", "x"}, {"", "", "is", ""}, {"path", "X", "is", "y"}, {"body", "", "glob", ""},
	} {
		rows = append(rows, "field", row[0], "field_name", row[1], "op", row[2], "value", row[3])
	}
	problems := map[string]string{
		"field-1": "Condition 2 has no field: choose one.",
		"name-3":  "Condition 4 needs the name of a header.",
		"name-5":  "Condition 6 has a name, which only a header or a query parameter has: choose one of them, or empty the name.",
		"value-6": "Condition 7 is empty: every request would match.",
	}
	form := append(rows, "name", "n", "target_url", "https://a.example", "scheme", "none")
	for _, test := range []struct {
		path, action, join string
		fields             []string
	}{
		{d.form(), "save", "all", form},
		{d.form(), "dry-run", "any", form},
		{d.form(), "test", "all", form},
		{subscriptionPath(sub.ID) + "/edit", "save", "any", form},
		{subscriptionPath(sub.ID) + "/replay", "count", "all", rows},
	} {
		about := test.path + ", " + test.action
		a := d.post(test.path, append([]string{"action", test.action, "join", test.join}, test.fields...)...)
		wantStatus(t, about, a, http.StatusUnprocessableEntity)
		page, said := a.parse(t), map[string]string{}
		for _, e := range page.All(".condition [aria-invalid=true]") {
			said[e.Attr("id")] = page.One("#" + e.Attr("aria-describedby")).Text()
		}
		wantEqualOf(t, about, said, problems)
		if page.One("#value-1").Attr("value") != "lost?" || page.One("#value-2").Attr("value") != "/ok" || page.One("#name-5").Attr("value") != "X" {
			t.Errorf("%s: the lines have moved", about)
		}
	}
	more := d.post(d.form(), append([]string{"action", "more"}, form...)...)
	wantStatus(t, "more", more, http.StatusOK)
	if more.parse(t).One("#value-1").Attr("value") != "lost?" {
		t.Error("more conditions: the lines have moved")
	}
	saved := d.follow(d.form(), "action", "save", "name", "n", "target_url", "https://a.example", "scheme", "none",
		"field", "", "field_name", "", "op", "glob", "value", "", "field", "query", "field_name", " a ", "op", "is", "value", "1")
	wantStatus(t, "blank lines", saved, http.StatusOK)
	for _, made := range d.store.SubscriptionsOf(d.own.ID) {
		if made.ID != sub.ID {
			wantEqualOf(t, "filter", made.Filter.Conditions, []hook.Condition{{Field: "query.a", Op: hook.OpIs, Value: "1"}})
		}
	}
}

// TestTargetGetsThePublicKey: of a pair of keys the one to copy is the public one, whenever a pair is made; a secret that both sides
// have is still shown.
func TestTargetGetsThePublicKey(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	made := d.follow(d.form(), "action", "save", "name", "n", "target_url", "https://a.example", "scheme", "standard-v1a")
	path := subscriptionPath(d.only().ID)
	rotated := d.follow(path+"/rotate", "overlap_hours", "1")
	for about, a := range map[string]answer{"created": made, "rotated": rotated} {
		notice := a.parse(t).One("main .good-notice")
		code := a.parse(t).Texts("main .good-notice code")
		if len(code) != 2 || !strings.HasPrefix(code[0], "whpk_") || !strings.HasPrefix(code[1], "whsk_") {
			t.Fatalf("%s: to copy are %q", about, code)
		}
		if hidden := a.parse(t).Texts("#private-key code"); len(hidden) != 1 || hidden[0] != code[1] {
			t.Errorf("%s: the private key does not stand apart", about)
		}
		if text := notice.Text(); !strings.HasPrefix(text, "This is the public key: put it where the target reads it.") {
			t.Errorf("%s: %s", about, text)
		}
	}
	if key := d.only().Signing.Current(); !strings.Contains(rotated.body, key) {
		t.Error("the key that signs now was not shown")
	}
	if page := d.get(path); !strings.Contains(page.body, "whpk_") || strings.Contains(page.body, "whsk_") {
		t.Error("later the page is to show the public key, and only that")
	}
	d.follow(path+"/edit", "action", "save", "name", "n", "target_url", "https://a.example", "scheme", "none")
	shared := d.follow(path+"/edit", "action", "save", "name", "n", "target_url", "https://a.example", "scheme", "standard")
	if code := shared.parse(t).One("main .good-notice code").Text(); code != d.only().Signing.Current() || !strings.HasPrefix(code, "whsec_") {
		t.Errorf("a shared secret: %q", code)
	}
}

// TestNoTestWhilePaused: a test request to a paused capture URL is not offered, and says what to do when it is asked for all the same.
func TestNoTestWhilePaused(t *testing.T) {
	t.Parallel()
	d := newDash(t)
	path := urlPath(d.own.ID)
	d.follow(path+"/pause", "paused", "true")
	for _, button := range d.get(path).parse(t).All(`form[data-quiet=Sent] button`) {
		if !button.Has("disabled") || button.Attr("aria-describedby") != "paused-why" {
			t.Error("a test request is offered, or nothing says why not")
		}
	}
	said := d.follow(path + "/test").parse(t).Texts(".banner")
	wantEqualOf(t, "told", said, []string{"The capture URL is paused: resume capturing to send a test request."})
	wantStatus(t, "app.js", d.ask("POST", path+"/test", "", "Origin", d.url, fragmentHeader, "none"), http.StatusConflict)
	for _, button := range d.follow(path+"/pause", "paused", "false").parse(t).All(`form[data-quiet=Sent] button`) {
		if button.Has("disabled") || button.Has("aria-describedby") {
			t.Error("no test request is offered afterwards")
		}
	}
}
