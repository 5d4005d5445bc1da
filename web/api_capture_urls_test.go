package web

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

const captureURLsPath = "/api/v1/capture-urls"

// without returns a document without the fields that differ each time.
func without(doc map[string]any, names ...string) map[string]any {
	for _, name := range names {
		delete(doc, name)
	}
	return doc
}

func TestAPICreateCaptureURL(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	a := s.api(text, "POST", captureURLsPath, `{"name":"Orders"}`)
	wantStatus(t, "the least", a, http.StatusCreated)
	doc := a.decode(t)
	id, slug := doc["id"].(string), doc["slug"].(string)
	if !hook.ValidSlug(slug) || len(slug) != 22 || doc["url"] != s.url+"/in/"+slug {
		t.Errorf("slug %q, url %q", slug, doc["url"])
	}
	if got := a.header.Get("Location"); got != captureURLsPath+"/"+id {
		t.Errorf("Location %q", got)
	}
	want := fmt.Sprint(map[string]any{
		"name": "Orders", "paused": false, "cors": true,
		"response": map[string]any{"status": "200", "headers": []any{}, "body": "", "body_base64": nil, "delay_ms": "0"},
		"keep":     map[string]any{"requests": nil, "days": nil, "bytes": nil}, "rate_per_second": nil, "request_count": "0", "received_count": "0", "last_request_at": nil,
	})
	if got := fmt.Sprint(without(doc, "id", "slug", "url", "created_at")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	a = s.api(text, "POST", captureURLsPath, `{"name":"Everything","slug":"orders-eu","paused":true,"cors":false,
		"keep":{"requests":10,"days":7,"bytes":1048576},"rate_per_second":2.5,
		"response":{"status":202,"headers":[{"name":"X-A","value":"b"},{"name":"x-a","value":"ü"}],"body_base64":"/w==","delay_ms":25000}}`)
	wantStatus(t, "everything", a, http.StatusCreated)
	want = fmt.Sprint(map[string]any{
		"name": "Everything", "slug": "orders-eu", "url": s.url + "/in/orders-eu", "paused": true, "cors": false,
		"response": map[string]any{
			"status": "202", "headers": []any{map[string]any{"name": "X-A", "value": "b"}, map[string]any{"name": "x-a", "value": "ü"}},
			"body": nil, "body_base64": "/w==", "delay_ms": "25000",
		},
		"keep": map[string]any{"requests": "10", "days": "7", "bytes": "1048576"}, "rate_per_second": "2.5", "request_count": "0", "received_count": "0", "last_request_at": nil,
	})
	if got := fmt.Sprint(without(a.decode(t), "id", "created_at")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	stored := s.store.CaptureURLBySlug("orders-eu")
	if stored == nil || string(stored.Response.Body) != "\xff" || stored.OwnerID != u.ID {
		t.Errorf("stored: %+v", stored)
	}
	wantProblem(t, "a slug twice", s.api(text, "POST", captureURLsPath, `{"name":"a","slug":"orders-eu"}`), http.StatusConflict, "orders-eu")
}

func TestAPIInvalidCaptureURL(t *testing.T) {
	s := newSite(t)
	text := s.token(s.user(false))
	header := func(name, value string) string {
		return fmt.Sprintf(`{"response":{"headers":[{"name":%q,"value":%q}]}}`, name, value)
	}
	for body, location := range map[string]string{
		`{"response":{"status":99}}`:                          "response.status",
		`{"response":{"status":600}}`:                         "response.status",
		`{"response":{"status":0}}`:                           "response.status",
		`{"response":{"status":-1}}`:                          "response.status",
		`{"response":{"status":204,"body":"x"}}`:              "response.body",
		`{"response":{"status":304,"body_base64":"eA=="}}`:    "response.body",
		`{"response":{"body":"x","body_base64":"eA=="}}`:      "response.body_base64",
		`{"response":{"body_base64":"?"}}`:                    "response.body_base64",
		`{"response":{"body_base64":"eA"}}`:                   "response.body_base64",
		`{"response":{"delay_ms":-1}}`:                        "response.delay_ms",
		`{"response":{"delay_ms":25001}}`:                     "response.delay_ms",
		`{"response":{"delay_ms":9223372036854775807}}`:       "response.delay_ms",
		`{"response":{"delay_ms":288230376151711744}}`:        "response.delay_ms", // 2^58: its nanoseconds wrap around to 0
		`{"response":{"headers":[{"name":"a"},{"value":1}]}}`: "response.headers[1].value",
		header("X", "a\r\nY: z"):                              "response.headers[0].value",
		header("X\r\nY", "z"):                                 "response.headers[0].name",
		header("Set-Cookie", "a=b"):                           "response.headers[0].name",
		header("Content-Length", "1"):                         "response.headers[0].name",
		header("Transfer-Encoding", "chunked"):                "response.headers[0].name",
		header("Hookkeeper-Request-Id", "x"):                  "response.headers[0].name",
		`{"keep":{"requests":0}}`:                             "keep.requests",
		`{"keep":{"days":36501}}`:                             "keep.days",
		`{"keep":{"bytes":1}}`:                                "keep.bytes",
		`{"keep":{"bytes":-9223372036854775808}}`:             "keep.bytes",
		`{"rate_per_second":0}`:                               "rate_per_second",
		`{"rate_per_second":-1}`:                              "rate_per_second",
		`{"rate_per_second":10001}`:                           "rate_per_second",
		`{"rate_per_second":"2"}`:                             "rate_per_second",
		`{"slug":"-a"}`:                                       "slug",
		`{"slug":"UPPER"}`:                                    "slug",
		`{"slug":"ab"}`:                                       "slug",
		`{"slug":"../in"}`:                                    "slug",
		`{"slug":"` + strings.Repeat("a", 64) + `"}`:          "slug",
		`{"name":null}`:                                       "name",
		`{"name":"a\nb"}`:                                     "name",
		`{"paused":1}`:                                        "paused",
		`{"keep":[]}`:                                         "keep",
	} {
		a := s.api(text, "POST", captureURLsPath, strings.Replace(body, "{", `{"name":"a",`, 1))
		if strings.HasPrefix(body, `{"name"`) {
			a = s.api(text, "POST", captureURLsPath, body)
		}
		wantProblem(t, body, a, http.StatusUnprocessableEntity, "")
		if a.status != http.StatusUnprocessableEntity {
			continue
		}
		errs, _ := a.decode(t)["errors"].([]any)
		if len(errs) != 1 || errs[0].(map[string]any)["location"] != location {
			t.Errorf("%s: errors %v, want one at %s", body, errs, location)
		}
	}
	a := s.api(text, "POST", captureURLsPath, `{"name":"","slug":"-","keep":{"days":0},"response":{"status":1}}`)
	if errs, _ := a.decode(t)["errors"].([]any); len(errs) != 4 {
		t.Errorf("all at once: %v", errs)
	}
	large := `{"name":"a","response":{"body":"` + strings.Repeat("x", hook.MaxResponseBody) + `"}}`
	wantStatus(t, "the largest body", s.api(text, "POST", captureURLsPath, large), http.StatusCreated)
	large = `{"name":"a","response":{"body":"` + strings.Repeat("x", hook.MaxResponseBody+1) + `"}}`
	wantProblem(t, "a larger body", s.api(text, "POST", captureURLsPath, large), http.StatusUnprocessableEntity, "xxx")
	huge := `{"name":"a","response":{"body":"` + strings.Repeat("x", 10<<20) + `"}}`
	wantProblem(t, "10 MB", s.api(text, "POST", captureURLsPath, huge), http.StatusRequestEntityTooLarge, "xxx")
}

func TestAPIUpdateCaptureURL(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	path := captureURLsPath + "/" + storetest.CaptureURLOf(t, s.store, u).ID.Text(hook.CaptureURLPrefix)
	created := s.api(text, "GET", path, "").decode(t)
	full := `{"name":"n","paused":true,"cors":false,"keep":{"requests":1,"days":2,"bytes":1048576},
		"response":{"status":201,"headers":[{"name":"A","value":"b"}],"body":"x","delay_ms":5}}`
	response := func(doc map[string]any) string { return fmt.Sprint(doc["response"]) }
	for _, test := range []struct {
		body  string
		field string
		want  string
	}{
		{`{}`, "name", "n"},
		{`{"name":"m"}`, "name", "m"},
		{`{"name":"m"}`, "paused", "true"},
		{`{"paused":false}`, "paused", "false"},
		{`{"paused":null}`, "paused", "false"},
		{`{"cors":null}`, "cors", "true"},
		{`{"keep":{}}`, "keep", "map[bytes:1048576 days:2 requests:1]"},
		{`{"keep":{"days":9}}`, "keep", "map[bytes:1048576 days:9 requests:1]"},
		{`{"keep":{"days":null}}`, "keep", "map[bytes:1048576 days:<nil> requests:1]"},
		{`{"keep":null}`, "keep", "map[bytes:<nil> days:<nil> requests:<nil>]"},
		{`{"response":{}}`, "response", "map[body:x body_base64:<nil> delay_ms:5 headers:[map[name:A value:b]] status:201]"},
		{`{"response":null}`, "response", "map[body: body_base64:<nil> delay_ms:0 headers:[] status:200]"},
		{`{"response":{"status":null,"delay_ms":null}}`, "response", "map[body:x body_base64:<nil> delay_ms:0 headers:[map[name:A value:b]] status:200]"},
		{`{"response":{"headers":null}}`, "response", "map[body:x body_base64:<nil> delay_ms:5 headers:[] status:201]"},
		{`{"response":{"headers":[{"name":"C","value":"d"}]}}`, "response", "map[body:x body_base64:<nil> delay_ms:5 headers:[map[name:C value:d]] status:201]"},
		{`{"response":{"body":null}}`, "response", "map[body: body_base64:<nil> delay_ms:5 headers:[map[name:A value:b]] status:201]"},
		{`{"response":{"body":"","status":204}}`, "response", "map[body: body_base64:<nil> delay_ms:5 headers:[map[name:A value:b]] status:204]"},
		{`{"response":{"body":null,"body_base64":"/w=="}}`, "response", "map[body:<nil> body_base64:/w== delay_ms:5 headers:[map[name:A value:b]] status:201]"},
		{`{"response":{"body":"y","body_base64":null}}`, "response", "map[body:y body_base64:<nil> delay_ms:5 headers:[map[name:A value:b]] status:201]"},
	} {
		wantStatus(t, "reset", s.api(text, "PATCH", path, full), http.StatusOK)
		a := s.api(text, "PATCH", path, test.body)
		wantStatus(t, test.body, a, http.StatusOK)
		if got := fmt.Sprint(a.decode(t)[test.field]); got != test.want {
			t.Errorf("%s: %s is %s, want %s", test.body, test.field, got, test.want)
		}
		if diff := cmp.Diff(a.decode(t), s.api(text, "GET", path, "").decode(t)); diff != "" {
			t.Errorf("%s: GET differs from the answer:\n%s", test.body, diff)
		}
	}
	// A refused change changes nothing, the part before the mistake neither.
	wantStatus(t, "reset", s.api(text, "PATCH", path, full), http.StatusOK)
	before := s.api(text, "GET", path, "").decode(t)
	wantProblem(t, "status", s.api(text, "PATCH", path, `{"name":"z","response":{"status":204}}`), http.StatusUnprocessableEntity, "")
	wantProblem(t, "slug", s.api(text, "PATCH", path, `{"name":"z","slug":"other-slug"}`), http.StatusUnprocessableEntity, "other")
	wantProblem(t, "count", s.api(text, "PATCH", path, `{"name":"z","request_count":0}`), http.StatusBadRequest, "")
	if diff := cmp.Diff(before, s.api(text, "GET", path, "").decode(t)); diff != "" {
		t.Errorf("refused changes changed:\n%s", diff)
	}
	// What GET gives of slug and response can go back.
	again := fmt.Sprintf(`{"slug":%q}`, created["slug"])
	wantStatus(t, "the same slug", s.api(text, "PATCH", path, again), http.StatusOK)
	if got := response(s.api(text, "GET", path, "").decode(t)); got != response(before) {
		t.Errorf("response %s", got)
	}
}

func TestAPIListCaptureURLs(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	storetest.CaptureURL(t, s.store) // somebody else's
	a := s.api(text, "GET", captureURLsPath, "")
	if got := strings.TrimSpace(a.body); got != `{"items":[],"next":null}` {
		t.Errorf("an empty list: %s", got)
	}
	var want []string
	for range 5 {
		want = append([]string{storetest.CaptureURLOf(t, s.store, u).ID.Text(hook.CaptureURLPrefix)}, want...)
	}
	if diff := cmp.Diff(want, s.pages(text, captureURLsPath, "limit=2", "cursor")); diff != "" {
		t.Errorf("pages:\n%s", diff)
	}
	if all := s.pages(s.token(s.user(true)), captureURLsPath, "limit=200", "cursor"); len(all) != 6 {
		t.Errorf("an admin sees %d", len(all))
	}
}

// pages follows next, at most ten times, and returns the ids of all items.
func (s *site) pages(token, path, query, cursor string) (ids []string) {
	s.t.Helper()
	next := ""
	for range 10 {
		doc := s.api(token, "GET", path+"?"+query+next, "").decode(s.t)
		for _, item := range doc["items"].([]any) {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		if doc["next"] == nil {
			return ids
		}
		next = "&" + cursor + "=" + doc["next"].(string)
	}
	s.t.Fatalf("%s does not end", path)
	return nil
}

func TestAPIDeleteCaptureURL(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	wantStatus(t, "create", s.api(text, "POST", captureURLsPath, `{"name":"a","slug":"orders-eu"}`), http.StatusCreated)
	path := captureURLsPath + "/" + s.ownURLs(u)[0].ID.Text(hook.CaptureURLPrefix)
	statuses := make(chan int, 2)
	for range 2 {
		go func() { statuses <- s.api(text, "DELETE", path, "").status }()
	}
	if first, second := <-statuses, <-statuses; first+second != http.StatusNoContent+http.StatusNotFound {
		t.Errorf("two deletes: %d and %d", first, second)
	}
	for _, method := range []string{"GET", "DELETE"} {
		wantProblem(t, method, s.api(text, method, path, ""), http.StatusNotFound, "")
	}
	wantProblem(t, "PATCH", s.api(text, "PATCH", path, "{}"), http.StatusNotFound, "")
	wantProblem(t, "its requests", s.api(text, "GET", path+"/requests", ""), http.StatusNotFound, "")
	wantStatus(t, "create it again", s.api(text, "POST", captureURLsPath, `{"name":"a","slug":"orders-eu"}`), http.StatusCreated)
}

// TestAPIManyAnswers: a page of capture URLs with large answers is written as it is made, and the limit of all answers is told
// where it is met, by the API and by the form.
func TestAPIManyAnswers(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text, b := s.token(u), s.loggedIn(u)
	var last hook.CaptureURL
	for size := 0; size < hook.MaxResponses; size += hook.MaxResponseBody {
		last = hook.CaptureURL{OwnerID: u.ID, Name: "orders", Response: hook.DefaultResponse()}
		last.Response.Body = bytes.Repeat([]byte{1}, hook.MaxResponseBody)
		if err := s.store.CreateCaptureURL(t.Context(), &last); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read := s.discard(text, captureURLsPath+"?limit=200")
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; read < 6*hook.MaxResponses || allocated > 2*hook.MaxResponses {
		t.Errorf("%d MiB of answer took %d MiB of memory", read>>20, allocated>>20)
	}
	a := s.api(text, "POST", captureURLsPath, `{"name":"one more","response":{"body":"x"}}`)
	wantProblem(t, "one more", a, http.StatusUnprocessableEntity, "")
	if !strings.Contains(a.body, "response.body") || !strings.Contains(a.body, strconv.Itoa(hook.MaxResponses)) {
		t.Errorf("the error does not tell the limit: %s", a.body)
	}
	wantStatus(t, "one without", s.api(text, "POST", captureURLsPath, `{"name":"one without"}`), http.StatusCreated)
	path := captureURLsPath + "/" + last.ID.Text(hook.CaptureURLPrefix)
	wantStatus(t, "a larger answer", s.api(text, "PATCH", path, `{"response":{"headers":[{"name":"X-A","value":"1"}]}}`), http.StatusUnprocessableEntity)
	wantStatus(t, "another name", s.api(text, "PATCH", path, `{"name":"renamed"}`), http.StatusOK)
	form := b.post(urlPath(last.ID)+"/settings", "name", "again", "status", "200", "delay_ms", "0", "headers", "X-A: 1", "body", string(last.Response.Body))
	wantStatus(t, "the form", form, http.StatusUnprocessableEntity)
	if !strings.Contains(form.body, "in all is the most") {
		t.Error("the form does not tell the limit")
	}
}
