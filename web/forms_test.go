package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
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

// TestFormsOutliveWhatPasses: what cannot be done now, or conflicts, is said in the form, with what was typed.
func TestFormsOutliveWhatPasses(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	d.web.Try = func(context.Context, hook.Subscription, *hook.Request) hook.Attempt { return hook.Attempt{} }
	sub := storetest.Subscription(t, d.store, d.own.ID)
	cut := storetest.Request(d.own.ID, 0)
	cut.Truncated, cut.BodySize = true, 1<<30
	if err := d.store.Capture(cut); err != nil {
		t.Fatal(err)
	}
	whole := d.request(d.own.ID, "a")
	resend, replay := requestPath(d.own.ID, cut.ID)+"/resend", subscriptionPath(sub.ID)+"/replay"
	want := func(about string, status int, path, field, typed, message string, fields ...string) {
		t.Helper()
		a := d.post(path, append(fields, field, typed)...)
		wantStatus(t, about, a, status)
		if again := a.header.Get("Retry-After") != ""; again != (status != http.StatusConflict) {
			t.Errorf("%s: Retry-After is %q", about, a.header.Get("Retry-After"))
		}
		page := a.parse(t)
		if got := page.One("form [role=alert]").Text(); !strings.HasPrefix(got, "Nothing was "+message) {
			t.Errorf("%s: %q, want %q", about, got, message)
		}
		if got := page.One("form input[name=" + field + "]"); got.Attr("value") != typed {
			t.Errorf("%s: %s has become %q", about, field, got.Attr("value"))
		}
	}
	const another = "A test, a dry run or a count of yours is under way"
	done, err := d.web.tries.begin(d.user.ID)
	if err != nil {
		t.Fatal(err)
	}
	subscription := []string{"name", "n", "target_url", "https://a.example", "scheme", "none"}
	want("a test", http.StatusTooManyRequests, d.form(), "backoff", "7s", "sent. "+another, append(subscription, "action", "test")...)
	want("a dry run", http.StatusTooManyRequests, d.form(), "backoff", "7s", "tried. "+another, append(subscription, "action", "dry-run")...)
	want("a count", http.StatusTooManyRequests, replay, "rate", "3", "counted. "+another, "action", "count")
	done()
	a := d.post(resend, "target_url", "https://a.example/x")
	wantStatus(t, "a resend of what was not kept", a, http.StatusConflict)
	if got := a.parse(t).One("#detail [role=alert]").Text(); !strings.HasPrefix(got, "Nothing was sent. The body of this request") || len(a.parse(t).All("#not-resent a")) != 1 {
		t.Errorf("a resend of what was not kept: %q", got)
	}
	for range hook.MaxReplays {
		r := hook.Replay{SubscriptionID: sub.ID, CaptureURLID: d.own.ID, Rate: 0.01, UpTo: whole.ID}
		if err := d.store.CreateReplay(t.Context(), hook.System, &r); err != nil {
			t.Fatal(err)
		}
	}
	want("one replay too many", http.StatusConflict, replay, "rate", "3", "sent. 10 replays into this subscription are running", "action", "start")
}

// TestTypedSecretIsToldLost: a secret that was typed is not shown again, and is not said to be stored.
func TestTypedSecretIsToldLost(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	stored, err := d.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(s *hook.Subscription) error {
		s.Signing = hook.Signing{Scheme: hook.SignGitHub, Secrets: []hook.Secret{{Text: "what-is-stored-now-1111"}}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{d.form(), subscriptionPath(sub.ID) + "/edit"} {
		for _, action := range []string{"test", "dry-run", "more", "save"} {
			page := d.post(path, "action", action, "name", "", "target_url", "https://a.example", "scheme", "github", "secret", "another-that-I-typed-2222").parse(t)
			if strings.Contains(page.One("body").Text(), "2222") || page.One("#secret").Attr("value") != "" {
				t.Errorf("%s %s: the typed secret is shown", path, action)
			}
			if got := page.One("#secret-problem").Text(); got != "Was not kept: type it again." {
				t.Errorf("%s %s: %q", path, action, got)
			}
			edits := path != d.form()
			if strings.Contains(page.One("#secret-hint").Text(), stored.Signing.Hint()) != edits {
				t.Errorf("%s %s: %q", path, action, page.One("#secret-hint").Text())
			}
			if len(page.All("details[open] #secret")) != 1 {
				t.Errorf("%s %s: the secret is out of sight", path, action)
			}
		}
		page := d.post(path, "action", "more", "name", "n", "scheme", "github").parse(t)
		if problems := page.Texts("#secret-problem"); len(problems) > 0 {
			t.Errorf("%s: %q, without a secret", path, problems)
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
		"field-1": "Condition 2 has no field: choose one, or empty the line.",
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

// TestTypedURLIsNotIgnored: where an edited copy goes is chosen once, and both that was typed is kept when it is not.
func TestTypedURLIsNotIgnored(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	path := requestPath(d.own.ID, d.request(d.own.ID, "").ID) + "/edit"
	chosen := func(a answer) (ids []string) {
		for _, option := range a.parse(t).All("#to option[selected]") {
			ids = append(ids, option.Attr("value"))
		}
		return ids
	}
	wantEqualOf(t, "without a subscription", chosen(d.get(path)), nil)
	sub := storetest.Subscription(t, d.store, d.own.ID)
	to := sub.ID.Text(hook.SubscriptionPrefix)
	wantEqualOf(t, "with one", chosen(d.get(path)), []string{to})
	other := storetest.Subscription(t, d.store, d.own.ID).ID
	wantEqualOf(t, "with two", chosen(d.get(path)), nil)
	for _, test := range []struct {
		about, field, want string
		fields             []string
	}{
		{"both", "#target_url", "Is typed while a subscription is chosen: choose “the URL below”, or empty this.", []string{"subscription", to, "target_url", "https://a.example", "sign_as", to}},
		{"neither", "#to", "Is open: choose a subscription, or type a URL.", []string{"target_url", " "}},
		{"a signature without a URL", "#sign_as", "Is for another URL: a subscription signs with its own secret.", []string{"subscription", to, "sign_as", to}},
	} {
		a := d.post(path, append([]string{"method", "POST"}, test.fields...)...)
		wantStatus(t, test.about, a, http.StatusUnprocessableEntity)
		field := a.parse(t).One(test.field)
		if field.Attr("aria-invalid") != "true" {
			t.Fatalf("%s: %s is not marked", test.about, test.field)
		}
		said, _, _ := strings.Cut(field.Attr("aria-describedby"), " ")
		if got := a.parse(t).One("#" + said).Text(); got != test.want {
			t.Errorf("%s: %q, want %q", test.about, got, test.want)
		}
		if test.about == "both" && (len(chosen(a)) != 1 || field.Attr("value") != "https://a.example" || len(a.parse(t).All("#sign_as option[selected]")) != 1) {
			t.Error("what was typed is lost")
		}
	}
	a := d.post(requestPath(d.own.ID, d.request(d.own.ID, "").ID)+"/resend", "subscription", to, "sign_as", to)
	wantStatus(t, "resend", a, http.StatusUnprocessableEntity)
	if got := a.parse(t).One("#sign_as-problem").Text(); got != "Is for another URL: type one, or choose none." {
		t.Errorf("resend: %q", got)
	}
	a = d.post(requestPath(d.own.ID, d.request(d.own.ID, "").ID) + "/resend")
	if got := a.parse(t).One("#" + a.parse(t).One("#detail fieldset").Attr("aria-describedby")).Text(); got != "Choose a subscription, or type a URL." {
		t.Errorf("resend to nothing: %q", got)
	}
	wantEqualOf(t, "sent", len(d.deliveries()), 0)
	d.follow(path, "method", "POST", "target_url", "https://a.example/typed", "sign_as", to)
	made := d.deliveries()
	if len(made) != 1 || made[0].TargetURL != "https://a.example/typed" || made[0].SignAs != sub.ID {
		t.Fatalf("made %+v", made)
	}
	d.follow(path, "method", "POST", "subscription", other.Text(hook.SubscriptionPrefix))
	d.follow(subscriptionPath(other) + "/delete")
	again := path + "?delivery=" + d.deliveries()[0].ID.Text(hook.DeliveryPrefix)
	wantEqualOf(t, "after one that is gone", chosen(d.get(again)), nil)
}

func (d *dash) deliveries() []hook.Delivery {
	d.t.Helper()
	all, err := d.store.Deliveries(d.t.Context(), hook.System, store.DeliveryPage{CaptureURL: d.own.ID, Limit: 10})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// TestPageBeginsWhereItMatters: behind a form the focus is on what has come of it, not on top of the page.
func TestPageBeginsWhereItMatters(t *testing.T) {
	t.Parallel()
	s := newSite(t, guarded(t), func(o *Options) {
		o.Try = func(context.Context, hook.Subscription, *hook.Request) hook.Attempt { return hook.Attempt{Status: 200} }
	})
	admin := s.user(true)
	d := &dash{s.loggedIn(admin), admin, storetest.CaptureURLOf(t, s.store, admin)}
	sub := storetest.Subscription(t, d.store, d.own.ID)
	request := requestPath(d.own.ID, d.request(d.own.ID, "").ID)
	valid := []string{"name", "n", "target_url", "https://a.example", "scheme", "none"}
	for _, test := range []struct {
		path   string
		fields []string
		want   string
	}{
		{d.form(), []string{"action", "save"}, "Nothing was saved."},
		{d.form(), append(valid, "action", "test"), "The target took"},
		{d.form(), append(valid, "action", "dry-run"), "Would have delivered"},
		{d.form(), append(valid, "action", "more"), "field-3"},
		{subscriptionPath(sub.ID) + "/replay", []string{"action", "more"}, "field-3"},
		{subscriptionPath(sub.ID) + "/replay", []string{"action", "count"}, "1 request will be sent."},
		{subscriptionPath(sub.ID) + "/replay", []string{"action", "count", "rate", "x"}, "Nothing was counted."},
		{request + "/resend", nil, "Nothing was sent."},
		{request + "/edit", nil, "Nothing was sent."},
		{urlPath(d.own.ID) + "/settings", nil, "Nothing was saved."},
		{"/urls", nil, "Nothing was saved."},
		{"/settings/password", nil, "Nothing was saved."},
		{"/settings/tokens", nil, "Nothing was saved."},
		{"/settings/users", nil, "Nothing was saved."},
	} {
		found := d.post(test.path, test.fields...).parse(t).All("main [autofocus]")
		if len(found) != 1 {
			t.Errorf("%s, %q: %d places have the focus", test.path, test.fields, len(found))
			continue
		}
		if got := found[0]; !strings.HasPrefix(got.Text(), test.want) && got.Attr("id") != test.want {
			t.Errorf("%s, %q: the focus is on %q, want %q", test.path, test.fields, got.Text(), test.want)
		} else if got.Name() != "select" && got.Attr("tabindex") != "-1" {
			t.Errorf("%s, %q: what has the focus cannot have it", test.path, test.fields)
		}
	}
}

// TestCircleIsTold: a subscription that delivers to a capture URL of this server is taken, tested and shown, each time with a word of
// what that means.
func TestCircleIsTold(t *testing.T) {
	t.Parallel()
	d := newDash(t, func(o *Options) {
		o.Try = func(context.Context, hook.Subscription, *hook.Request) hook.Attempt { return hook.Attempt{Status: 200} }
	})
	other := storetest.CaptureURLOf(t, d.store, d.user)
	form := func(target, action string) []string {
		return []string{"action", action, "name", "n", "target_url", target, "scheme", "none"}
	}
	for target, want := range map[string]string{
		d.url + "/in/" + d.own.Slug + "/x": "This is the address of the same capture URL",
		d.url + "/in/" + other.Slug:        "This is a capture URL of this server.",
		d.url + "/in/nobody":               "",
		"https://a.example":                "",
	} {
		tested := d.post(d.form(), form(target, "test")...).parse(t).Texts(".good-notice .warn")
		shown := d.post(d.form(), form(target, "more")...).parse(t).Texts("#circle")
		saved := d.follow(d.form(), form(target, "save")...).parse(t).Texts("#circle")
		for about, texts := range map[string][]string{"tested": tested, "shown": shown, "saved": saved} {
			if text := strings.Join(texts, " "); (want == "") != (text == "") || !strings.HasPrefix(text, want) {
				t.Errorf("%s, %s: %q, want %q", target, about, text, want)
			}
		}
		d.follow(subscriptionPath(d.only().ID) + "/delete")
	}
}
