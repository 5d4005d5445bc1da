package web

import (
	"bufio"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// publicRoutes is what anybody may use. A route that is not here and lets a stranger in is a hole.
var publicRoutes = []string{
	"GET /healthz", "GET /readyz", "GET /static/{name...}",
	"GET /setup", "POST /setup", "GET /login", "POST /login", "POST /logout", "GET /invite", "POST /invite",
	"GET /api/openapi.json", "GET /api/docs",
}

// address fills a pattern with ids and returns method and path.
func address(pattern string, ids map[string]string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	for prefix, id := range ids {
		if rest, ok := strings.CutPrefix(path, prefix+"{id}"); ok {
			path = prefix + id + rest
		}
	}
	path = strings.Replace(path, "{rid}", ids["/api/v1/requests/"], 1)
	path = strings.Replace(path, "{name...}", "none.css", 1)
	return method, strings.TrimSuffix(path, "{$}")
}

// contentType is that of the body a route takes.
func contentType(rt route) []string {
	switch rt.body {
	case formBody:
		return []string{"Content-Type", "application/x-www-form-urlencoded"}
	case jsonBody:
		return []string{"Content-Type", "application/json"}
	}
	return nil
}

// objects makes one of everything that belongs to a user and returns the ids as paths have them.
func (s *site) objects(u hook.User) map[string]string {
	captureURL := storetest.CaptureURLOf(s.t, s.store, u)
	request := s.request(captureURL.ID, "hello")
	tok := hook.Token{UserID: u.ID, Name: "t"}
	if err := s.store.CreateToken(s.t.Context(), &tok, [32]byte{byte(u.ID), byte(u.ID >> 8), 1}); err != nil {
		s.t.Fatal(err)
	}
	sub := storetest.Subscription(s.t, s.store, captureURL.ID)
	made, err := s.store.Resend(s.t.Context(), hook.System, u.Email, hook.Resend{RequestID: request.ID, SubscriptionID: sub.ID})
	if err != nil {
		s.t.Fatal(err)
	}
	replay := hook.Replay{SubscriptionID: sub.ID}
	if err := s.store.CreateReplay(s.t.Context(), hook.System, &replay); err != nil {
		s.t.Fatal(err)
	}
	return map[string]string{
		"/subscriptions/":        sub.ID.Text(hook.SubscriptionPrefix),
		"/api/v1/subscriptions/": sub.ID.Text(hook.SubscriptionPrefix),
		"/deliveries/":           made[0].ID.Text(hook.DeliveryPrefix),
		"/api/v1/deliveries/":    made[0].ID.Text(hook.DeliveryPrefix),
		"/replays/":              replay.ID.Text(hook.ReplayPrefix),
		"/api/v1/replays/":       replay.ID.Text(hook.ReplayPrefix),
		"/urls/":                 captureURL.ID.Text(hook.CaptureURLPrefix),
		"/api/v1/capture-urls/":  captureURL.ID.Text(hook.CaptureURLPrefix),
		"/api/v1/requests/":      request.ID.Text(hook.RequestPrefix),
		"/settings/tokens/":      tok.ID.Text(hook.TokenPrefix),
		"/settings/users/":       u.ID.Text(hook.UserPrefix),
	}
}

func mustID(t *testing.T, prefix, text string) hook.ID {
	t.Helper()
	id, ok := hook.ParseID(prefix, text)
	if !ok {
		t.Fatalf("no id: %q", text)
	}
	return id
}

// TestAddressesAreWhole: every object that a route names is one that the tests below have.
func TestAddressesAreWhole(t *testing.T) {
	s := newSite(t)
	ids := s.objects(s.user(true))
	for _, rt := range s.web.routes {
		if _, path := address(rt.pattern, ids); strings.Contains(path, "{") {
			t.Errorf("%s: no id for it", rt.pattern)
		}
	}
}

func TestRoutesWithoutLogin(t *testing.T) {
	s := newSite(t)
	ids := s.objects(s.user(true))
	public := 0
	for _, rt := range s.web.routes {
		if slices.Contains(publicRoutes, rt.pattern) {
			public++
			continue
		}
		method, path := address(rt.pattern, ids)
		a := s.browser().ask(method, path, "", contentType(rt)...)
		switch {
		case strings.HasPrefix(path, "/api/"):
			wantStatus(t, rt.pattern, a, http.StatusUnauthorized)
		case a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/login"):
		default:
			t.Errorf("%s without login: status %d to %q, want 303 to /login", rt.pattern, a.status, a.header.Get("Location"))
		}
	}
	for _, path := range []string{"/live", "/urls/" + ids["/urls/"] + "/live"} {
		a := s.browser().get(path, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", s.url)
		wantStatus(t, "socket "+path, a, http.StatusUnauthorized)
	}
	if public != len(publicRoutes) {
		t.Errorf("%d of the %d public routes exist", public, len(publicRoutes))
	}
}

// What belongs to somebody else is not there, and is still there afterwards.
func TestRoutesOfOtherUsers(t *testing.T) {
	s := newSite(t)
	owner, stranger := s.user(false), s.user(false)
	ids := s.objects(owner)
	b, strangerToken := s.loggedIn(stranger), s.token(stranger)
	tried := 0
	for _, rt := range s.web.routes {
		method, path := address(rt.pattern, ids)
		if !strings.Contains(rt.pattern, "{id}") {
			continue
		}
		tried++
		var a answer
		switch {
		case rt.access == tokens && rt.body == jsonBody:
			a = s.api(strangerToken, method, path, "{}")
		case rt.access == tokens && rt.pattern == "DELETE /api/v1/capture-urls/{id}/requests":
			a = s.api(strangerToken, method, path+"?all=true", "")
		case rt.access == tokens:
			a = s.api(strangerToken, method, path, "")
		default:
			a = b.ask(method, path, "", append(contentType(rt), "Origin", s.url)...)
		}
		if rt.access == admins {
			wantStatus(t, rt.pattern, a, http.StatusForbidden)
			continue
		}
		wantStatus(t, rt.pattern, a, http.StatusNotFound)
	}
	if tried < 10 {
		t.Errorf("only %d routes have an id", tried)
	}
	if d, err := s.store.Delivery(t.Context(), hook.System, mustID(t, hook.DeliveryPrefix, ids["/deliveries/"])); err != nil || d.State != hook.Pending {
		t.Errorf("the delivery after a stranger tried everything: %s, %v", d.State, err)
	}
	if r, err := s.store.Replay(t.Context(), hook.System, mustID(t, hook.ReplayPrefix, ids["/replays/"])); err != nil || r.State != hook.ReplayRunning {
		t.Errorf("the replay after a stranger tried everything: %s, %v", r.State, err)
	}
	id, _ := hook.ParseID(hook.CaptureURLPrefix, ids["/urls/"])
	u, err := s.store.CaptureURL(t.Context(), hook.Actor{UserID: owner.ID}, id)
	if err != nil || u.Kept != 1 || u.Paused {
		t.Errorf("after a stranger tried everything: %+v, %v", u, err)
	}
	if left, err := s.store.Tokens(t.Context(), hook.Actor{UserID: owner.ID}); err != nil || len(left) != 1 {
		t.Errorf("tokens left: %v, %v", left, err)
	}
}

func TestRoutesRefuseOtherOrigins(t *testing.T) {
	s := newSite(t)
	admin := s.user(true)
	ids := s.objects(admin)
	b, adminToken := s.loggedIn(admin), s.token(admin)
	tried := 0
	for _, rt := range s.web.routes {
		method, path := address(rt.pattern, ids)
		if method == "GET" {
			continue
		}
		tried++
		for _, from := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "cross-site", "Origin", s.url},
			{"Origin", "null"},
			{"Origin", "https://evil.example"},
			{"Origin", strings.Replace(s.url, "http:", "https:", 1)},
			{"Origin", s.url + "0"},
			{"Origin", s.url + ".evil.example"},
			{"Origin", s.url, "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "same-origin", "Origin", "https://evil.example"},
		} {
			headers := append(contentType(rt), "Authorization", "Bearer "+adminToken)
			a := b.ask(method, path, "", append(headers, from...)...)
			wantStatus(t, fmt.Sprint(rt.pattern, from), a, http.StatusForbidden)
		}
	}
	if tried < 10 {
		t.Errorf("only %d routes change something", tried)
	}
	if len(b.cookie(sessionCookie)) == 0 {
		t.Error("a refused logout took the cookie")
	}
}

// contents returns every row of the database, one a line.
func (s *site) contents(db *sql.DB) string {
	s.t.Helper()
	var all strings.Builder
	for _, table := range s.column(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
		for _, line := range s.column(db, "SELECT * FROM "+table) {
			all.WriteString(table + ": " + line + "\n")
		}
	}
	return all.String()
}

// column returns the rows of a query as text.
func (s *site) column(db *sql.DB, query string) (lines []string) {
	s.t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		dest := make([]any, len(names))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			s.t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintln(values...)))
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return lines
}

// A GET changes nothing, because no check of the origin stands before it.
func TestGetChangesNothing(t *testing.T) {
	s := newSite(t)
	admin := s.user(true)
	ids := s.objects(admin)
	b, adminToken := s.loggedIn(admin), s.token(admin)
	s.api(adminToken, "GET", "/api/v1/capture-urls", "") // notes that the token was used, once an hour
	b.get("/readyz")                                     // tries whether the disk takes a commit, every few seconds
	db := s.database()
	before := s.contents(db)
	if !strings.Contains(before, admin.Email) || !strings.Contains(before, "sessions: ") {
		t.Fatalf("contents: %s", before)
	}
	for _, rt := range s.web.routes {
		method, path := address(rt.pattern, ids)
		if method != "GET" {
			continue
		}
		for _, method := range []string{"GET", "HEAD"} {
			a := b.ask(method, path, "", "Authorization", "Bearer "+adminToken)
			if a.status >= 500 {
				t.Errorf("%s: status %d", rt.pattern, a.status)
			}
			if diff := cmp.Diff(before, s.contents(db)); diff != "" {
				t.Fatalf("%s %s changed the database:\n%s", method, path, diff)
			}
		}
	}
}

func TestMethods(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"PUT", "/login", 405, "GET, HEAD, POST"},
		{"DELETE", "/", 405, "GET, HEAD"},
		{"GET", "/logout", 405, "POST"},
		{"BREW", "/api/v1/capture-urls", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/api/v1/capture-urls", 405, "GET, HEAD, POST"},
		{"TRACE", "/login", 405, "GET, HEAD, POST"},
		{"PUT", "/nothing", 404, ""},
		{"GET", "/api/nothing", 404, ""},
	} {
		a := b.ask(test.method, test.path, "")
		wantStatus(t, test.method+" "+test.path, a, test.status)
		if got := a.header.Get("Allow"); got != test.allow {
			t.Errorf("%s %s: Allow %q, want %q", test.method, test.path, got, test.allow)
		}
		wantType := "text/html; charset=utf-8"
		if strings.HasPrefix(test.path, "/api/") {
			wantType = "application/problem+json"
		}
		if got := a.header.Get("Content-Type"); got != wantType {
			t.Errorf("%s %s: Content-Type %q, want %q", test.method, test.path, got, wantType)
		}
	}
}

// TestFormAddressesLeadToTheirPages: the address of a form that was refused stays in the browser. Opened again, it leads to the page that
// the form belongs to.
func TestFormAddressesLeadToTheirPages(t *testing.T) {
	t.Parallel()
	d := newDash(t)
	request := requestPath(d.own.ID, d.request(d.own.ID, "a").ID)
	for path, want := range map[string]string{
		request + "/resend": request, urlPath(d.own.ID) + "/resend": urlPath(d.own.ID), "/settings/password": "/settings",
	} {
		a := d.get(path)
		wantStatus(t, path, a, http.StatusSeeOther)
		if got := a.header.Get("Location"); got != want || a.header.Get("Allow") != "" {
			t.Errorf("%s leads to %q, want %q; Allow is %q", path, got, want, a.header.Get("Allow"))
		}
	}
}

// raw sends a request line as it stands and returns the response.
func (s *site) raw(line string, headers ...string) answer {
	s.t.Helper()
	host := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		headers = append(headers, "Host: "+host)
	}
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n", line, strings.Join(headers, "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&body); err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body.String()}
}

// Captures are recognised in the raw target, and get it as it was sent; nothing else ever gets there, and no unclean path
// of the dashboard is redirected anywhere.
func TestDispatch(t *testing.T) {
	plain := newSite(t)
	sub := newSite(t, publicURL("http://localhost/team"))
	host := strings.TrimPrefix(plain.url, "http://")
	for _, test := range []struct {
		site   *site
		target string
		want   string // the target that the capture handler gets, or a status
	}{
		{plain, "/in/s", "/in/s"},
		{plain, "/in/s//x/../y/%2e%2E/%2F?a=%zz&b;c", "/in/s//x/../y/%2e%2E/%2F?a=%zz&b;c"},
		{plain, "/in/../login", "/in/../login"},
		{plain, "/in//", "/in//"},
		{plain, "http://other.example/in/s?q", "/in/s?q"},
		{plain, "HTTP://" + host + "/in/s/http://x/", "/in/s/http://x/"},
		{plain, "/in", "404"},
		{plain, "/IN/s", "404"},
		{plain, "//in/s", "404"},
		{plain, "/./in/s", "404"},
		{plain, "/%69n/s", "404"},
		{plain, "/x/../in/s", "404"},
		{plain, "//evil.example/in/s", "404"},
		{plain, "//evil.example", "404"},
		{plain, "/login/", "404"},
		{plain, "/%6cogin", "404"},
		{plain, "/login/../login", "404"},
		{plain, "//login", "404"},
		{plain, "/static", "404"},
		{plain, "/static/", "404"},
		{plain, "/static/../static/app.css", "404"},
		{plain, "http://" + host + "/setup/..", "404"},
		{plain, "http://" + host, "303"},
		{plain, "http://" + host + "?x", "303"},
		{plain, "http://evil.example/login", "421"},
		{sub, "/team/in/s/x", "/in/s/x"},
		{sub, "/in/s/x", "/in/s/x"},
		{sub, "http://localhost/team/in/s", "/in/s"},
		{sub, "/team/team/in/s", "404"},
		{sub, "/teamin/s", "404"},
		{sub, "/team/healthz", "200"},
		{sub, "/healthz", "200"},
		{sub, "/team", "303"},
		{sub, "/team?x=1", "303"},
		{sub, "/team/", "303"},
		{sub, "/", "303"},
		{sub, "/team//", "404"},
	} {
		a := test.site.raw("GET "+test.target, "Host: localhost")
		switch got := strings.TrimPrefix(a.body, "captured "); {
		case strings.HasPrefix(test.want, "/") && got != test.want:
			t.Errorf("GET %s: captured %q (status %d), want %q", test.target, got, a.status, test.want)
		case strings.HasPrefix(test.want, "/"):
		case fmt.Sprint(a.status) != test.want:
			t.Errorf("GET %s: status %d to %q, want %s", test.target, a.status, a.header.Get("Location"), test.want)
		}
	}
	wantStatus(t, "CONNECT", plain.raw("CONNECT a.example:443"), 405)
	wantStatus(t, "CONNECT to a capture URL", plain.raw("CONNECT /in/s"), 405)
	wantStatus(t, "OPTIONS *", plain.raw("OPTIONS *"), 404)
	if a := plain.raw("BREW /in/s"); a.body != "captured /in/s" {
		t.Errorf("an unknown method is not captured: %d %q", a.status, a.body)
	}
}

func TestCaptureHost(t *testing.T) {
	s := newSite(t, publicURL("http://app.example"), func(o *Options) {
		o.Site.Capture, _ = o.Site.Public.Parse("http://hooks.example")
	})
	for _, test := range []struct {
		host, path string
		status     int
	}{
		{"hooks.example", "/in/s", 200},
		{"hooks.example:8080", "/in/s", 200},
		{"hooks.example", "/healthz", 200},
		{"hooks.example", "/readyz", 200},
		{"hooks.example", "/", 404},
		{"hooks.example", "/login", 404},
		{"hooks.example", "/static/app.css", 404},
		{"hooks.example", "/api/v1/capture-urls", 404},
		{"app.example", "/in/s", 404},
		{"app.example", "/setup", 403},
		{"10.0.0.1", "/in/s", 200}, // not the dashboard's: a proxy may not pass the name on
		{"10.0.0.1", "/login", 421},
	} {
		a := s.browser().get(test.path, "Host", test.host)
		wantStatus(t, test.host+test.path, a, test.status)
	}
}
