package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// hostile is what strangers write where they can.
const hostile = `"><script>window.__xss=1</script>'&`

// dash is a logged-in browser with a capture URL.
type dash struct {
	*browser
	user hook.User
	own  hook.CaptureURL
}

func newDash(t *testing.T, change ...func(*Options)) *dash {
	t.Helper()
	s := newSite(t, change...)
	u := s.user(false)
	return &dash{s.loggedIn(u), u, storetest.CaptureURLOf(t, s.store, u)}
}

func (d *dash) form() string { return urlPath(d.own.ID) + "/subscriptions" }

func (d *dash) only() hook.SubscriptionStatus {
	d.t.Helper()
	all := d.store.SubscriptionsOf(d.own.ID)
	if len(all) != 1 {
		d.t.Fatalf("%d subscriptions", len(all))
	}
	sub, err := d.store.Subscription(context.Background(), hook.System, all[0].ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return sub
}

// TestSubscriptionForm creates one with every field, finds all of it in the form again, and changes it.
func TestSubscriptionForm(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	a := d.follow(d.form(),
		"action", "save", "name", "Shop", "target_url", "https://shop.example/hooks", "join", "any", "field", "header", "field_name", "X-Topic", "op", "is",
		"value", "paid", "field", "path", "field_name", "", "op", "glob", "value", "/orders/*", "jq", `.type == "paid"`, "method", "PUT",
		"append_path", "true", "headers", "X-Key: s3cr3t-value", "forward_credentials", "true", "keep_user_agent", "true", "scheme", "github",
		"timeout", "2.5", "max_attempts", "3", "backoff", "1s, 2m", "rate", "5", "concurrency", "4", "ordered", "true")
	sub := d.only()
	if secret := sub.Signing.Current(); secret == "" || !strings.Contains(a.body, secret) {
		t.Error("the secret was not shown")
	}
	page := d.get(subscriptionPath(sub.ID))
	for _, secret := range []string{sub.Signing.Current(), "s3cr3t-value"} {
		for _, path := range []string{"", "/edit"} {
			if a := d.get(subscriptionPath(sub.ID) + path); strings.Contains(a.body, secret) {
				t.Errorf("%s shows a secret", path)
			}
		}
	}
	if name := page.parse(t).One("h1").Text(); name != "Shop" {
		t.Errorf("heading %q", name)
	}
	form := d.get(subscriptionPath(sub.ID) + "/edit").parse(t)
	for id, want := range map[string]string{
		"#name": "Shop", "#target_url": "https://shop.example/hooks", "#timeout": "2.5", "#max_attempts": "3", "#rate": "5",
		"#concurrency": "4", "#name-0": "X-Topic", "#value-0": "paid", "#value-1": "/orders/*", "#backoff": "1s, 2m",
	} {
		if got := form.One(id).Attr("value"); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	if got := form.One("#headers").Text(); got != "X-Key: ••••" {
		t.Errorf("headers %q", got)
	}
	fields := []string{
		"action", "save", "name", "Shop 2", "target_url", "https://shop.example/hooks", "headers", form.One("#headers").Text(), "scheme", "github",
	}
	d.follow(subscriptionPath(sub.ID)+"/edit", fields...)
	saved := d.only()
	wantEqualOf(t, "name", saved.Name, "Shop 2")
	wantEqualOf(t, "stored value", saved.Headers, []hook.Header{{Name: "X-Key", Value: "s3cr3t-value"}})
	wantEqualOf(t, "secret", saved.Signing.Current(), sub.Signing.Current())
	wantEqualOf(t, "filter", saved.Filter.IsZero(), true)
}

func wantEqualOf[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestSubscriptionFormMistakes: every mistake stands beside its field, and what was typed is kept.
func TestSubscriptionFormMistakes(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	for _, test := range []struct {
		about  string
		fields []string
		marked []string
	}{
		{"nothing", []string{"scheme", "standard"}, []string{"name", "target_url"}},
		{"a private target", []string{"name", "a", "target_url", "http://10.0.0.1/"}, []string{"target_url"}},
		{"no URL", []string{"name", "a", "target_url", hostile}, []string{"target_url"}},
		{
			"numbers",
			[]string{"name", "a", "target_url", "https://a.example", "timeout", "x", "max_attempts", "0", "concurrency", "1000", "rate", "-1"},
			[]string{"max_attempts", "timeout", "rate", "concurrency"},
		},
		{"jq", []string{"name", "a", "target_url", "https://a.example", "jq", ".a |"}, []string{"jq"}},
		{"headers", []string{"name", "a", "target_url", "https://a.example", "headers", "no colon"}, []string{"headers"}},
		{"backoff", []string{"name", "a", "target_url", "https://a.example", "backoff", "soon"}, []string{"backoff"}},
	} {
		fields := append([]string{"action", "save"}, test.fields...)
		if !slices.Contains(fields, "scheme") {
			fields = append(fields, "scheme", "standard")
		}
		a := d.post(d.form(), fields...)
		wantStatus(t, test.about, a, http.StatusUnprocessableEntity)
		doc := a.parse(t)
		var marked []string
		for _, e := range doc.All("[aria-invalid=true]") {
			marked = append(marked, e.Attr("id"))
		}
		if !slices.Equal(marked, test.marked) {
			t.Errorf("%s: marked %q, want %q", test.about, marked, test.marked)
		}
		if i := slices.Index(fields, "target_url"); i >= 0 && doc.One("#target_url").Attr("value") != fields[i+1] {
			t.Errorf("%s: what was typed is lost", test.about)
		}
	}
	if n := len(d.store.SubscriptionsOf(d.own.ID)); n != 0 {
		t.Errorf("%d subscriptions were made", n)
	}
	for _, join := range []string{"all", "any"} {
		a := d.post(d.form(), "action", "save", "name", "a", "target_url", "https://a.example", "scheme", "none", "join", join, "field", "path", "op", "glob", "value", "")
		wantStatus(t, join, a, http.StatusUnprocessableEntity)
		want := "Condition 1 is empty: every request would match."
		if got := a.parse(t).Texts("#conditions-problem"); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", join, got, want)
		}
	}
}

// TestSubscriptionTriedOut: Test shows the answer, the dry run what the filter would have let through; neither saves.
func TestSubscriptionTriedOut(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t), func(o *Options) {
		o.Try = func(_ context.Context, _ hook.Subscription, r *hook.Request) hook.Attempt {
			return hook.Attempt{Trigger: hook.TriggerTest, Status: 418, Method: r.Method, URL: "https://a.example/", ResponseBody: []byte(hostile)}
		}
	})
	d.request(d.own.ID, `{"a":1}`)
	d.request(d.own.ID, `{"a":2}`)
	d.request(d.own.ID, `no json`)
	d.request(d.own.ID, `"`+strings.Repeat("x", hook.MaxJQBody)+`"`)
	fields := []string{"name", "a", "target_url", "https://a.example", "scheme", "standard", "jq", ".a == 2"}
	tried := d.post(d.form(), append(fields, "action", "test")...)
	wantStatus(t, "test", tried, http.StatusOK)
	if text := tried.parse(t).One(".notice").Text(); !strings.Contains(text, "418") || !strings.Contains(text, hostile) {
		t.Errorf("the answer of the target: %s", text)
	}
	dry := d.post(d.form(), append(fields, "action", "dry-run")...)
	wantStatus(t, "dry run", dry, http.StatusOK)
	if text := dry.parse(t).One(".notice").Text(); !strings.Contains(text, "Would have delivered 1 of the last 4.") {
		t.Errorf("the dry run says %s", text)
	}
	// What cannot be told fails, as it does when it is delivered; what is no JSON does not match.
	wantEqualOf(t, "verdicts, newest first", dry.parse(t).Texts(".dry-run .state"), []string{"failed", "skipped", "delivered", "skipped"})
	if n := len(d.store.SubscriptionsOf(d.own.ID)); n != 0 {
		t.Errorf("%d subscriptions were saved", n)
	}
}

// TestSubscriptionButtons pauses, resumes, discards, rotates and deletes.
func TestSubscriptionButtons(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID, func(sub *hook.Subscription) {
		sub.Signing.Secrets = []hook.Secret{{Text: "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"}}
	})
	path := subscriptionPath(sub.ID)
	if err := d.store.Capture(storetest.Routed(d.own.ID, 10, sub.ID)); err != nil {
		t.Fatal(err)
	}
	page := d.follow(path+"/pause", "paused", "true")
	if !strings.Contains(page.parse(t).One("#subscription-state").Text(), "Paused by "+d.user.Email) {
		t.Error("the page does not say who paused it")
	}
	list := d.get(urlPath(d.own.ID) + "/deliveries?state=held").parse(t)
	if len(list.All("tbody tr")) != 1 {
		t.Error("what is held is not listed as held")
	}
	d.follow(path+"/pause", "paused", "false")
	if d.only().Hold.Paused {
		t.Error("still paused")
	}
	if text := d.get(path + "/discard").parse(t).One("main").Text(); !strings.Contains(text, "1 delivery") {
		t.Errorf("before discarding: %s", text)
	}
	d.follow(path + "/discard")
	if n := d.only().Counts; n.Unfinished != 0 || n.Cancelled != 1 {
		t.Errorf("after discarding: %+v", n)
	}
	before := d.only().Signing.Current()
	rotated := d.follow(path+"/rotate", "overlap_hours", "1")
	after := d.only().Signing
	if after.Current() == before || len(after.Secrets) != 2 || !strings.Contains(rotated.body, after.Current()) || strings.Contains(rotated.body, before) {
		t.Errorf("rotating made %d secrets, shows the new one: %t, the old one: %t", len(after.Secrets), strings.Contains(rotated.body, after.Current()), strings.Contains(rotated.body, before))
	}
	wantStatus(t, "rotate to no time", d.post(path+"/rotate", "overlap_hours", "x"), http.StatusUnprocessableEntity)
	d.follow(path + "/delete")
	if n := len(d.store.SubscriptionsOf(d.own.ID)); n != 0 {
		t.Errorf("%d left", n)
	}
	wantStatus(t, "deleted", d.get(path), http.StatusNotFound)
}

// TestResendOfAList: what a list of one state shows is sent again, as far as it may be seen and is kept.
func TestResendOfAList(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	for range 3 {
		if err := d.store.Capture(storetest.Routed(d.own.ID, 10, sub.ID)); err != nil {
			t.Fatal(err)
		}
	}
	path := urlPath(d.own.ID) + "/deliveries"
	if len(d.get(path+"?state=waiting").parse(t).All(`form[action=/deliveries/resend]`)) != 0 {
		t.Error("what is on its way can be resent")
	}
	d.follow(subscriptionPath(sub.ID) + "/discard")
	list := d.get(path + "?state=cancelled").parse(t)
	if text := list.One(`form[action=/deliveries/resend]`).Text(); !strings.Contains(text, "Resend 3 deliveries") {
		t.Errorf("the button says %q", text)
	}
	var fields []string
	for _, input := range list.All(`form[action=/deliveries/resend] input`) {
		fields = append(fields, "delivery", input.Attr("value"))
	}
	theirs := newDash(t, guarded(t))
	wantStatus(t, "of somebody else", theirs.post("/deliveries/resend", fields...), http.StatusConflict)
	wantStatus(t, "of nothing", d.post("/deliveries/resend"), http.StatusBadRequest)
	wantStatus(t, "of too many", d.post("/deliveries/resend", slices.Repeat(fields[:2], hook.MaxSelected+1)...), http.StatusUnprocessableEntity)
	page := d.follow("/deliveries/resend", append(fields, "delivery", hook.ID(1).Text(hook.DeliveryPrefix))...)
	if !strings.Contains(page.body, "3 resent. 1 could not be") {
		t.Error("the page does not say what was resent")
	}
	if n := d.only().Counts; n.Unfinished != 3 || n.Cancelled != 3 {
		t.Errorf("afterwards: %+v", n)
	}
}

// TestResendFromDashboard: to a subscription, to a typed URL, and to both at once.
func TestResendFromDashboard(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	r := d.request(d.own.ID, hostile)
	path, to := requestPath(d.own.ID, r.ID), sub.ID.Text(hook.SubscriptionPrefix)
	one := d.follow(path+"/resend", "subscription", to, "retry", "true")
	if text := one.parse(t).One("main").Text(); !strings.Contains(text, "resent by "+d.user.Email) {
		t.Errorf("the delivery: %s", text)
	}
	both := d.follow(path+"/resend", "subscription", to, "target_url", "https://a.example/x")
	if n := len(both.parse(t).All("#resent section")); n != 2 {
		t.Errorf("%d answers side by side", n)
	}
	tab := d.get(path + "?tab=deliveries").parse(t)
	if n := len(tab.All("#request-deliveries tbody tr")); n != 3 {
		t.Errorf("%d deliveries", n)
	}
	if recent := tab.One("#recent-targets option").Attr("value"); recent != "https://a.example/x" {
		t.Errorf("offered: %q", recent)
	}
	for about, fields := range map[string][]string{
		"nowhere":          nil,
		"a private target": {"target_url", "http://127.0.0.1:1"},
		"no URL":           {"target_url", hostile},
		"no subscription":  {"subscription", "sub_0000000000001"},
	} {
		a := d.post(path+"/resend", fields...)
		wantStatus(t, about, a, http.StatusUnprocessableEntity)
		if len(a.parse(t).All(".problem")) == 0 {
			t.Errorf("%s: nothing says what is wrong", about)
		}
	}
}

// TestResendSelected: the form keeps what was typed, each request goes to each target, and what is gone is told.
func TestResendSelected(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	to, path := sub.ID.Text(hook.SubscriptionPrefix), urlPath(d.own.ID)+"/resend"
	var requests []string
	for range 2 {
		requests = append(requests, "request", d.request(d.own.ID, hostile).ID.Text(hook.RequestPrefix))
	}
	with := func(fields ...string) []string { return append(fields, requests...) }
	page := d.post(path, requests...)
	wantStatus(t, "the question", page, http.StatusOK)
	if text := page.parse(t).One("main").Text(); !strings.Contains(text, "Resend 2 requests") {
		t.Errorf("the page says %s", text)
	}
	for about, fields := range map[string][]string{
		"nowhere":          {"action", "send"},
		"a private target": {"action", "send", "subscription", to, "target_url", "http://127.0.0.1:1"},
		"no subscription":  {"action", "send", "subscription", "sub_0000000000001"},
		"no signer":        {"action", "send", "target_url", "https://a.example", "sign_as", "sub_0000000000001"},
	} {
		a := d.post(path, with(fields...)...)
		wantStatus(t, about, a, http.StatusUnprocessableEntity)
		form := a.parse(t)
		if len(form.All(".problem")) == 0 || len(form.All("input[name=request]")) != 2 {
			t.Errorf("%s: nothing says what is wrong, or the selection is lost", about)
		}
		if slices.Contains(fields, "http://127.0.0.1:1") && (form.One("#resend-target").Attr("value") != "http://127.0.0.1:1" || len(form.All("input[name=subscription][checked]")) != 1) {
			t.Errorf("%s: what was typed is lost", about)
		}
	}
	tooMany := []string{"action", "send", "target_url", "https://a.example"}
	for range hook.MaxResent / hook.MaxSelected {
		other := storetest.Subscription(t, d.store, storetest.CaptureURLOf(t, d.store, d.user).ID)
		tooMany = append(tooMany, "subscription", other.ID.Text(hook.SubscriptionPrefix))
	}
	for i := range hook.MaxSelected {
		tooMany = append(tooMany, "request", hook.ID(i+1).Text(hook.RequestPrefix))
	}
	if a := d.post(path, tooMany...); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.parse(t).One(".problem").Text(), "1200 deliveries, and 1000") {
		t.Errorf("too many: status %d", a.status)
	}
	wantEqualOf(t, "unfinished before", d.only().Counts.Unfinished, int64(0))
	done := d.follow(path, with("action", "send", "subscription", to, "retry", "true", "target_url", "https://a.example/x", "sign_as", to,
		"request", hook.ID(5).Text(hook.RequestPrefix))...)
	if !strings.Contains(done.body, "4 resent. 2 could not be") {
		t.Error("the page does not say what was resent")
	}
	wantEqualOf(t, "unfinished", d.only().Counts.Unfinished, int64(2))
	all, err := d.store.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: d.own.ID, Limit: 10})
	if err != nil || len(all) != 4 {
		t.Fatalf("%d deliveries, %v", len(all), err)
	}
	for _, made := range all {
		if typed := made.SubscriptionID == 0; typed != (made.SignAs == sub.ID) || typed == made.Retry || made.By != d.user.Email {
			t.Errorf("made: %+v", made)
		}
	}
	theirs := newDash(t, guarded(t))
	wantStatus(t, "of somebody else", theirs.post(urlPath(theirs.own.ID)+"/resend", with("action", "send", "target_url", "https://a.example")...),
		http.StatusConflict)
	wantStatus(t, "nothing", d.post(path), http.StatusBadRequest)
	wantStatus(t, "too many rows", d.post(path, slices.Repeat(requests[:2], hook.MaxSelected+1)...), http.StatusUnprocessableEntity)
}

// TestListsSayWhichRequest: a row of a list of deliveries names its request and leads to it, as long as that is kept.
func TestListsSayWhichRequest(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	r := storetest.Routed(d.own.ID, 1, sub.ID)
	r.Method, r.Path, r.Query = "PATCH", "/in/x/<b>", "a=1"
	gone := storetest.Routed(d.own.ID, 1, sub.ID)
	for _, request := range []*hook.Request{r, gone} {
		if err := d.store.Capture(request); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.store.DeleteRequest(t.Context(), hook.System, gone.ID, true); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{urlPath(d.own.ID) + "/deliveries", subscriptionPath(sub.ID)} {
		links := d.get(path).parse(t).All(".deliveries td.mono a")
		if len(links) != 1 || links[0].Attr("href") != requestPath(d.own.ID, r.ID) || strings.Join(strings.Fields(links[0].Text()), " ") != "PATCH /<b>?a=1" {
			t.Errorf("%s: %v", path, links)
		}
	}
}

// TestEditAndResend: the copy is what was typed, and the request stays what it was.
func TestEditAndResend(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	r := d.request(d.own.ID, "before")
	path := requestPath(d.own.ID, r.ID) + "/edit"
	form := d.get(path).parse(t)
	if form.One("#method").Attr("value") != r.Method || form.One("#body").Text() != "before" {
		t.Error("the form does not begin with the request")
	}
	fields := []string{
		"subscription", sub.ID.Text(hook.SubscriptionPrefix), "method", "PATCH", "path", "/x", "query", "b=2", "headers", "X-New: 1", "body", hostile,
	}
	d.follow(path, fields...)
	all, err := d.store.Deliveries(t.Context(), hook.System, store.DeliveryPage{Request: r.ID, Limit: 10})
	if err != nil || len(all) != 1 || !all[0].Edited {
		t.Fatalf("%d deliveries, %v", len(all), err)
	}
	edit, err := d.store.Edit(t.Context(), hook.System, all[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEqualOf(t, "edit", *edit, hook.Edit{
		Method: "PATCH", Path: "/x", Query: "b=2", Headers: []hook.Header{{Name: "X-New", Value: "1"}}, Body: []byte(hostile),
	})
	again := d.get(path + "?delivery=" + all[0].ID.Text(hook.DeliveryPrefix)).parse(t)
	if again.One("#body").Text() != hostile || again.One("#method").Attr("value") != "PATCH" {
		t.Error("the form does not begin with what that delivery sent")
	}
	bad := d.post(path, "subscription", fields[1], "method", "CONNECT", "path", "x y", "query", "#", "headers", "no colon")
	wantStatus(t, "mistakes", bad, http.StatusUnprocessableEntity)
	var marked []string
	for _, e := range bad.parse(t).All("[aria-invalid=true]") {
		marked = append(marked, e.Attr("id"))
	}
	wantEqualOf(t, "marked", marked, []string{"method", "path", "query", "headers"})
}

// TestEditTheCopyAgain: what can be no text field stays the body of the delivery that the form began with, not that of the request,
// and what can be one is edited, whatever the request's is.
func TestEditTheCopyAgain(t *testing.T) {
	t.Parallel()
	const text, binary = "text", "\xff\x00"
	for _, test := range []struct{ request, copied, typed, want string }{
		{text, binary, "", binary},
		{binary, text, "typed", "typed"},
		{text, "other", "typed", "typed"},
	} {
		d := newDash(t, guarded(t))
		sub := storetest.Subscription(t, d.store, d.own.ID, func(s *hook.Subscription) { s.AppendPath = true })
		r := d.request(d.own.ID, test.request)
		resend := hook.Resend{RequestID: r.ID, SubscriptionID: sub.ID, Edit: &hook.Edit{Method: "PUT", Body: []byte(test.copied)}}
		made, err := d.store.Resend(t.Context(), hook.System, "", resend)
		if err != nil {
			t.Fatal(err)
		}
		path, id := requestPath(d.own.ID, r.ID)+"/edit", made[0].ID.Text(hook.DeliveryPrefix)
		form := d.get(path + "?delivery=" + id).parse(t)
		fields := []string{"subscription", sub.ID.Text(hook.SubscriptionPrefix), "method", "PUT", "delivery", form.One("input[name=delivery]").Attr("value")}
		if len(form.All("#body")) > 0 {
			fields = append(fields, "body", test.typed)
		} else if test.typed != "" {
			t.Errorf("%q cannot be edited", test.copied)
		}
		d.follow(path, fields...)
		all, err := d.store.Deliveries(t.Context(), hook.System, store.DeliveryPage{Request: r.ID, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		edit, err := d.store.Edit(t.Context(), hook.System, all[0].ID)
		if err != nil || string(edit.Body) != test.want {
			t.Errorf("request %q, copy %q: sent %q, want %q; %v", test.request, test.copied, edit.Body, test.want, err)
		}
		wantStatus(t, "a delivery of nobody's", d.get(path+"?delivery=dlv_0000000000000"), http.StatusNotFound)
		made, err = d.store.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: r.ID, SubscriptionID: sub.ID})
		if err != nil {
			t.Fatal(err)
		}
		whole := d.get(path + "?delivery=" + made[0].ID.Text(hook.DeliveryPrefix)).parse(t)
		wantEqualOf(t, "path of an unedited one", whole.One("#path").Attr("value"), r.SubPath())
	}
}

// TestReplayFromDashboard: counted first, then started, followed and cancelled.
func TestReplayFromDashboard(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	for range 3 {
		d.request(d.own.ID, `{"a":1}`)
	}
	d.request(d.own.ID, `{"a":2}`)
	path := subscriptionPath(sub.ID) + "/replay"
	wantStatus(t, "form", d.get(path), http.StatusOK)
	fields := []string{"since", "2020-01-01T00:00", "jq", ".a == 1", "rate", "10"}
	counted := d.post(path, append(fields, "action", "count")...)
	wantStatus(t, "count", counted, http.StatusOK)
	if text := counted.parse(t).One(".notice").Text(); text != "3 requests will be sent." {
		t.Errorf("counted: %s", text)
	}
	page := d.follow(path, append(fields, "action", "start")...).parse(t)
	if text := page.One("#replay-state").Text(); !strings.Contains(text, "at most 10 a second") || !strings.Contains(text, "since 2020-01-01") {
		t.Errorf("the replay: %s", text)
	}
	all, err := d.store.Replays(t.Context(), hook.System, sub.ID, 10)
	if err != nil || len(all) != 1 || all[0].Count != 3 || all[0].By != d.user.Email {
		t.Fatalf("%+v, %v", all, err)
	}
	if n := len(d.get(subscriptionPath(sub.ID)).parse(t).All("#subscription-replays tbody tr")); n != 1 {
		t.Errorf("%d replays on the page of the subscription", n)
	}
	cancelled := d.follow(replayPath(all[0].ID) + "/cancel").parse(t)
	if text := cancelled.One("#replay-state").Text(); !strings.Contains(text, "Cancelled by "+d.user.Email) {
		t.Errorf("cancelled: %s", text)
	}
	wantStatus(t, "cancelled twice", d.post(replayPath(all[0].ID)+"/cancel"), http.StatusConflict)
	bad := d.post(path, "since", "yesterday", "rate", "x", "jq", ".a |", "action", "start")
	wantStatus(t, "mistakes", bad, http.StatusUnprocessableEntity)
	if len(bad.parse(t).All("[aria-invalid=true]")) < 2 {
		t.Error("the mistakes are not marked")
	}
	none := d.post(path, "until", "2020-01-01T00:00", "action", "start")
	if text := none.parse(t).One(".notice").Text(); text != "No stored request fits." {
		t.Errorf("nothing to send: %s", text)
	}
}
