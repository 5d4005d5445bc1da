package templates

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

var (
	now     = time.Date(2026, 11, 23, 9, 52, 20, 0, time.UTC)
	someIDs hook.IDs
	urlID   = someIDs.Next(now)
)

// sub is a page of a dashboard that is mounted at /sub.
func sub() Page {
	return Page{
		Title: "Title", Base: "/sub", CaptureBase: "https://hooks.example.com/sub", Now: now, Email: "ann@example.com",
		Admin: true, Flash: "Saved.", Crumbs: []Crumb{{"Capture URLs", "/"}, {"orders", ""}}, Live: "/live",
	}
}

func sampleURL() URLItem {
	u := URLItem{Address: "https://hooks.example.com/sub/in/orders-7kq2mvd9", Owner: "bob@example.com", Unread: true}
	u.ID, u.Name, u.Slug, u.CORS, u.Paused = urlID, "orders", "orders-7kq2mvd9", true, true
	u.Response = hook.Response{
		Status: 201, Delay: 250 * time.Millisecond, Body: []byte("thanks"), Headers: []hook.Header{{Name: "X-Reply", Value: "yes"}},
	}
	u.Kept, u.Received, u.Bytes, u.LastRequestAt = 1204, 5000, 1<<20, now.Add(-time.Minute)
	return u
}

func sampleRequest() *hook.Request {
	const body = `{"type":"invoice.paid","amount":12900,"ok":true}`
	return &hook.Request{
		Summary: hook.Summary{
			ID: someIDs.Next(now), CaptureURLID: urlID, ReceivedAt: now.Add(-14 * time.Second), Method: "POST", Scheme: "https",
			Host: "hooks.example.com", Path: "/in/orders-7kq2mvd9/stripe", Query: "a=1&b=%C3%A9", Proto: "HTTP/1.1",
			RemoteAddr: "10.0.0.2:49152", ClientAddr: "54.187.174.169", TLS: "TLS 1.3", ContentType: "application/json; charset=utf-8",
			BodySize: int64(len(body)), ResponseStatus: 201,
		},
		Headers: []hook.Header{
			{Name: "Host", Value: "hooks.example.com"},
			{Name: "Content-Type", Value: "application/json; charset=utf-8"},
			{Name: "Stripe-Signature", Value: "t=1,v1=ab"},
			{Name: "X-Forwarded-For", Value: "54.187.174.169"},
		},
		Trailers: []hook.Header{{Name: "X-Checksum", Value: "77"}},
		Body:     []byte(body),
	}
}

func sampleInspector(detail *Detail) Inspector {
	in := Inspector{URL: sampleURL(), Keep: hook.Keep{Requests: 10_000}, Unread: true, Detail: detail}
	for range 3 {
		in.List.Rows = append(in.List.Rows, Row{Summary: sampleRequest().Summary})
	}
	slices.Reverse(in.List.Rows)
	in.List.Rows[0].Unread, in.List.Rows[1].Selected = true, detail != nil
	in.List.Newer, in.List.Older = true, true
	return in
}

func sampleDetail(tab Tab, r *hook.Request) *Detail {
	return &Detail{Request: r, URL: sampleURL().CaptureURL, Tab: tab, Newer: r.ID + 1, Older: r.ID - 1}
}

// pages are all pages, each in its fullest form.
func pages() map[string]templ.Component {
	p, u := sub(), sampleURL()
	mistakes := func(locations ...string) (list FieldErrors) {
		for _, l := range locations {
			list = append(list, hook.FieldError{Location: l, Message: "is wrong"})
		}
		return list
	}
	visitor := Page{Title: "Title", Base: "/sub", Now: now}
	troubled := p
	troubled.Degraded, troubled.AuthNone = "The disk is full.", true
	user := hook.User{ID: 7, Email: "bob@example.com", CreatedAt: now}
	all := map[string]templ.Component{
		"login":        Login(visitor, LoginForm{Email: "ann@example.com", Next: "/urls/x", Problem: "Wrong."}),
		"setup":        Setup(visitor, SetupForm{Token: "t", Errors: mistakes("email", "password")}),
		"setup closed": SetupClosed(visitor),
		"invite":       Invite(visitor, InviteForm{Token: "t", Email: "bob@example.com", Errors: mistakes("password")}),
		"settings": Settings(p, AccountPage{
			Tokens:   []hook.Token{{ID: 1, Name: "deploy", Hint: "abcd", LastUsedAt: now}, {ID: 2, FromEnv: true, Name: "env"}},
			NewToken: "hk_secret", TokenErrors: mistakes("name"), PasswordError: mistakes("current", "password"),
			Admin: &AdminPage{
				Users:      []UserItem{{User: user, CaptureURLs: 2}, {User: hook.User{ID: 8, Email: "ann@example.com", Admin: true}, Self: true}},
				UserErrors: mistakes("email"), InviteFor: "bob@example.com", InviteLink: "https://x/invite?token=1",
			},
			Reserved: []ReservedSlug{{"orders-7kq2mvd9", "bob@example.com"}, {"orders-eu", "bob@example.com"}}, MoreReserved: "/settings?reserved=x",
		}),
		"settings of a user":       Settings(visitor, AccountPage{Reserved: []ReservedSlug{{"orders-7kq2mvd9", "bob@example.com"}}}),
		"delete user":              DeleteUser(p, DeleteUserPage{User: user, CaptureURLs: 2, Others: []hook.User{{ID: 8, Email: "ann@example.com"}}, Problem: "Choose."}),
		"capture URLs":             CaptureURLs(p, []URLItem{u, {CaptureURLStats: hook.CaptureURLStats{CaptureURL: hook.CaptureURL{ID: 9, Name: "new"}}}}, "/?before=url_x"),
		"no capture URLs":          CaptureURLs(p, nil, ""),
		"new capture URL":          NewCaptureURL(p, NewURLForm{Name: "orders", Chosen: true, Slug: "orders-1", Errors: mistakes("name", "slug", "other")}),
		"settings of a URL":        URLSettings(p, u, URLForm{Name: "orders", BodyIsBinary: true, Headers: "A: b", Errors: mistakes("name", "response.headers[1].name", "response.headers", "response.body", "keep.days", "response.status")}),
		"settings of own URL":      URLSettings(p, URLItem{}, URLForm{Body: "\nbody"}),
		"delete capture URL":       DeleteCaptureURL(p, u),
		"clear":                    ConfirmClear(p, u),
		"inspector":                InspectorPage(p, sampleInspector(nil)),
		"inspector, empty":         InspectorPage(p, Inspector{URL: sampleURL()}),
		"inspector, request gone":  InspectorPage(p, Inspector{URL: sampleURL(), Gone: true}),
		"not found":                ErrorPage(visitor, Problem{Status: 404, Title: "Not Found", Detail: "There is nothing."}),
		"internal error":           ErrorPage(troubled, Problem{Status: 500, Title: "Internal Server Error", Detail: "Internal error.", RequestID: "ABC", Retry: time.Minute}),
		"server":                   Server(p, ServerView{Version: "v1", Started: now, Degraded: "The disk is full.", Warning: "The log is large."}),
		"misdirected":              Misdirected(visitor, "evil.example"),
		"misdirected, no host":     Misdirected(visitor, ""),
		"API":                      APIDocs(p, "https://hooks.example", sampleReference()),
		"inspector, last request":  InspectorPage(p, sampleInspector(&Detail{Request: &hook.Request{Summary: hook.Summary{ID: 5, Path: "/in/x"}}, URL: u.CaptureURL})),
		"inspector, cut request":   InspectorPage(p, sampleInspector(sampleDetail(TabRequest, cutRequest()))),
		"inspector, binary body":   InspectorPage(p, sampleInspector(sampleDetail(TabRequest, withBody("application/octet-stream", strings.Repeat("\x00\x01", 999))))),
		"inspector, form body":     InspectorPage(p, sampleInspector(sampleDetail(TabRequest, withBody("application/x-www-form-urlencoded", "a=1&b=%zz")))),
		"inspector, parts":         InspectorPage(p, sampleInspector(sampleDetail(TabRequest, withBody("multipart/form-data; boundary=B", sampleParts)))),
		"inspector, broken parts":  InspectorPage(p, sampleInspector(sampleDetail(TabRequest, withBody("multipart/form-data; boundary=C", sampleParts)))),
		"inspector, broken JSON":   InspectorPage(p, sampleInspector(sampleDetail(TabRequest, withBody("application/json", `{"a":`)))),
		"inspector, large text":    InspectorPage(p, sampleInspector(sampleDetail(TabRaw, withBody("text/plain", strings.Repeat("line\n", 9_000))))),
		"inspector, large dump":    InspectorPage(p, sampleInspector(sampleDetail(TabHex, withBody("", strings.Repeat("\x00", 70<<10))))),
		"inspector, large command": InspectorPage(p, sampleInspector(sampleDetail(TabCurl, withBody("text/plain", strings.Repeat("x", 70<<10))))),
	}
	for _, tab := range []Tab{TabRequest, TabHeaders, TabRaw, TabHex, TabCurl, TabAnswer} {
		all["inspector, tab "+string(tab)] = InspectorPage(p, sampleInspector(sampleDetail(tab, sampleRequest())))
		all["inspector, no body, tab "+string(tab)] = InspectorPage(p, sampleInspector(sampleDetail(tab, withBody("", ""))))
	}
	return all
}

const sampleParts = "--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nHello\r\n--B\r\nContent-Disposition: form-data; " +
	"name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\x00\r\n--B\r\nX\r\n\r\nbad\r\n--B--\r\n"

func withBody(contentType, body string) *hook.Request {
	r := sampleRequest()
	r.ContentType, r.Body, r.BodySize, r.Query = contentType, []byte(body), int64(len(body)), ""
	return r
}

func cutRequest() *hook.Request {
	r := withBody("application/json", "")
	r.Truncated, r.BodySize, r.CookieRemoved, r.ResponseStatus = true, 12_000_000, true, 413
	return r
}

func sampleReference() APIReference {
	create := APIOperation{
		ID: "create", Method: "POST", Path: "/api/v1/capture-urls", Summary: "Create", Description: "More.",
		Parameters: []APIField{{Name: "limit", In: "query", Type: "integer", Required: true, Description: "How many.", Limits: []string{"1 to 9"}, Default: "5"}},
		Fields:     []APIField{{Name: "filter", Type: "object or null", Of: "Filter"}, {Name: "op", Type: "string", Values: []string{"is", "is_not"}}},
		Request:    "{}", Response: "{}",
		Statuses: []APIStatus{{Status: 201, Description: "created", Of: "Capture URL", List: true}, {Status: 422, Description: "wrong"}}, Curl: "curl -d '{}' \\\n  ", CurlPath: "/api/v1/capture-urls",
	}
	return APIReference{
		Groups: []APIGroup{
			{Name: "Capture URLs", Description: "Addresses.", Operations: []APIOperation{create, {ID: "list", Method: "GET", Path: "/api/v1/capture-urls", Summary: "List"}}},
			{Name: "Requests", Operations: []APIOperation{{ID: "get", Method: "GET", Path: "/api/v1/requests/{id}", Summary: "Get"}}},
		},
		Objects: []APIObject{{Name: "Capture URL", Description: "It.", Fields: []APIField{{Name: "id", Type: "string"}}}, {Name: "Filter"}},
	}
}

func render(t testing.TB, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(t testing.TB, c templ.Component) htmltest.Document {
	t.Helper()
	return htmltest.Parse(t, render(t, c))
}

// TestPages checks on every page what holds for all of them.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, page := range pages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := parse(t, page)
			d.One("main#main")
			if heading := d.One("h1").Text(); heading == "" {
				t.Error("the main heading is empty")
			}
			if got := d.One("title").Text(); got != "Title · Hookkeeper" {
				t.Errorf("title is %q", got)
			}
			checkPolicy(t, d)
			checkNames(t, d)
			checkAddresses(t, d)
		})
	}
}

// checkPolicy finds what the Content-Security-Policy would refuse.
// TestServerWarns: what may come to refused requests is on the page about the server.
func TestServerWarns(t *testing.T) {
	for warning, want := range map[string]int{"The log is large.": 1, "": 0} {
		notices := parse(t, Server(sub(), ServerView{Started: now, Warning: warning})).All("main [role=alert]")
		if len(notices) != want || want == 1 && !strings.Contains(notices[0].Text(), warning) {
			t.Errorf("%q: %d notices", warning, len(notices))
		}
	}
}

func checkPolicy(t *testing.T, d htmltest.Document) {
	t.Helper()
	for _, e := range d.Elements() {
		switch {
		case e.Name() == "style", e.Name() == "script" && !e.Has("src"), e.Name() == "iframe", e.Name() == "base":
			t.Errorf("there is a <%s>", e.Name())
		}
		for _, attr := range e.Attributes() {
			if attr == "style" || strings.HasPrefix(attr, "on") {
				t.Errorf("<%s> has the attribute %s", e.Name(), attr)
			}
		}
	}
}

// checkNames finds ids that stand twice or nowhere, and controls without a name.
func checkNames(t *testing.T, d htmltest.Document) {
	t.Helper()
	ids := map[string]bool{}
	for _, e := range d.All("[id]") {
		if id := e.Attr("id"); ids[id] {
			t.Errorf("two elements have the id %q", id)
		} else {
			ids[id] = true
		}
	}
	for _, attr := range []string{"for", "aria-labelledby", "aria-describedby", "popovertarget"} {
		for _, e := range d.All("[" + attr + "]") {
			for _, id := range strings.Fields(e.Attr(attr)) {
				if !ids[id] {
					t.Errorf("%s names %q, which is not there", attr, id)
				}
			}
		}
	}
	labelled := map[string]bool{}
	for _, e := range d.All("label[for]") {
		labelled[e.Attr("for")] = true
	}
	for _, e := range d.Elements() {
		switch e.Name() {
		case "input", "textarea", "select":
			if e.Attr("type") != "hidden" && !labelled[e.Attr("id")] && e.Attr("aria-label") == "" {
				t.Errorf("the field %q has no label", e.Attr("name"))
			}
		case "a", "button":
			if e.Text() == "" && e.Attr("aria-label") == "" && e.Attr("id") != "pill" {
				t.Errorf("a <%s> to %q has no name", e.Name(), e.Attr("href"))
			}
		}
	}
}

// checkAddresses finds links that leave the path that the dashboard is mounted at.
func checkAddresses(t *testing.T, d htmltest.Document) {
	t.Helper()
	for _, attr := range []string{"href", "src", "action", "data-socket", "data-path", "data-copy-from"} {
		for _, e := range d.All("[" + attr + "]") {
			if address := e.Attr(attr); !strings.HasPrefix(address, "/sub/") && !strings.HasPrefix(address, "#") {
				t.Errorf("%s of <%s> is %q, not below /sub/", attr, e.Name(), address)
			}
		}
	}
}
