package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ask is a request to the dashboard or the API, and what its answer must be.
type ask struct {
	id     string
	input  string // in words
	method string // "" is GET
	path   string // URL, REQUEST and SUB stand for ids of ann's
	header map[string][]string
	body   string

	status []int // any of these
	check  func(t *testing.T, a answer)
	run    func(t *testing.T, s *server) // replaces all of the above
}

// askTable sends rows to a server. prepare gives ids their place.
func askTable(t *testing.T, s *server, rows []ask, prepare *strings.Replacer) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.id+" "+row.input, func(t *testing.T) {
			if row.run != nil {
				row.run(t, s)
				return
			}
			a := s.ask(t, row.method, prepare.Replace(row.path), row.header, row.body)
			if !slices.Contains(row.status, a.status) {
				t.Errorf("status %d, want one of %d: %.300s", a.status, row.status, a.body)
			}
			if row.check != nil {
				row.check(t, a)
			}
		})
	}
}

// ask sends a request that follows no redirect.
func (s *server) ask(t *testing.T, method, path string, header map[string][]string, body string) answer {
	t.Helper()
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, s.url(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{} // closed
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the answer ends in the middle: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func withToken(token string, more ...string) map[string][]string {
	h := map[string][]string{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	return h
}

// isProblem wants an answer that says what is wrong, as JSON, and nothing of the inside.
func isProblem(t *testing.T, a answer) {
	t.Helper()
	var doc struct{ Title, Detail string }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Title == "" {
		t.Errorf("no problem document: %.200s", a.body)
	}
	if strings.Contains(a.body, ".go:") || strings.Contains(a.body, "SQL") {
		t.Errorf("the answer shows the inside: %.300s", a.body)
	}
}

const urlsAPI = "/api/v1/capture-urls"

// hostileAPI are the rows B of the list of hostile inputs.
func hostileAPI() []ask {
	bad := []int{http.StatusBadRequest, http.StatusUnprocessableEntity}
	create := func(id, input, body string) ask {
		return ask{id: id, input: input, method: "POST", path: urlsAPI, header: withToken(apiToken), body: body, status: bad, check: isProblem}
	}
	list := func(id, input, query string, status ...int) ask {
		return ask{id: id, input: input, path: urlsAPI + "/URL/requests?" + query, header: withToken(apiToken), status: status}
	}
	response := func(input, json string) ask {
		return ask{
			id: "B12", input: input, method: "PATCH", path: urlsAPI + "/URL", header: withToken(apiToken), status: bad, check: isProblem,
			body: `{"response":{` + json + `}}`,
		}
	}
	credentials := func(input string, values ...string) ask {
		return ask{id: "B10", input: input, path: urlsAPI, header: map[string][]string{"Authorization": values}, status: []int{401}, check: isProblem}
	}
	return []ask{
		create("B01", "arrays 9,999 deep", strings.Repeat("[", 9999)+strings.Repeat("]", 9999)),
		create("B01", "arrays 9,999 deep in a member", `{"name":`+strings.Repeat("[", 9999)+strings.Repeat("]", 9999)+`}`),
		create("B02", "1e999", `{"name":"a","rate_per_second":1e999}`),
		create("B02", "30 digits", `{"name":"a","keep":{"days":123456789012345678901234567890}}`),
		create("B03", "duplicate keys", `{"name":"good","name":"bad"}`),
		create("B04", "allow_private", `{"name":"a","allow_private":true}`),
		create("B04", "role", `{"name":"a","role":"admin"}`),
		create("B04", "id", `{"name":"a","id":1}`),
		create("B05", "invalid UTF-8", "{\"name\":\"\xff\"}"),
		create("B05", "lone surrogate", `{"name":"\ud800"}`),
		create("B05", "NUL", `{"name":"a\u0000b"}`),
		create("B06", "long name", `{"name":"`+strings.Repeat("a", 100_001)+`"}`),
		{id: "B06", input: "names that are not what they seem", run: strangeNames},
		list("B07", "limit -1", "limit=-1", 400),
		list("B07", "limit 0", "limit=0", 400),
		list("B07", "limit 99999999999", "limit=99999999999", 200, 400),
		list("B07", "limit 1e9", "limit=1e9", 400),
		list("B07", "limit abc", "limit=abc", 400),
		list("B08", "path as a cursor", "cursor=../", 400, 404),
		list("B08", "a text as after", "after=../", 400, 404),
		list("B08", "another's id", "after=OTHERREQUEST", 400, 404),
		{
			id: "B09", input: "If-None-Match of 1 MB", path: urlsAPI, header: withToken(apiToken, "If-None-Match", strings.Repeat("a", 1<<20)),
			status: []int{0, 431},
		},
		{
			id: "B09", input: "If-None-Match of 50 KB", path: urlsAPI, header: withToken(apiToken, "If-None-Match", strings.Repeat("a", 50<<10)),
			status: []int{200},
		},
		{
			id: "B09", input: "502 ranges", path: "/api/v1/requests/REQUEST/body", status: []int{200, 416}, check: func(t *testing.T, a answer) {
				if len(a.body) > 10_000 {
					t.Errorf("%d bytes for a body of %d", len(a.body), len("hello"))
				}
			}, header: withToken(apiToken, "Range", "bytes=0-,0-"+strings.Repeat(",0-", 500)),
		},
		credentials("no token", "Bearer "),
		credentials("two tokens", "Bearer "+apiToken+"x", "Bearer "+apiToken),
		credentials("a right token and another", "Bearer "+apiToken, "Bearer x"),
		credentials("Basic", "Basic YW5uOmFubg=="),
		{id: "B10", input: "1 MB", path: urlsAPI, header: withToken(strings.Repeat("a", 1<<20)), status: []int{0, 431}},
		{id: "B10", input: "token in the query", path: urlsAPI + "?token=" + apiToken, status: []int{401}, check: isProblem},
		{id: "B11", input: "objects of somebody else", run: foreignObjects},
		response("status 99", `"status":99`), response("status 600", `"status":600`), response("status 0", `"status":0`),
		response("header with line breaks", `"headers":[{"name":"X","value":"a\r\nY: z"}]`),
		response("Set-Cookie", `"headers":[{"name":"Set-Cookie","value":"a=b"}]`),
		response("Content-Length", `"headers":[{"name":"Content-Length","value":"1"}]`),
		response("Transfer-Encoding", `"headers":[{"name":"Transfer-Encoding","value":"chunked"}]`),
		{
			id: "B13", input: "an answer of 10 MB", method: "PATCH", path: urlsAPI + "/URL", header: withToken(apiToken), check: isProblem,
			body: `{"response":{"body":"` + strings.Repeat("{{.}}", 2<<20) + `"}}`, status: []int{400, 413, 422},
		},
		list("B14", "a search that is none", "q="+url.QueryEscape("%"), 400),
		list("B14", "10,000 alternatives", "q="+url.QueryEscape(strings.Repeat("a OR ", 10_000)), 400, 414, 431),
		{id: "B16", input: "text/plain", method: "POST", path: urlsAPI, header: withToken(apiToken, "Content-Type", "text/plain"), body: `{"name":"a"}`, status: []int{415}, check: isProblem},
		{id: "B17", input: "two deletions at once", run: deletedTwice},
	}
}

// TestHostileAPI sends the rows B to one server.
func TestHostileAPI(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	id := s.capture(u, "hello")
	theirs := s.secondUser()
	var other captureURL
	if err := json.Unmarshal([]byte(s.ask(t, "POST", urlsAPI, withToken(theirs), `{"name":"theirs"}`).body), &other); err != nil {
		t.Fatal(err)
	}
	foreign := s.capture(other, "secret")
	askTable(t, s, hostileAPI(), strings.NewReplacer("OTHERREQUEST", foreign, "/URL", "/"+u.ID, "/REQUEST", "/"+id))
	if n := len(s.requests(u.ID)); n != 1 {
		t.Errorf("%d requests are left of 1", n)
	}
}

// secondUser makes a user who is no admin, and returns a token of theirs.
func (s *server) secondUser() (token string) {
	s.t.Helper()
	runWithInput(s.t, s, adminPassword+"\n", "user", "add", "bob@example.com", "--password-stdin")
	return s.newToken("bob@example.com")
}

// newToken makes a token of a user, by command.
func (s *server) newToken(email string) string {
	s.t.Helper()
	token := regexp.MustCompile(`hk_\w+`).FindString(runCommand(s.t, s, "token", "add", "test", "--user", email))
	if token == "" {
		s.t.Fatal("the command prints no token")
	}
	return token
}

// strangeNames creates capture URLs with names that try to be something else, and looks at the list.
func strangeNames(t *testing.T, s *server) {
	for _, name := range []string{`<img src=x onerror="__xss=1">`, "zero\u200bwidth", "right\u202eto left", "\u2066isolated"} {
		body, err := json.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		if a := s.ask(t, "POST", urlsAPI, withToken(apiToken), string(body)); a.status != http.StatusCreated {
			t.Errorf("%q: status %d", name, a.status)
		}
	}
	page := s.fetch("/", s.login())
	if page.status != http.StatusOK || strings.Contains(page.body, "<img") {
		t.Errorf("the list: status %d, and a name may be markup", page.status)
	}
}

// foreignObjects asks for what belongs to ann with a token of bob's. All routes are tried by the tests of package web.
func foreignObjects(t *testing.T, s *server) {
	u := s.newURL(nil)
	id := s.capture(u, "ann's")
	sub := s.subscribe(u, "https://example.com", nil)
	bob := s.newToken("bob@example.com")
	for _, path := range []string{
		urlsAPI + "/" + u.ID, urlsAPI + "/" + u.ID + "/requests", "/api/v1/requests/" + id, "/api/v1/requests/" + id + "/body", "/api/v1/subscriptions/" + sub,
	} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			a := s.ask(t, method, path, withToken(bob), "{}")
			if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed && (a.status != http.StatusBadRequest || method == "GET") {
				t.Errorf("%s %s: status %d", method, path, a.status)
			}
		}
	}
	if n := len(s.requests(u.ID)); n != 1 {
		t.Errorf("%d requests are left of 1", n)
	}
}

// deletedTwice deletes one request from two sides, many times: one of them has done it.
func deletedTwice(t *testing.T, s *server) {
	u := s.newURL(nil)
	for _, id := range s.captureMany(u, 20) {
		var statuses [2]int
		var both sync.WaitGroup
		for i := range statuses {
			both.Go(func() { statuses[i] = s.ask(t, "DELETE", "/api/v1/requests/"+id, withToken(apiToken), "").status })
		}
		both.Wait()
		slices.Sort(statuses[:])
		if statuses != [2]int{http.StatusNoContent, http.StatusNotFound} {
			t.Errorf("the answers are %d", statuses)
		}
	}
	if a := s.ask(t, "GET", urlsAPI+"/"+u.ID, withToken(apiToken), ""); !strings.Contains(a.body, `"request_count":0`) {
		t.Errorf("afterwards: %s", a.body)
	}
}

// hostileForms are the rows C.
func hostileForms() []ask {
	form := []string{"application/x-www-form-urlencoded"}
	login := "email=" + url.QueryEscape(adminEmail) + "&password=" + url.QueryEscape(adminPassword)
	post := func(id, input, body string, header map[string][]string, status ...int) ask {
		h := map[string][]string{"Content-Type": form}
		for name, values := range header {
			h[name] = values
		}
		return ask{id: id, input: input, method: "POST", path: "/login", header: h, body: body, status: status}
	}
	one := func(name, value string) map[string][]string { return map[string][]string{name: {value}} }
	password := func(input, text string) ask {
		return post("C05", input, "email=nobody@example.com&password="+url.QueryEscape(text), nil, 400, 401, 413, 422)
	}
	next := func(target string) ask {
		row := post("C11", "next="+target, login+"&next="+url.QueryEscape(target), nil, 303)
		row.check = func(t *testing.T, a answer) {
			if to := a.header.Get("Location"); to != "/" {
				t.Errorf("sent to %q", to)
			}
		}
		return row
	}
	return []ask{
		post("C01", "neither Origin nor Sec-Fetch-Site", login, nil, 303),
		post("C02", "cross-site", login, one("Sec-Fetch-Site", "cross-site"), 403),
		post("C02", "same-site", login, one("Sec-Fetch-Site", "same-site"), 403),
		post("C03", "Origin null", login, one("Origin", "null"), 403),
		post("C03", "Origin of somebody else", login, one("Origin", "https://evil.example"), 403),
		post("C03", "Origin with another port", login, one("Origin", "http://127.0.0.1:8443"), 403),
		{id: "C04", input: "GET /logout", run: nothingByGet},
		password("1,025 bytes", strings.Repeat("x", 1025)), password("1 MB", strings.Repeat("x", 1<<20)), password("empty", ""), password("with NUL", "a\x00b"),
		{id: "C05", input: "64 bytes with spaces", run: longPassword},
		{id: "C07", input: "wrong passwords", run: wrongPasswords},
		{id: "C08", input: "a cookie from before", run: plantedCookie},
		{id: "C09", input: "the cookie of a session that has ended", run: oldCookie},
		next("//evil.example"), next(`\\evil.example`), next("https:evil.example"), next("javascript:__xss=1"), next("/\\evil.example"), next("/\t/evil.example"),
		{id: "C12", input: "cookie of 8 KB", path: "/login", header: one("Cookie", "a="+strings.Repeat("b", 8<<10)), status: []int{200}},
		{id: "C12", input: "100 cookies", path: "/login", header: one("Cookie", strings.Repeat("hookkeeper=x; ", 100)), status: []int{200}},
		{id: "C12", input: "malformed cookies", path: "/login", header: one("Cookie", "a=b=c;;=;hookkeeper"), status: []int{200}},
		post("C13", "20,000 fields", strings.Repeat("a=b&", 20_000), nil, 400, 401, 413, 422),
		{
			id: "C13", input: "5,000 parts", method: "POST", path: "/login", status: []int{400, 413, 415},
			header: one("Content-Type", "multipart/form-data; boundary=b"),
			body:   strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"..\\..\\x\"\r\n\r\nx\r\n", 5000) + "--b--\r\n",
		},
		{id: "C14", input: "set-up of a server that has users", method: "POST", path: "/setup", header: map[string][]string{"Content-Type": form}, body: login, status: []int{403, 404}},
		{id: "C14", input: "set-up without the token", run: setupWithoutToken},
	}
}

// TestHostileForms sends the rows C to one server.
func TestHostileForms(t *testing.T) {
	t.Parallel()
	askTable(t, start(t), hostileForms(), strings.NewReplacer())
}

// nothingByGet opens addresses that would change something if a GET could.
func nothingByGet(t *testing.T, s *server) {
	u := s.newURL(nil)
	session := s.login()
	for _, path := range []string{"/logout", "/urls/" + u.ID + "/delete", "/urls/" + u.ID + "/clear", "/delete?id=" + u.ID, "/urls/" + u.ID + "/pause?paused=true"} {
		s.fetch(path, session)
	}
	if status := s.get("/settings", session); status != http.StatusOK {
		t.Errorf("the session has ended: status %d", status)
	}
	s.capture(u, "still there")
}

func (s *server) loginForm(t *testing.T, email, password string, header map[string][]string) answer {
	t.Helper()
	h := map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range header {
		h[name] = values
	}
	return s.ask(t, "POST", "/login", h, "email="+url.QueryEscape(email)+"&password="+url.QueryEscape(password))
}

// longPassword: a password of 64 bytes counts whole, spaces included.
func longPassword(t *testing.T, s *server) {
	password := " " + strings.Repeat("long pass ", 6) + "end"
	runWithInput(t, s, password+"\n", "user", "add", "long@example.com", "--password-stdin")
	if a := s.loginForm(t, "long@example.com", password, nil); a.status != http.StatusSeeOther {
		t.Errorf("the whole password: status %d", a.status)
	}
	if a := s.loginForm(t, "long@example.com", password[:len(password)-1], nil); a.status == http.StatusSeeOther {
		t.Error("a part of it is enough")
	}
}

// wrongPasswords: after ten of them the address has to wait, whatever it says about itself.
func wrongPasswords(t *testing.T, s *server) {
	runWithInput(t, s, adminPassword+"\n", "user", "add", "victim@example.com", "--password-stdin")
	refused := 0
	for n := range 14 {
		a := s.loginForm(t, "victim@example.com", "wrong password", map[string][]string{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", n)}})
		if a.status == http.StatusTooManyRequests {
			refused++
			if a.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		} else if refused > 0 {
			t.Errorf("attempt %d is answered %d behind a 429", n, a.status)
		}
	}
	if refused == 0 {
		t.Error("14 wrong passwords in a row are looked at")
	}
}

// plantedCookie: a session that somebody had before the login is another one after it.
func plantedCookie(t *testing.T, s *server) {
	planted := "hookkeeper=planted-by-an-attacker-00000000000000"
	runWithInput(t, s, adminPassword+"\n", "user", "add", "fixed@example.com", "--password-stdin")
	a := s.loginForm(t, "fixed@example.com", adminPassword, map[string][]string{"Cookie": {planted}})
	if a.status != http.StatusSeeOther || strings.Contains(fmt.Sprint(a.header["Set-Cookie"]), "planted") {
		t.Errorf("status %d, cookies %q", a.status, a.header["Set-Cookie"])
	}
	if a := s.ask(t, "GET", "/settings", map[string][]string{"Cookie": {planted}}, ""); a.status != http.StatusSeeOther {
		t.Errorf("the planted session is answered %d", a.status)
	}
}

// oldCookie: what was a session before the logout is none after it.
func oldCookie(t *testing.T, s *server) {
	session := s.login()
	cookie := map[string][]string{"Cookie": {session.Name + "=" + session.Value}}
	if a := s.ask(t, "POST", "/logout", cookie, ""); a.status != http.StatusSeeOther {
		t.Fatalf("the logout: status %d", a.status)
	}
	if a := s.ask(t, "GET", "/settings", cookie, ""); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/login") {
		t.Errorf("status %d, to %q", a.status, a.header.Get("Location"))
	}
}

// setupWithoutToken: a server without users takes nobody who does not know its link.
func setupWithoutToken(t *testing.T, _ *server) {
	fresh := start(t, "HOOKKEEPER_ADMIN_EMAIL=", "HOOKKEEPER_ADMIN_PASSWORD=", "HOOKKEEPER_API_TOKEN=")
	form := map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, token := range []string{"", "token=x&", "token=" + strings.Repeat("a", 52) + "&"} {
		a := fresh.ask(t, "POST", "/setup", form, token+"email=evil%40example.com&password="+url.QueryEscape(adminPassword))
		if a.status != http.StatusForbidden {
			t.Errorf("with %q: status %d", token, a.status)
		}
	}
}
