package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// answered makes attempts of all resends to typed URLs that are due, each answered with as much as is kept, and returns the
// deliveries, oldest first.
func (d *dash) answered(attempts int) (ids []hook.ID) {
	d.t.Helper()
	found, err := d.store.Due(d.t.Context(), store.Queue{ID: -d.own.ID, Now: time.Now(), Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	recorded, err := d.store.Record(d.t.Context(), store.Turn{Claims: found.Claims})
	if err != nil {
		d.t.Fatal(err)
	}
	var turn store.Turn
	for _, c := range recorded.Leased {
		ids = append(ids, c.ID)
		for n := range attempts {
			turn.Results = append(turn.Results, store.Result{Claim: c, Next: hook.Next{State: hook.Failed, Reason: "answered 500"}, Attempt: &hook.Attempt{
				DeliveryID: c.ID, Number: n + 1, StartedAt: time.Now(), Status: 500, Method: "POST", URL: "https://a.example/",
				ResponseHeaders: slices.Repeat([]hook.Header{{Name: "X-Long", Value: strings.Repeat("h", 1<<10)}}, 60),
				ResponseBody:    bytes.Repeat([]byte("b"), hook.MaxResponseKept),
			}})
		}
	}
	if _, err := d.store.Record(d.t.Context(), turn); err != nil {
		d.t.Fatal(err)
	}
	return ids
}

// TestResentIsBounded: however many deliveries are asked for and however often, the page shows each once, so many answers side
// by side, and of each the beginning. It reads nothing of the request.
func TestResentIsBounded(t *testing.T) {
	d := newDash(t, guarded(t))
	r := d.request(d.own.ID, strings.Repeat("r", 2<<20))
	const made = hook.MaxAnswersShown + 5
	resends := slices.Repeat([]hook.Resend{{RequestID: r.ID, TargetURL: "https://a.example"}}, made)
	if _, err := d.store.Resend(t.Context(), hook.System, "", resends...); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, id := range d.answered(1) {
		ids = append(ids, id.Text(""))
	}
	d.get("/settings") // the first page of a process costs more than others
	for about, c := range map[string]struct {
		ids           []string
		shown, listed int
	}{
		"one, fifty times": {slices.Repeat(ids[:1], 50), 1, 0},
		"many":             {ids, hook.MaxAnswersShown, 5},
	} {
		var a answer
		used := allocated(func() { a = d.get(requestPath(d.own.ID, r.ID) + "/resent?ids=" + strings.Join(c.ids, ",")) })
		wantStatus(t, about, a, http.StatusOK)
		page := a.parse(t)
		if c.listed > 0 && page.One("#resent-others").Attr("data-live-request") != r.ID.Text(hook.RequestPrefix) {
			t.Errorf("%s: the other deliveries are not followed", about)
		}
		if shown, listed := len(page.All("#resent section")), len(page.All("#resent-others tbody tr")); shown != c.shown || listed != c.listed {
			t.Errorf("%s: %d answers and %d deliveries below, want %d and %d", about, shown, listed, c.shown, c.listed)
		}
		if most := c.shown*4*hook.MaxAnswerShown + 64<<10; len(a.body) > most {
			t.Errorf("%s: the page has %d KiB, want at most %d", about, len(a.body)>>10, most>>10)
		}
		if used > uint64(c.shown)<<20+4<<20 {
			t.Errorf("%s: %d KiB allocated", about, used>>10)
		}
		if text := page.One("#resent").Text(); !strings.Contains(text, "its page has all of it") {
			t.Errorf("%s: nothing says that there is more", about)
		}
	}
	var many []string
	for i := range hook.MaxSubscriptions + 2 {
		many = append(many, hook.ID(i+1).Text(""))
	}
	for about, list := range map[string][]string{"too many": many, "none": {""}, "of nobody": many[:1], "no id": {"x"}} {
		wantStatus(t, about, d.get(requestPath(d.own.ID, r.ID)+"/resent?ids="+strings.Join(list, ",")), http.StatusNotFound)
	}
	other := requestPath(d.own.ID, d.request(d.own.ID, "other").ID)
	wantStatus(t, "of another request", d.get(other+"/resent?ids="+ids[0]), http.StatusNotFound)
}

// TestAttemptsShownInPart: a page with many attempts shows the newest whole, and another one where it is asked for.
func TestAttemptsShownInPart(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	r := d.request(d.own.ID, "body")
	if _, err := d.store.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: r.ID, TargetURL: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	path := deliveryPath(d.answered(5)[0])
	page := d.get(path).parse(t)
	shown := func(n int) int { return strings.Count(page.One("#attempt-"+strconv.Itoa(n)+" pre.body").Text(), "b") }
	for n := 1; n < 5; n++ {
		wantEqualOf(t, "of attempt "+strconv.Itoa(n), shown(n), hook.MaxAnswerShown)
	}
	wantEqualOf(t, "of the newest attempt", shown(5), hook.MaxResponseKept)
	page = d.get(path + "?attempt=2").parse(t)
	wantEqualOf(t, "of the attempt that was asked for", shown(2), hook.MaxResponseKept)
}

// TestRepeatedChoices: what is chosen twice is sent once.
func TestRepeatedChoices(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	to, r := []string{"subscription", sub.ID.Text(hook.SubscriptionPrefix)}, d.request(d.own.ID, "body")
	chosen := []string{"request", r.ID.Text(hook.RequestPrefix)}
	d.follow(requestPath(d.own.ID, r.ID)+"/resend", slices.Repeat(to, hook.MaxSubscriptions+5)...)
	wantEqualOf(t, "deliveries", d.only().Counts.Unfinished, int64(1))
	d.follow(urlPath(d.own.ID)+"/resend", slices.Concat([]string{"action", "send"}, slices.Repeat(to, 3), slices.Repeat(chosen, 3))...)
	wantEqualOf(t, "deliveries", d.only().Counts.Unfinished, int64(2))
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
	if headers := form.One("#headers").Text(); strings.Contains(headers, "User-Agent") || !strings.Contains(headers, "Content-Type") {
		t.Errorf("the form has headers that are not sent, or lacks some: %q", headers)
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

// TestSaysWhatIsAhead: what waits for an earlier delivery of an ordered subscription says so, with the way to that, wherever it
// is shown.
func TestSaysWhatIsAhead(t *testing.T) {
	t.Parallel()
	d := newDash(t)
	sub := storetest.Subscription(t, d.store, d.own.ID, func(s *hook.Subscription) { s.Ordered = true })
	var ids []hook.ID
	for range 2 {
		r := storetest.Routed(d.own.ID, 10, sub.ID)
		if err := d.store.Capture(r); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	rows, err := d.store.Deliveries(t.Context(), hook.System, store.DeliveryPage{CaptureURL: d.own.ID, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	head, waits := deliveryPath(rows[1].ID), rows[0].ID
	for path, part := range map[string]string{
		deliveryPath(waits):                                             ".summary-state",
		urlPath(d.own.ID) + "/deliveries":                               ".why",
		subscriptionPath(sub.ID):                                        ".why",
		requestPath(d.own.ID, ids[1]) + "?tab=deliveries":               ".why",
		requestPath(d.own.ID, ids[1]) + "/resent?ids=" + waits.Text(""): ".summary-state",
	} {
		page := d.get(path).parse(t)
		if len(page.All(part)) == 0 {
			t.Fatalf("%s has no %s", path, part)
		}
		if text := strings.Join(strings.Fields(page.All(part)[0].Text()), " "); !strings.Contains(text, "waits for POST /stripe?a=1, in order") {
			t.Errorf("%s: %q", path, text)
		}
		page.One(part + " a[href=" + head + "]")
	}
	token := d.token(d.user)
	for id, want := range map[hook.ID]any{waits: "waits for " + rows[1].ID.Text(hook.DeliveryPrefix) + ", in order", rows[1].ID: nil} {
		var doc map[string]any
		a := d.api(token, "GET", "/api/v1"+deliveryPath(id), "")
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc["reason"] != want {
			t.Errorf("the API says %v, want %v (%v)", doc["reason"], want, err)
		}
	}
	if page := d.get(head).parse(t); len(page.All(".summary-state a")) != 0 {
		t.Error("the first one waits for itself")
	}
}

// TestPartlyResentIsNotAskedAgain: where some of what was chosen was resent before there was no room for more, the form does not come back
// to send those once more.
func TestPartlyResentIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	var fields []string
	for range 100 {
		fields = append(fields, "subscription", storetest.Subscription(t, d.store, d.own.ID).ID.Text(hook.SubscriptionPrefix))
	}
	for range 3 {
		fields = append(fields, "request", d.request(d.own.ID, "a").ID.Text(hook.RequestPrefix))
	}
	send := func(keep int64) (said string, chosen int) {
		t.Helper()
		_, err := d.store.UpdateCaptureURL(t.Context(), hook.System, d.own.ID, func(u *hook.CaptureURL) error { u.Keep.Bytes = keep; return nil })
		if err != nil {
			t.Fatal(err)
		}
		a := d.post(urlPath(d.own.ID)+"/resend", append(fields, "action", "send")...)
		wantStatus(t, "a resend without room", a, http.StatusServiceUnavailable)
		page := a.parse(t)
		return page.One("main").Text(), len(page.All("input[name=request]"))
	}
	u, err := d.store.CaptureURL(t.Context(), hook.System, d.own.ID)
	if err != nil {
		t.Fatal(err)
	}
	if said, chosen := send(u.Bytes/2 + 10_000); !strings.Contains(said, "200 of 300 were resent") || chosen != 0 {
		t.Errorf("%d requests are chosen still: %s", chosen, said)
	}
	if said, chosen := send(1); !strings.Contains(said, "Nothing was sent.") || chosen != 3 {
		t.Errorf("%d requests are chosen still: %s", chosen, said)
	}
}
