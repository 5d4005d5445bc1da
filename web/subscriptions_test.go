package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
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
		if got := a.parse(t).Texts("#condition-0-problem"); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", join, got, want)
		}
	}
}

// TestPrivateTargetIsSaidOnce: the words of the refusal follow without a colon of their own.
func TestPrivateTargetIsSaidOnce(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	a := d.post(d.form(), "action", "save", "name", "a", "target_url", "http://10.0.0.1/", "scheme", "none")
	wantStatus(t, "a private target", a, http.StatusUnprocessableEntity)
	got := a.parse(t).Texts(".problem")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Cannot be reached: 10.0.0.1 is a private address; ") {
		t.Errorf("%q", got)
	}
}

// TestBackoffSaysOneThing: pauses that cannot be read are not called missing as well.
func TestBackoffSaysOneThing(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	a := d.post(d.form(), "action", "save", "name", "a", "target_url", "https://a.example", "scheme", "none", "backoff", "5x")
	wantStatus(t, "5x", a, http.StatusUnprocessableEntity)
	want := []string{"Is not a list of times: write it like 5s, 5m, 2h."}
	if got := a.parse(t).Texts(".problem"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestEditMistakes: a mistake in a changed subscription hides no other, wherever each is found.
func TestEditMistakes(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	good := []string{"action", "save", "name", "a", "target_url", "https://a.example", "scheme", "none"}
	d.follow(d.form(), good...)
	a := d.post(subscriptionPath(d.only().ID)+"/edit", append(good, "field", "header", "field_name", "", "op", "is", "value", "x", "jq", ".a ===", "backoff", "5x")...)
	wantStatus(t, "mistakes", a, http.StatusUnprocessableEntity)
	var marked []string
	for _, e := range a.parse(t).All("[aria-invalid=true]") {
		marked = append(marked, e.Attr("id"))
	}
	if want := []string{"name-0", "jq", "backoff"}; !slices.Equal(marked, want) {
		t.Errorf("marked %q, want %q", marked, want)
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
	if len(d.get(path+"?state=waiting").parse(t).All("tbody tr .state")) != 0 {
		t.Error("what is held is listed as waiting")
	}
	d.follow(path+"/pause", "paused", "false")
	if got := d.get(path + "?state=waiting").parse(t).Texts("#subscription-deliveries tbody .state"); len(got) != 1 {
		t.Errorf("a subscription with one that waits lists %q as waiting", got)
	}
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

// TestReplayFromDashboard: counted first, then started, followed and cancelled.
func TestReplayFromDashboard(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	for range 3 {
		d.request(d.own.ID, `{"a":1}`)
	}
	d.request(d.own.ID, `{"a":2}`)
	cut := storetest.Request(d.own.ID, 0)
	cut.Truncated = true
	if err := d.store.Capture(cut); err != nil {
		t.Fatal(err)
	}
	path := subscriptionPath(sub.ID) + "/replay"
	wantStatus(t, "form", d.get(path), http.StatusOK)
	fields := []string{"since", "2020-01-01T00:00", "jq", ".a == 1", "rate", "10"}
	counted := d.post(path, append(fields, "action", "count")...)
	wantStatus(t, "count", counted, http.StatusOK)
	if text := counted.parse(t).One(".notice").Text(); text != "3 requests will be sent. 1 is left out: it was noted without its body." {
		t.Errorf("counted: %s", text)
	}
	page := d.follow(path, append(fields, "action", "start")...).parse(t)
	if text := page.One("#replay-state").Text(); !strings.Contains(text, "at most 10 a second") || !strings.Contains(text, "since 2020-01-01") {
		t.Errorf("the replay: %s", text)
	}
	all, err := d.store.Replays(t.Context(), hook.System, sub.ID, 0, 10)
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

// TestOldSecretsAreNamed: as long as secrets from before sign as well, the page of the subscription says so, and until when.
func TestOldSecretsAreNamed(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	path := subscriptionPath(storetest.Subscription(t, d.store, d.own.ID, func(sub *hook.Subscription) {
		sub.Signing = hook.Signing{Scheme: hook.SignGitHub, Secrets: []hook.Secret{{Text: "the-first-of-them-1111"}}}
	}).ID)
	old := func() []string { return d.get(path).parse(t).Texts(".old-secret") }
	wantEqualOf(t, "before it is rotated", len(old()), 0)
	d.follow(path+"/rotate", "overlap_hours", "24")
	if got := old(); len(got) != 1 || !strings.Contains(got[0], "••••1111, signs as well until ") {
		t.Errorf("during the overlap: %q", got)
	}
	d.follow(path+"/rotate", "overlap_hours", "0")
	wantEqualOf(t, "without an overlap", len(old()), 0)
}
