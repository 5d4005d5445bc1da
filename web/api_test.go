package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// decode reads the body of an answer into a map, with numbers as they stand.
func (a answer) decode(t *testing.T) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("%v in %.300q", err, a.body)
	}
	return doc
}

// wantProblem checks that an answer is problem+json of the status that does not repeat secret.
func wantProblem(t *testing.T, what string, a answer, status int, secret string) {
	t.Helper()
	wantStatus(t, what, a, status)
	if a.status != status {
		return
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: Content-Type %q", what, got)
	}
	doc := a.decode(t)
	if len(doc) != 4 || doc["title"] != http.StatusText(status) || doc["status"] != json.Number(jsonNumber(status)) ||
		doc["detail"] == "" || doc["errors"] == nil {
		t.Errorf("%s: %s", what, a.body)
	}
	if secret != "" && strings.Contains(a.body, secret) {
		t.Errorf("%s: the error repeats the input: %s", what, a.body)
	}
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestAPITokens(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	const path = "/api/v1/capture-urls"
	for what, headers := range map[string][]string{
		"nothing":               nil,
		"empty":                 {"Authorization", ""},
		"no token":              {"Authorization", "Bearer"},
		"an empty token":        {"Authorization", "Bearer "},
		"basic":                 {"Authorization", "Basic " + text},
		"the token alone":       {"Authorization", text},
		"two headers":           {"Authorization", "Bearer " + text, "Authorization", "Bearer " + text},
		"two values":            {"Authorization", "Bearer " + text + ", Bearer " + text},
		"a space more":          {"Authorization", "Bearer  " + text},
		"in capitals":           {"Authorization", "Bearer " + strings.ToUpper(text)},
		"a wrong one":           {"Authorization", "Bearer hk_" + strings.Repeat("x", 52)},
		"257 bytes":             {"Authorization", "Bearer " + strings.Repeat("x", 257)},
		"60 KB":                 {"Authorization", "Bearer " + strings.Repeat("x", 60_000)},
		"as another header":     {"X-Api-Key", text},
		"as a cookie":           {"Cookie", "token=" + text},
		"as proxy authenticate": {"Proxy-Authorization", "Bearer " + text},
	} {
		wantProblem(t, what, s.browser().get(path, headers...), http.StatusUnauthorized, text)
	}
	if a := s.browser().get(path); a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
	}
	for _, query := range []string{"?token=" + text, "?access_token=" + text} {
		wantProblem(t, "in the query", s.browser().get(path+query), http.StatusUnauthorized, text)
		wantProblem(t, "in the query, too", s.api(text, "GET", path+query, ""), http.StatusUnauthorized, text)
	}
	wantProblem(t, "a session", s.loggedIn(u).get(path), http.StatusUnauthorized, "")
	wantStatus(t, "the token", s.api(text, "GET", path, ""), http.StatusOK)
	wantStatus(t, "the scheme in small letters", s.browser().get(path, "Authorization", "bearer "+text), http.StatusOK)
}

// Guessing tokens is stopped, for the address that guesses.
func TestAPITokensAreLimited(t *testing.T) {
	s := newSite(t, trustLoopback)
	text := s.token(s.user(false))
	get := func(token, from string) answer {
		return s.browser().get("/api/v1/capture-urls", "Authorization", "Bearer "+token, "X-Forwarded-For", from)
	}
	for range hook.LoginFailuresAddr {
		get("hk_wrong", "192.0.2.1")
	}
	a := get("hk_wrong", "192.0.2.1")
	wantProblem(t, "too many", a, http.StatusTooManyRequests, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wantStatus(t, "from elsewhere", get(text, "192.0.2.2"), http.StatusOK)
}

func TestAPIErrors(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	wantProblem(t, "no such route", b.get("/api/v2/evil"), http.StatusNotFound, "evil")
	wantProblem(t, "below /api", b.get("/api/"), http.StatusNotFound, "")
	wantProblem(t, "method", b.ask("PUT", "/api/v1/capture-urls", ""), http.StatusMethodNotAllowed, "")
	wantProblem(t, "host", b.get("/api/v1/capture-urls", "Host", "evil.example"), http.StatusMisdirectedRequest, "evil")
	wantProblem(t, "origin", b.ask("DELETE", "/api/v1/requests/x", "", "Origin", "https://evil.example"), http.StatusForbidden, "evil")
}

func TestAPIStrictJSON(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	for what, test := range map[string]struct {
		body   string
		status int
	}{
		"empty":                    {" ", 400},
		"not JSON":                 {"name=secret", 400},
		"cut off":                  {`{"name":"secret`, 400},
		"two documents":            {`{"name":"secret"}{}`, 400},
		"something behind it":      {`{"name":"secret"} x`, 400},
		"a comment":                {`{"name":"secret"} // x`, 400},
		"a trailing comma":         {`{"name":"secret",}`, 400},
		"an array":                 {`[{"name":"secret"}]`, 400},
		"a string":                 {`"secret"`, 400},
		"9,999 arrays":             {deep("[", "]", 9_999), 400},
		"9,999 arrays in a member": {`{"name":` + deep("[", "]", 9_999) + `}`, 422},
		"20,000 objects":           {deep(`{"a":`, "}", 20_000), 400},
		"1e999":                    {`{"a":1e999}`, 400},
		"1e999 in a member":        {`{"name":"a","keep":{"days":1e999}}`, 422},
		"30 digits":                {`{"name":"a","response":{"delay_ms":123456789012345678901234567890}}`, 422},
		"a fraction":               {`{"name":"a","keep":{"days":1.5}}`, 422},
		"a number as text":         {`{"name":"a","keep":{"days":"1"}}`, 422},
		"a duplicate":              {`{"name":"good","name":"secret"}`, 400},
		"a duplicate deeper":       {`{"name":"a","response":{"status":200,"status":500}}`, 400},
		"an escaped duplicate":     {`{"name":"good","n\u0061me":"secret"}`, 400},
		"unknown":                  {`{"name":"a","secret_field":true}`, 400},
		"unknown deeper":           {`{"name":"a","response":{"headers":[{"name":"a","value":"b","secret":1}]}}`, 400},
		"a role":                   {`{"name":"a","role":"admin"}`, 400},
		"an id":                    {`{"name":"a","id":1}`, 400},
		"an owner":                 {`{"name":"a","owner_id":1}`, 400},
		"other letters":            {`{"Name":"secret"}`, 400},
		"invalid UTF-8":            {"{\"name\":\"\xff\"}", 400},
		"a lone surrogate":         {`{"name":"\ud800"}`, 400},
		"NUL":                      {`{"name":"a\u0000b"}`, 422},
		"no name":                  {`{}`, 422},
		"a null name":              {`{"name":null}`, 422},
		"100,001 letters":          {`{"name":"` + strings.Repeat("A", 100_001) + `"}`, 422},
		"201 letters":              {`{"name":"` + strings.Repeat("ä", 201) + `"}`, 422},
	} {
		a := s.api(text, "POST", "/api/v1/capture-urls", test.body)
		wantProblem(t, what, a, test.status, "secret")
	}
	if own := s.ownURLs(u); len(own) != 0 {
		t.Errorf("%d capture URLs were made", len(own))
	}
	for what, name := range map[string]string{
		"200 letters": strings.Repeat("ä", 200), "HTML": "<img onerror>", "right to left": "a\u202eb", "zero width": "a\u200bb",
	} {
		a := s.api(text, "POST", "/api/v1/capture-urls", `{"name":"`+name+`"}`)
		wantStatus(t, what, a, http.StatusCreated)
		if got := a.decode(t)["name"]; got != name {
			t.Errorf("%s: name %q", what, got)
		}
	}
}

// A deep document costs nothing: it is refused where it stops making sense.
func TestAPIDepthIsCheap(t *testing.T) {
	body := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	r, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var in captureURLInput
	err := readJSON(r, &in)
	runtime.ReadMemStats(&after)
	if !hook.Is(err, hook.Malformed) {
		t.Errorf("%v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes allocated", used)
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a"}`, `{"name":"a","keep":{"days":7},"response":{"status":202,"headers":[{"name":"A","value":"b"}],"body_base64":"AA=="}}`,
		`{"keep":null,"response":null}`, `[[[`, `{"a":1e999}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		var in captureURLInput
		if err := readJSON(r, &in); err != nil {
			if kind := hook.KindOf(err); kind != hook.Malformed && kind != hook.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		u := hook.CaptureURL{Name: "a", Response: hook.DefaultResponse()}
		if in.apply(&u) == nil && u.Validate(hook.ValidateRules{}) == nil {
			if d := u.Response.Delay; d < 0 || d > hook.MaxResponseDelay {
				t.Errorf("delay %s", d)
			}
		}
	})
}

func TestAPIQueries(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	other, foreign := s.request(storetest.CaptureURLOf(t, s.store, u).ID, "x"), s.request(storetest.CaptureURL(t, s.store).ID, "x")
	list := "/api/v1/capture-urls/" + captureURL.ID.Text(hook.CaptureURLPrefix) + "/requests"
	for query, status := range map[string]int{
		"?limit=1": 200, "?limit=200": 200, "?limit=-1": 400, "?limit=0": 400, "?limit=201": 400, "?limit=99999999999": 400,
		"?limit=1e9": 400, "?limit=abc": 400, "?limit=": 400, "?limit=1&limit=2": 400, "?limit=+1": 400,
		"?Limit=1": 400, "?q=x": 400, "?offset=1": 400, "?a=%zz": 400, "?a;b": 400, "?": 200,
		"?after=../": 404, "?after=": 404, "?cursor=x": 404, "?after=" + captureURL.ID.Text(hook.CaptureURLPrefix): 404,
		"?after=" + other.ID.Text(hook.RequestPrefix):                                                  404,
		"?after=" + (other.ID + 1).Text(hook.RequestPrefix):                                            200,
		"?after=" + foreign.ID.Text(hook.RequestPrefix):                                                200,
		"?after=" + other.ID.Text(hook.RequestPrefix) + "&cursor=" + other.ID.Text(hook.RequestPrefix): 400,
		"?cursor=" + other.ID.Text(hook.RequestPrefix):                                                 200,
		"?after=" + url.QueryEscape("req_'; DROP TABLE requests; --"):                                  404,
	} {
		a := s.api(text, "GET", list+query, "")
		wantStatus(t, query, a, status)
		if status != http.StatusOK {
			wantProblem(t, query, a, status, "DROP")
		}
	}
	for _, path := range []string{"/api/v1/capture-urls?q=1", "/api/v1/capture-urls/" + captureURL.ID.Text(hook.CaptureURLPrefix) + "?x", list + "/latest?x"} {
		wantProblem(t, path, s.api(text, "GET", path, ""), http.StatusBadRequest, "")
	}
}

// TestErrorsRepeatNothing: what is wrong is said by its place and by what would be right. A client may log the answer, and
// what it sent may be a secret in the wrong place.
func TestErrorsRepeatNothing(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	const word = "s3cr3t"
	subscribe := func(members string) [3]string {
		return [3]string{"POST", s.path(), `{"name":"a","target_url":"https://a.example",` + members + `}`}
	}
	jq := func(program string) [3]string {
		quoted, err := json.Marshal(program)
		if err != nil {
			t.Fatal(err)
		}
		return subscribe(`"filter":{"jq":` + string(quoted) + `}`)
	}
	for _, call := range [][3]string{
		{"GET", "/api/v1/capture-urls?s3cr3t=1", ""},
		{"GET", "/api/v1/capture-urls?limit=s3cr3t", ""},
		{"GET", "/api/v1/capture-urls?cursor=s3cr3t", ""},
		{"GET", "/api/v1/capture-urls/s3cr3t", ""},
		{"GET", "/api/v1/deliveries?state=s3cr3t", ""},
		{"GET", "/api/v1/deliveries?request_id=s3cr3t", ""},
		{"GET", "/api/v1/s3cr3t", ""},
		subscribe(`"s3cr3t":1`),
		subscribe(`"s3cr3t":1,"s3cr3t":1`),
		subscribe(`"s3cr3t":{"a":1,"a":1}`),
		subscribe(`"filter":{"s3cr3t":1}`),
		subscribe(`"name":{"s3cr3t":1,"s3cr3t":2}`),
		subscribe(`"signing":{"scheme":"s3cr3t"}`),
		subscribe(`"signing":{"secret":"s3cr3t"}`),
		subscribe(`"method":"s3cr3t s3cr3t"`),
		subscribe(`"headers":[{"name":"s3cr3t:","value":"s3cr3t"}]`),
		subscribe(`"filter":{"all":[{"field":"s3cr3t","op":"s3cr3t"}]}`),
		subscribe(`"filter":{"all":[{"field":"header.s3cr3t:","op":"is"}]}`),
		subscribe(`"filter":{"all":[{"field":"method","op":"is","s3cr3t":1}]}`),
		jq("s3cr3tfunc"), jq("s3cr3t(1; 2)"), jq("$s3cr3t"), jq("@s3cr3t"), jq("s3cr3t::f"), jq("$s3cr3t::v"), jq(".a s3cr3t"), jq(`"s3cr3t`),
		jq(`"\s3cr3t"`), jq(`"\(s3cr3t)"`), jq(`test("(s3cr3t")`), jq(`test("s3cr3t{2,1}")`), jq(`test("[[:s3cr3t:]]")`),
		jq(`import "s3cr3t" as a; 1`), jq("label $s3cr3t | 1"), jq("def s3cr3t: 1; 1"), jq("{s3cr3t}"), jq(".[s3cr3t]"), jq("1 as [$s3cr3t] | 1"),
		jq("'s3cr3t'"), jq("try error(s3cr3t)"), jq("break $s3cr3t"), jq(". as $a | $s3cr3t"), jq("{\"s3cr3t\": s3cr3t}"), jq("contains(s3cr3t)"),
	} {
		a := s.api(s.token, call[0], call[1], call[2])
		if a.status < 400 || a.status > 499 {
			t.Errorf("%s: status %d", call, a.status)
		}
		if strings.Contains(a.body, word) {
			t.Errorf("%s: the answer repeats it: %s", call, a.body)
		}
	}
}

// TestUnknownField: the answer says where a field is that is not known, and what would be right, without a word of it.
func TestUnknownField(t *testing.T) {
	t.Parallel()
	s := newSubscribed(t)
	for body, want := range map[string][2]string{
		`{"name":"a","shop":"x"}`:                      {"$", "has a field that is not known, at byte 12: it takes name, slug, paused, cors, keep, rate_per_second, response"},
		`{"name":"a","Paused":true}`:                   {"$", "has a field that is not known, at byte 12: perhaps paused was meant"},
		`{"name":"a","keep":{"request":7}}`:            {"keep", "has a field that is not known, at byte 20: perhaps requests was meant"},
		`{"response":{"headers":[{"name":"","v":1}]}}`: {"response.headers[0]", "has a field that is not known, at byte 35: it takes name, value"},
	} {
		got := s.api(s.token, "POST", "/api/v1/capture-urls", body).decode(t)["errors"].([]any)[0].(map[string]any)
		if got["location"] != want[0] || got["message"] != want[1] {
			t.Errorf("%s: %v, want %q", body, got, want)
		}
	}
}
