package web

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// guarded lets a site judge targets as the server does.
func guarded(t *testing.T) func(*Options) {
	g := egress.New(egress.Options{})
	t.Cleanup(g.Close)
	return func(o *Options) { o.CheckTarget = g.Check }
}

// attempted stores a request and an attempt of its delivery that was answered 500, and returns the delivery.
func (s *site) attempted(r *hook.Request, answer string) hook.Delivery {
	s.t.Helper()
	ctx := context.Background()
	if err := s.store.Capture(r); err != nil {
		s.t.Fatal(err)
	}
	found, err := s.store.Due(ctx, store.Queue{ID: r.Routes[0].Subscription, Now: time.Now(), Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	recorded, err := s.store.Record(ctx, store.Turn{Claims: found.Claims})
	if err != nil {
		s.t.Fatal(err)
	}
	c := recorded.Leased[len(recorded.Leased)-1]
	_, err = s.store.Record(ctx, store.Turn{Results: []store.Result{{
		Claim: c, Counts: true, Next: hook.Next{State: hook.Waiting, Reason: "answered 500", At: time.Now().Add(time.Hour)},
		Attempt: &hook.Attempt{
			DeliveryID: c.ID, Number: 1, StartedAt: time.Now(), Duration: time.Second, Status: 500, Method: "POST", URL: "https://a.example/",
			RemoteAddr: "192.0.2.1:443", TLS: "TLS 1.3", Timing: hook.Timing{Connect: time.Millisecond},
			RequestHeaders:  []hook.Header{{Name: "Hookkeeper-Attempt", Value: "1"}},
			ResponseHeaders: []hook.Header{{Name: "Retry-After", Value: "\xff"}}, ResponseBody: []byte(answer), ResponseTruncated: true,
		},
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Delivery
}

// subscribed is a site with a user, a token and a capture URL.
type subscribed struct {
	*site
	user  hook.User
	token string
	url   hook.CaptureURL
}

func newSubscribed(t *testing.T, change ...func(*Options)) *subscribed {
	t.Helper()
	s := &subscribed{site: newSite(t, change...)}
	s.user = s.site.user(false)
	s.token = s.site.token(s.user)
	s.url = storetest.CaptureURLOf(t, s.store, s.user)
	return s
}

func (s *subscribed) path() string {
	return "/api/v1/capture-urls/" + s.url.ID.Text(hook.CaptureURLPrefix) + "/subscriptions"
}

// call sends a document and decodes the answer.
func (s *subscribed) call(method, path, body string, status int) map[string]any {
	s.t.Helper()
	a := s.api(s.token, method, path, body)
	if a.status != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	if a.body == "" {
		return nil
	}
	return a.decode(s.t)
}

func wantJSON(t *testing.T, what string, got any, want string) {
	t.Helper()
	var expected any
	dec := json.NewDecoder(strings.NewReader(want))
	dec.UseNumber()
	if err := dec.Decode(&expected); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAPISubscriptionDefaults(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example"}`, 201)
	signing := doc["signing"].(map[string]any)
	secret := signing["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || signing["secret_hint"] != "••••"+secret[len(secret)-4:] {
		t.Errorf("signing %v", signing)
	}
	for _, name := range []string{"id", "created_at", "signing"} {
		delete(doc, name)
	}
	wantJSON(t, "the rest", any(doc), `{"capture_url_id":"`+s.url.ID.Text(hook.CaptureURLPrefix)+`","name":"a","target_url":"https://a.example",
		"filter":null,"headers":[],"method":"original","append_path":false,"ordered":false,"timeout_ms":15000,"max_attempts":10,
		"backoff":[5,300,1800,7200,18000,36000,50400,72000,86400],"rate_per_second":null,"concurrency":8,"forward_credentials":false,
		"keep_user_agent":false,"enabled":true,"paused":false,"disabled_reason":null,"held_reason":null,
		"deliveries":{"unfinished":0,"succeeded":0,"failed":0,"cancelled":0,"skipped":0}}`)
}

func TestAPISubscriptionFields(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example/x?y=1","filter":{"any":[{"field":"header.x-topic","op":"is","value":"b"},
		{"field":"body","op":"exists"}],"jq":".a == 1"},"headers":[{"name":"x-key","value":"k"}],"method":"PUT","append_path":true,"ordered":true,
		"signing":{"scheme":"github","secret":"0123456789abcdef"},"timeout_ms":1000,"backoff":[1,2.5],"rate_per_second":0.5,"concurrency":256,
		"forward_credentials":true,"keep_user_agent":true,"enabled":false,"paused":true}`, 201)
	wantJSON(t, "filter", doc["filter"], `{"all":null,"any":[{"field":"header.X-Topic","op":"is","value":"b"},{"field":"body","op":"exists","value":""}],"jq":".a == 1"}`)
	wantJSON(t, "headers", doc["headers"], `[{"name":"X-Key","value":null}]`)
	wantJSON(t, "signing", doc["signing"], `{"scheme":"github","secret_hint":"••••cdef","secret":"0123456789abcdef","public_key":null}`)
	wantJSON(t, "schedule", []any{doc["backoff"], doc["max_attempts"], doc["rate_per_second"]}, `[[1,2.5],3,0.5]`)
	wantJSON(t, "hold", []any{doc["enabled"], doc["disabled_reason"], doc["held_reason"]},
		`[false,"by `+s.user.Email+`","disabled: by `+s.user.Email+`"]`)
	path := "/api/v1/subscriptions/" + doc["id"].(string)
	doc = s.call("PATCH", path, `{"enabled":true,"filter":null,"method":"original","rate_per_second":null}`, 200)
	wantJSON(t, "after", []any{doc["filter"], doc["method"], doc["rate_per_second"], doc["held_reason"], doc["ordered"], doc["signing"].(map[string]any)["secret"]},
		`[null,"original",null,"paused by `+s.user.Email+`",true,null]`)
	doc = s.call("PATCH", path, `{"headers":[{"name":"X-Other","value":"o"},{"name":"X-Key","value":null}]}`, 200)
	wantJSON(t, "headers", doc["headers"], `[{"name":"X-Other","value":null},{"name":"X-Key","value":null}]`)
	id, _ := hook.ParseID(hook.SubscriptionPrefix, doc["id"].(string))
	stored, err := s.store.Subscription(t.Context(), hook.System, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]hook.Header{{Name: "X-Other", Value: "o"}, {Name: "X-Key", Value: "k"}}, stored.Headers); diff != "" {
		t.Errorf("stored headers:\n%s", diff)
	}
	doc = s.call("PATCH", path, `{"signing":{"scheme":"standard-v1a"}}`, 200)
	made := doc["signing"].(map[string]any)
	if key, _ := made["public_key"].(string); !strings.HasPrefix(key, "whpk_") || made["secret"] == nil {
		t.Errorf("the scheme was changed: %v", made)
	}
}

// TestAPISubscriptionMistakes: each is told with the place where it is, and nothing is stored.
func TestAPISubscriptionMistakes(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t, guarded(t))
	for body, want := range map[string]string{
		`{}`: "name target_url",
		`{"name":"a","target_url":"ftp://a.example"}`:                                                                                            "target_url",
		`{"name":"a","target_url":"http://10.0.0.1/"}`:                                                                                           "target_url",
		`{"name":"a","target_url":"https://u:p@a.example"}`:                                                                                      "target_url",
		`{"filter":{"all":[{"field":"x","op":"is"}]}}`:                                                                                           "name target_url filter.all[0].field",
		`{"filter":{"all":[{"field":"path","op":"like"}]}}`:                                                                                      "name target_url filter.all[0].op",
		`{"filter":{"any":[{"field":"path","op":"is"},{"field":"path","op":"glob"}]}}`:                                                           "name target_url filter.any[1].value",
		`{"name":"a","target_url":"https://a.example","filter":{"jq":".a ="}}`:                                                                   "filter.jq",
		`{"name":"a","target_url":"https://a.example","headers":[{"name":"Host","value":"b"}]}`:                                                  "headers[0].name",
		`{"name":"a","target_url":"https://a.example","headers":[{"name":"X","value":"a\r\nb"}]}`:                                                "headers[0].value",
		`{"name":"a","target_url":"https://a.example","headers":[{"name":"Proxy-Authorization","value":"b"}]}`:                                   "headers[0].name",
		`{"name":"a","target_url":"https://a.example","signing":{"scheme":"md5"}}`:                                                               "signing.scheme",
		`{"name":"a","target_url":"https://a.example","signing":{"scheme":"github","secret":"short"}}`:                                           "signing.secret",
		`{"name":"a","target_url":"https://a.example","timeout_ms":31000}`:                                                                       "timeout_ms",
		`{"name":"a","target_url":"https://a.example","timeout_ms":9223372036854775807}`:                                                         "timeout_ms",
		`{"name":"a","target_url":"https://a.example","max_attempts":0}`:                                                                         "max_attempts",
		`{"name":"a","target_url":"https://a.example","backoff":[0]}`:                                                                            "backoff[0]",
		`{"name":"a","target_url":"https://a.example","backoff":[1e300]}`:                                                                        "backoff[0]",
		`{"name":"a","target_url":"https://a.example","rate_per_second":0}`:                                                                      "rate_per_second",
		`{"name":"a","target_url":"https://a.example","concurrency":257}`:                                                                        "concurrency",
		`{"name":"a","target_url":"https://a.example","method":"CONNECT"}`:                                                                       "method",
		`{"name":"a","target_url":"https://a.example","filter":{"all":[{"field":"body","op":"exists"}],"any":[{"field":"body","op":"exists"}]}}`: "filter.any",
	} {
		a := s.api(s.token, "POST", s.path(), body)
		wantStatus(t, body, a, 422)
		var doc struct{ Errors []struct{ Location string } }
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
			t.Fatal(err)
		}
		var places []string
		for _, e := range doc.Errors {
			places = append(places, e.Location)
		}
		if got := strings.Join(places, " "); got != want {
			t.Errorf("%s: mistakes in %q, want %q: %s", body, got, want, a.body)
		}
	}
	a := s.api(s.token, "POST", s.path(), `{"name":"a","target_url":"http://10.0.0.1/"}`)
	if !strings.Contains(a.body, "10.0.0.1") || !strings.Contains(a.body, "HOOKKEEPER_ALLOW_TARGETS") {
		t.Errorf("a private target: %s", a.body)
	}
	if doc := s.call("GET", "/api/v1/subscriptions", "", 200); len(doc["items"].([]any)) > 0 {
		t.Errorf("something was stored: %v", doc)
	}
}

// TestAPISecretsStayInside plants secrets and looks for them in every answer but the one that made them, in the log and in
// the database.
func TestAPISecretsStayInside(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	const signing, header, rotated = "canary-signing-secret", "canary-header-value", "canary-rotated-secret"
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example","signing":{"scheme":"stripe","secret":"`+signing+`"},
		"headers":[{"name":"X-Key","value":"`+header+`"}]}`, 201)
	path := "/api/v1/subscriptions/" + doc["id"].(string)
	a := s.api(s.token, "POST", path+"/rotate-secret", `{"secret":"`+rotated+`","overlap_seconds":60}`)
	if !strings.Contains(a.body, rotated) || strings.Contains(a.body, signing) || strings.Contains(a.body, header) {
		t.Errorf("rotating: %s", a.body)
	}
	var all strings.Builder
	for _, ask := range [][3]string{
		{"GET", path},
		{"GET", "/api/v1/subscriptions"},
		{"PATCH", path, `{"name":"b"}`},
		{"PATCH", path, `{"concurrency":0}`},
		{"POST", path + "/rotate-secret", `{"secret":"x"}`},
		{"POST", path + "/dry-run"},
		{"DELETE", path},
	} {
		all.WriteString(s.api(s.token, ask[0], ask[1], ask[2]).body)
	}
	for _, name := range []string{s.site.path, s.site.path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	all.WriteString(s.log.String())
	for _, secret := range []string{signing, header, rotated} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%s got out", secret)
		}
	}
}

func TestAPIRotateSecret(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example"}`, 201)
	before := doc["signing"].(map[string]any)["secret"]
	path := "/api/v1/subscriptions/" + doc["id"].(string)
	after := s.call("POST", path+"/rotate-secret", "", 200)["signing"].(map[string]any)["secret"]
	if after == before || after == nil {
		t.Errorf("the secret before %v, after %v", before, after)
	}
	wantStatus(t, "a long overlap", s.api(s.token, "POST", path+"/rotate-secret", `{"overlap_seconds":1e9}`), 422)
	s.call("PATCH", path, `{"signing":{"scheme":"none"}}`, 200)
	wantStatus(t, "without signing", s.api(s.token, "POST", path+"/rotate-secret", ""), 409)
}

func TestAPIDryRun(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	for _, body := range []string{`{"a":1}`, `{"a":2}`, `no json`} {
		s.request(s.url.ID, body)
	}
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example","filter":{"jq":".a == 1"}}`, 201)
	path := "/api/v1/subscriptions/" + doc["id"].(string) + "/dry-run"
	run := s.call("POST", path, "", 200)
	wantJSON(t, "own filter", []any{run["matched"], run["total"]}, `[1,3]`)
	newest := run["items"].([]any)[0].(map[string]any)
	if newest["matched"] != false || !strings.Contains(newest["rule"].(string), "jq") {
		t.Errorf("the newest: %v", newest)
	}
	run = s.call("POST", path, `{"filter":{"all":[{"field":"body","op":"contains","value":"2"}]},"last":2}`, 200)
	wantJSON(t, "another filter", []any{run["matched"], run["total"]}, `[1,2]`)
	wantStatus(t, "too many", s.api(s.token, "POST", path, `{"last":1001}`), 422)
	wantStatus(t, "a wrong filter", s.api(s.token, "POST", path, `{"filter":{"jq":"]"}}`), 422)
}

func TestAPITestSubscription(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	var got *hook.Request
	s.web.Try = func(_ context.Context, sub hook.Subscription, r *hook.Request) hook.Attempt {
		got = r
		return hook.Attempt{Number: 1, Trigger: hook.TriggerTest, Status: http.StatusTeapot, Method: r.Method, URL: sub.TargetURL}
	}
	doc := s.call("POST", s.path(), `{"name":"a","target_url":"https://a.example"}`, 201)
	attempt := s.call("POST", "/api/v1/subscriptions/"+doc["id"].(string)+"/test", "", 200)
	wantJSON(t, "attempt", []any{attempt["status"], attempt["trigger"], attempt["url"]}, `[418,"test","https://a.example"]`)
	if got.Method != http.MethodPost || !strings.Contains(string(got.Body), "hookkeeper.test") {
		t.Errorf("tried with %s %s", got.Method, got.Body)
	}
}

// TestAPIDeleteSubscription: what is unfinished is named first.
func TestAPIDeleteSubscription(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub := storetest.Subscription(t, s.store, s.url.ID)
	s.attempted(storetest.Routed(s.url.ID, 10, sub.ID), "no")
	path := "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix)
	a := s.api(s.token, "DELETE", path, "")
	wantProblem(t, "unfinished", a, 409, "")
	if !strings.Contains(a.body, "1 unfinished") {
		t.Errorf("%s", a.body)
	}
	wantStatus(t, "another word", s.api(s.token, "DELETE", path+"?unfinished=keep", ""), 400)
	wantStatus(t, "cancelled", s.api(s.token, "DELETE", path+"?unfinished=cancel", ""), 204)
	wantStatus(t, "gone", s.api(s.token, "GET", path, ""), 404)
}

func TestAPIDiscardAndDeliverNow(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub := storetest.Subscription(t, s.store, s.url.ID)
	d := s.attempted(storetest.Routed(s.url.ID, 10, sub.ID), "no")
	path := "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix)
	s.call("POST", path+"/deliver-now", "", 204)
	found, err := s.store.Due(t.Context(), store.Queue{ID: sub.ID, Now: time.Now(), Limit: 1})
	if err != nil || len(found.Claims) != 1 {
		t.Errorf("due %v, %v", found, err)
	}
	wantJSON(t, "discarded", any(s.call("POST", path+"/discard", "", 200)), `{"discarded":1}`)
	doc := s.call("GET", "/api/v1/deliveries/"+d.ID.Text(hook.DeliveryPrefix), "", 200)
	wantJSON(t, "delivery", []any{doc["state"], doc["reason"]}, `["cancelled","discarded by `+s.user.Email+`"]`)
}

// TestAPIReplays: the replays into a subscription are a list like the others.
func TestAPIReplays(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	sub, other := storetest.Subscription(t, s.store, s.url.ID), storetest.Subscription(t, s.store, s.url.ID)
	at := func(sub hook.Subscription) string {
		return "/api/v1/subscriptions/" + sub.ID.Text(hook.SubscriptionPrefix) + "/replays"
	}
	var made []string
	for range 3 {
		made = append(made, s.call("POST", at(sub), "", 201)["id"].(string))
	}
	s.call("POST", at(other), "", 201)
	var listed []string
	for query := "?limit=2"; query != ""; {
		page := s.call("GET", at(sub)+query, "", 200)
		for _, item := range page["items"].([]any) {
			listed = append(listed, item.(map[string]any)["id"].(string))
		}
		query = ""
		if next, more := page["next"].(string); more {
			query = "?limit=2&cursor=" + next
		}
	}
	slices.Reverse(listed)
	if diff := cmp.Diff(made, listed); diff != "" {
		t.Error(diff)
	}
	for path, status := range map[string]int{"?limit=0": 400, "?x=1": 400, "?cursor=" + sub.ID.Text(hook.SubscriptionPrefix): 404} {
		wantStatus(t, path, s.api(s.token, "GET", at(sub)+path, ""), status)
	}
}
