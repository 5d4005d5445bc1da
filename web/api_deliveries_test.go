package web

import (
	"bytes"
	"encoding/base64"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func TestAPIDelivery(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub := storetest.Subscription(t, s.store, s.url.ID)
	r := storetest.Routed(s.url.ID, 10, sub.ID)
	d := s.attempted(r, "no\xff")
	doc := s.call("GET", "/api/v1/deliveries/"+d.ID.Text(hook.DeliveryPrefix), "", 200)
	wantJSON(t, "delivery", []any{doc["request_id"], doc["subscription_id"], doc["target_url"], doc["state"], doc["reason"], doc["attempt_count"], doc["last_status"]},
		`["`+r.ID.Text(hook.RequestPrefix)+`","`+sub.ID.Text(hook.SubscriptionPrefix)+`","`+sub.TargetURL+`","waiting","answered 500",1,500]`)
	if doc["next_attempt_at"] == nil {
		t.Error("nobody knows when the next attempt is")
	}
	a := doc["attempts"].([]any)[0].(map[string]any)
	delete(a, "started_at")
	wantJSON(t, "attempt", any(a), `{"number":1,"trigger":"capture","by":null,"duration_ms":1000,"timing":{"dns_ms":null,"connect_ms":1,"tls_ms":null,"first_byte_ms":null},
		"remote_addr":"192.0.2.1:443","tls":"TLS 1.3","method":"POST","url":"https://a.example/","status":500,"error":null,
		"request_headers":[{"name":"Hookkeeper-Attempt","value":"1","value_base64":null}],
		"response_headers":[{"name":"Retry-After","value":"�","value_base64":"/w=="}],
		"response_body":null,"response_body_base64":"`+base64.StdEncoding.EncodeToString([]byte("no\xff"))+`","response_truncated":true}`)
}

// TestAPIDeliveryOfManyAttempts: they are there in their order, each with its answer.
func TestAPIDeliveryOfManyAttempts(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub := storetest.Subscription(t, s.store, s.url.ID)
	body := func(number int) string { return strings.Repeat(string(rune(number)), hook.MaxResponseKept/2) }
	d := s.answered(storetest.Routed(s.url.ID, 10, sub.ID), 20, func(a *hook.Attempt) { a.ResponseBody = []byte(body(a.Number)) })
	got := s.call("GET", deliveryPathOf(d.ID), "", 200)["attempts"].([]any)
	if len(got) != 20 {
		t.Errorf("%d attempts", len(got))
	}
	for i, item := range got {
		a := item.(map[string]any)
		wantJSON(t, "number", a["number"], strconv.Itoa(i+1))
		if a["response_body"] != body(i+1) || a["response_body_base64"] != nil {
			t.Errorf("the answer to attempt %d is another", i+1)
		}
	}
}

func TestAPIDeliveryLists(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	one, two := storetest.Subscription(t, s.store, s.url.ID), storetest.Subscription(t, s.store, s.url.ID)
	first := s.attempted(storetest.Routed(s.url.ID, 10, one.ID), "no")
	r := storetest.Routed(s.url.ID, 10, one.ID, two.ID)
	if err := s.store.Capture(r); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"":                 3,
		"?state=waiting":   1,
		"?state=pending":   2,
		"?state=succeeded": 0,
		"?subscription_id=" + one.ID.Text(hook.SubscriptionPrefix):                    2,
		"?subscription_id=" + two.ID.Text(hook.SubscriptionPrefix) + "&state=waiting": 0,
		"?request_id=" + r.ID.Text(hook.RequestPrefix):                                2,
		"?cursor=" + first.ID.Text(hook.DeliveryPrefix):                               0,
	} {
		items := s.call("GET", "/api/v1/deliveries"+query, "", 200)["items"].([]any)
		if len(items) != want {
			t.Errorf("%s: %d deliveries, want %d", query, len(items), want)
		}
	}
	page := s.call("GET", "/api/v1/deliveries?limit=2", "", 200)
	rest := s.call("GET", "/api/v1/deliveries?limit=2&cursor="+page["next"].(string), "", 200)
	if len(rest["items"].([]any)) != 1 || rest["next"] != nil {
		t.Errorf("the second page: %v", rest)
	}
	for query, status := range map[string]int{
		"?state=done": 400, "?limit=0": 400, "?x=1": 400, "?subscription_id=sub_x": 404, "?request_id=req_0000000000001": 404,
		"?cursor=../": 404,
	} {
		wantStatus(t, query, s.api(s.token, "GET", "/api/v1/deliveries"+query, ""), status)
	}
}

// TestAPIRequestDeliveries: a request tells of its deliveries, and of who did not want it and why.
func TestAPIRequestDeliveries(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	wanted := storetest.Subscription(t, s.store, s.url.ID)
	refusing := storetest.Subscription(t, s.store, s.url.ID, func(sub *hook.Subscription) {
		sub.Filter.Conditions = []hook.Condition{{Field: "method", Op: hook.OpIs, Value: "PUT"}}
	})
	r := storetest.Routed(s.url.ID, 10, wanted.ID)
	r.Routes = append(r.Routes, hook.Route{Subscription: refusing.ID, Refused: 0})
	if err := s.store.Capture(r); err != nil {
		t.Fatal(err)
	}
	all := s.call("GET", "/api/v1/requests/"+r.ID.Text(hook.RequestPrefix), "", 200)["deliveries"].([]any)
	var got [][3]any
	for _, item := range all {
		d := item.(map[string]any)
		got = append(got, [3]any{d["subscription_id"], d["state"], d["reason"]})
		if (d["id"] == nil) != (d["state"] == "skipped") {
			t.Errorf("id %v of a delivery that is %v", d["id"], d["state"])
		}
	}
	want := [][3]any{
		{wanted.ID.Text(hook.SubscriptionPrefix), "pending", nil},
		{refusing.ID.Text(hook.SubscriptionPrefix), "skipped", `method is "PUT"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPIResend(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t, guarded(t))
	sub := storetest.Subscription(t, s.store, s.url.ID, func(sub *hook.Subscription) { sub.AppendPath = true })
	r := s.request(s.url.ID, "body")
	path := "/api/v1/requests/" + r.ID.Text(hook.RequestPrefix) + "/resend"
	subID := sub.ID.Text(hook.SubscriptionPrefix)
	doc := s.call("POST", path, `{"subscription_id":"`+subID+`"}`, 202)
	wantJSON(t, "to a subscription", []any{doc["state"], doc["by"], doc["edited"], doc["attempts"]}, `["pending","`+s.user.Email+`",false,[]]`)
	doc = s.call("POST", path, `{"target_url":"https://b.example/x","method":"PUT","headers":[{"name":"X-A","value":"b"}],"body":"new","sign_as":"`+subID+`"}`, 202)
	wantJSON(t, "to a URL", []any{doc["target_url"], doc["subscription_id"], doc["edited"]}, `["https://b.example/x",null,true]`)
	id, _ := hook.ParseID(hook.DeliveryPrefix, doc["id"].(string))
	d, err := s.store.Delivery(t.Context(), hook.System, id)
	if err != nil {
		t.Fatal(err)
	}
	edit := func() *hook.Edit {
		e, err := s.store.Edit(t.Context(), hook.System, id)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := &hook.Edit{Method: "PUT", Headers: []hook.Header{{Name: "X-A", Value: "b"}}, Body: []byte("new")}
	if diff := cmp.Diff(want, edit()); diff != "" || d.Retry || d.SignAs != sub.ID {
		t.Errorf("stored: %+v\n%s", d, diff)
	}
	doc = s.call("POST", path, `{"target_url":"https://b.example/x","body":""}`, 202)
	id, _ = hook.ParseID(hook.DeliveryPrefix, doc["id"].(string))
	if body := edit().Body; body == nil || len(body) > 0 {
		t.Errorf("a body that is to be empty is %q", body)
	}
	doc = s.call("POST", path, `{"subscription_id":"`+subID+`","method":"PATCH"}`, 202)
	id, _ = hook.ParseID(hook.DeliveryPrefix, doc["id"].(string))
	if e := edit(); e.Path != "/stripe" || e.Query != "a=1" || e.Body != nil {
		t.Errorf("the rest is not the request's: %+v", e)
	}
	again := s.call("POST", "/api/v1/deliveries/"+doc["id"].(string)+"/resend", "", 202)
	wantJSON(t, "again", []any{again["edited"], again["subscription_id"]}, `[true,"`+subID+`"]`)
	cancelled := s.call("POST", "/api/v1/deliveries/"+again["id"].(string)+"/cancel", "", 200)
	wantJSON(t, "cancelled", []any{cancelled["state"], cancelled["reason"]}, `["cancelled","cancelled by `+s.user.Email+`"]`)
	wantStatus(t, "cancelled twice", s.api(s.token, "POST", "/api/v1/deliveries/"+again["id"].(string)+"/cancel", ""), 409)
	for body, status := range map[string]int{
		`{}`: 422, `{"target_url":"https://b.example","subscription_id":"` + subID + `"}`: 422, `{"subscription_id":"sub_x"}`: 422,
		`{"target_url":"http://127.0.0.1:8080/"}`: 422, `{"target_url":"b.example"}`: 422, `{"target_url":"https://b.example","method":"CONNECT"}`: 422,
		`{"target_url":"https://b.example","headers":[{"name":"X","value":"a\nb"}]}`: 422, `{"target_url":"https://b.example","sign_as":"x"}`: 422,
		`{"subscription_id":"` + subID + `","sign_as":"` + subID + `"}`: 422, `{"target_url":"https://b.example","body":"a","body_base64":"YQ=="}`: 422,
		`{"target":"https://b.example"}`: 400, `{"target_url":"https://b.example","path":"no-slash"}`: 422,
	} {
		wantStatus(t, body, s.api(s.token, "POST", path, body), status)
	}
	if a := s.api(s.token, "POST", path, `{"target_url":"http://127.0.0.1:8080/"}`); !strings.Contains(a.body, "HOOKKEEPER_ALLOW_TARGETS") {
		t.Errorf("a private target: %s", a.body)
	}
}

// TestAPIDeliveriesOfOthers are none of anybody's business.
func TestAPIDeliveriesOfOthers(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub := storetest.Subscription(t, s.store, s.url.ID)
	r := storetest.Routed(s.url.ID, 10, sub.ID)
	d := s.attempted(r, "no")
	other := s.site.token(s.site.user(false))
	subPath := "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix)
	dlvPath := "/api/v1/deliveries/" + d.ID.Text(hook.DeliveryPrefix)
	for _, ask := range [][3]string{
		{"GET", subPath},
		{"PATCH", subPath, "{}"},
		{"DELETE", subPath},
		{"POST", subPath + "/rotate-secret"},
		{"POST", subPath + "/test"},
		{"POST", subPath + "/dry-run"},
		{"POST", subPath + "/discard"},
		{"POST", subPath + "/deliver-now"},
		{"POST", s.path(), "{}"},
		{"GET", dlvPath},
		{"POST", dlvPath + "/resend"},
		{"POST", dlvPath + "/cancel"},
		{"POST", "/api/v1/requests/" + r.ID.Text(hook.RequestPrefix) + "/resend", "{}"},
		{"GET", "/api/v1/deliveries?subscription_id=" + sub.ID.Text(hook.SubscriptionPrefix)},
		{"GET", "/api/v1/deliveries?request_id=" + r.ID.Text(hook.RequestPrefix)},
		{"GET", "/api/v1/subscriptions?capture_url_id=" + s.url.ID.Text(hook.CaptureURLPrefix)},
	} {
		wantStatus(t, ask[0]+" "+ask[1], s.api(other, ask[0], ask[1], ask[2]), 404)
	}
	for _, path := range []string{"/api/v1/deliveries", "/api/v1/subscriptions"} {
		if a := s.api(other, "GET", path, ""); !strings.Contains(a.body, `"items":[]`) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// allocated returns how many bytes f allocates, those of the server included. Its test must not be parallel.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestListsReadNoEditedCopies: what a list costs does not depend on what edited copies carry, whoever asks.
func TestListsReadNoEditedCopies(t *testing.T) {
	s := newSubscribed(t)
	r := s.request(s.url.ID, "body")
	body := bytes.Repeat([]byte("b"), hook.MaxEditedBody)
	var ids []string
	for range 10 {
		made, err := s.store.Resend(t.Context(), hook.System, "", hook.Resend{
			RequestID: r.ID, TargetURL: "https://a.example", Edit: &hook.Edit{Method: "PUT", Body: body},
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, "delivery", made[0].ID.Text(hook.DeliveryPrefix))
	}
	owner, stranger := s.loggedIn(s.user), s.site.token(s.site.user(false))
	owner.get("/settings") // the first page of a process costs more than others
	for path, get := range map[string]func(path string) answer{
		"/api/v1/deliveries?limit=50":                                    func(path string) answer { return s.api(s.token, "GET", path, "") },
		"/api/v1/deliveries?request_id=" + r.ID.Text(hook.RequestPrefix): func(path string) answer { return s.api(s.token, "GET", path, "") },
		"/api/v1/requests/" + r.ID.Text(hook.RequestPrefix):              func(path string) answer { return s.api(s.token, "GET", path, "") },
		"/api/v1/deliveries?limit=200":                                   func(path string) answer { return s.api(stranger, "GET", path, "") },
		urlPath(s.url.ID):                                                func(path string) answer { return owner.get(path) },
		urlPath(s.url.ID) + "/deliveries":                                func(path string) answer { return owner.get(path) },
		requestPath(s.url.ID, r.ID) + "?tab=deliveries":                  func(path string) answer { return owner.get(path) },
		"/deliveries/resend":                                             func(path string) answer { return owner.post(path, ids...) },
		"/api/v1/deliveries/" + ids[1] + "/resend":                       func(path string) answer { return s.api(s.token, "POST", path, "") },
	} {
		var a answer
		if used := allocated(func() { a = get(path) }); used > 4<<20 {
			t.Errorf("%s allocates %d KiB", path, used>>10)
		}
		if a.status >= 400 {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	storetest.WantSound(t, s.store)
}

// TestEditWithoutBody: an edited copy that leaves the body as it is does not store it again.
func TestEditWithoutBody(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t, guarded(t))
	body := strings.Repeat("b", 100<<10)
	r := s.request(s.url.ID, body)
	owner, path := s.loggedIn(s.user), "/api/v1/requests/"+r.ID.Text(hook.RequestPrefix)+"/resend"
	used := func() int64 {
		u, err := s.store.CaptureURL(t.Context(), hook.System, s.url.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u.Bytes
	}
	before := used()
	s.call("POST", path, `{"target_url":"https://a.example","method":"PUT"}`, 202)
	s.call("POST", path, `{"target_url":"https://a.example","method":"PUT","body":"`+body+`"}`, 202)
	wantStatus(t, "the form", owner.post(requestPath(s.url.ID, r.ID)+"/edit", "target_url", "https://a.example", "method", "PUT", "body", body), 303)
	if n := used() - before; n > 4<<10 {
		t.Errorf("three copies that change the method take %d bytes", n)
	}
	storetest.WantSound(t, s.store)
}

// TestOneOffsOfOthers: who resends to typed URLs sees those, however many others have made since.
func TestOneOffsOfOthers(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	admin := s.site.user(true)
	to := func(u hook.CaptureURL, n int) {
		r := s.request(u.ID, "body")
		if _, err := s.store.Resend(t.Context(), hook.System, "", slices.Repeat([]hook.Resend{{RequestID: r.ID, TargetURL: "https://a.example"}}, n)...); err != nil {
			t.Fatal(err)
		}
	}
	second := storetest.CaptureURLOf(t, s.store, s.user)
	to(s.url, 1)
	to(storetest.CaptureURL(t, s.store), 2300)
	to(second, 3)
	for query, want := range map[string]int{"": 4, "?state=pending": 4, "?limit=200": 4, "?state=failed": 0, "?limit=2": 2} {
		items := s.call("GET", "/api/v1/deliveries"+query, "", 200)["items"].([]any)
		if len(items) != want {
			t.Errorf("%s: %d deliveries, want %d", query, len(items), want)
		}
	}
	if a := s.api(s.site.token(admin), "GET", "/api/v1/deliveries?limit=200", ""); len(a.decode(t)["items"].([]any)) != 200 {
		t.Errorf("an admin does not see those of all: %s", a.body)
	}
	owner := s.loggedIn(s.user)
	for id, want := range map[hook.ID]int{s.url.ID: 1, second.ID: 3} {
		if rows := owner.get(urlPath(id) + "/deliveries").parse(t).All("#deliveries tbody tr"); len(rows) != want {
			t.Errorf("the page has %d rows, want %d", len(rows), want)
		}
	}
}
