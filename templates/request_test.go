package templates

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

func TestRequestRow(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	d := parse(t, RequestRow(sub(), Row{Summary: r.Summary, Unread: true}))
	row := d.One("li.request-row.unread")
	if got, want := row.Attr("data-id"), r.ID.Text(hook.RequestPrefix); got != want {
		t.Errorf("data-id is %q, want %q", got, want)
	}
	if got, want := d.One("li a").Attr("href"), "/sub"+requestPath(urlID, r.ID); got != want {
		t.Errorf("the row leads to %q, want %q", got, want)
	}
	if d.One("li a").Has("aria-current") {
		t.Error("the row is marked as open")
	}
	for selector, want := range map[string]string{
		".method.post": "POST", ".target": "/stripe?a=1&b=%C3%A9", "time": "14 s", ".type": "application/json",
		".from": "54.187.174.169", ".unread-word": "unread",
	} {
		if got := d.One(selector).Text(); got != want {
			t.Errorf("%s is %q, want %q", selector, got, want)
		}
	}
	if got := d.One("time").Attr("title"); got != "Mon 23 Nov 2026, 09:52:06.000000 UTC" {
		t.Errorf("the exact time is %q", got)
	}
	if got := d.One(".more").Text(); !strings.Contains(got, "48 bytes") {
		t.Errorf("the size is not in %q", got)
	}
}

// TestNoBodyIsCalledSo: the head of a request says of its body what the list says.
func TestNoBodyIsCalledSo(t *testing.T) {
	t.Parallel()
	text := parse(t, InspectorPage(sub(), sampleInspector(sampleDetail(TabRequest, withBody("", ""))))).One("#detail .facts-line").Text()
	if !strings.Contains(text, "no body") || strings.Contains(text, "0 bytes") {
		t.Error("a request without a body is said to have 0 bytes, or not to have none")
	}
}

// TestPausedAnswers: a paused capture URL is not said to answer as it does otherwise.
func TestPausedAnswers(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{true, false} {
		in := sampleInspector(nil)
		in.URL.Paused = paused
		facts := parse(t, InspectorPage(sub(), in)).One(".facts").Text()
		if strings.Contains(facts, "Answer ") == paused {
			t.Errorf("paused is %v: %s", paused, facts)
		}
	}
}

func TestRequestRowOpenAndRead(t *testing.T) {
	t.Parallel()
	summary := sampleRequest().Summary
	summary.ContentType, summary.BodySize, summary.ResponseStatus = "", 0, 503
	d := parse(t, RequestRow(sub(), Row{Summary: summary, Selected: true}))
	if d.One("li a").Attr("aria-current") != "true" {
		t.Error("the open row is not marked")
	}
	if len(d.All(".unread")) != 0 || len(d.All(".dot")) != 0 || len(d.All(".type")) != 0 {
		t.Error("a read row without a type has a mark or a type")
	}
	if got := d.One(".bad").Text(); got != "answered 503" {
		t.Errorf("the answer is %q", got)
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	d := parse(t, RequestDetail(sub(), *sampleDetail(TabRequest, r)))
	if got := d.One("article").Attr("data-id"); got != r.ID.Text(hook.RequestPrefix) {
		t.Errorf("data-id is %q", got)
	}
	if got := d.One("h2#request-heading").Text(); got != "/in/orders-7kq2mvd9/stripe?a=1&b=%C3%A9" {
		t.Errorf("the target is %q", got)
	}
	facts := d.Texts(".facts-line li")
	want := []string{
		"14 seconds ago", "from 54.187.174.169 via 10.0.0.2:49152", "HTTP/1.1 · TLS 1.3", "48 bytes",
		r.ID.Text(hook.RequestPrefix), "answered 201",
	}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("facts: %s", diff)
	}
	tabs := d.Texts(".tabs-line a")
	if diff := cmp.Diff([]string{"Request", "Headers 5", "Raw", "Hex", "cURL", "Answer 201", "Deliveries"}, tabs); diff != "" {
		t.Errorf("tabs: %s", diff)
	}
	if got := d.One(".tabs-line [aria-current=page]").Text(); got != "Request" {
		t.Errorf("the open tab is %q", got)
	}
	body := d.One("pre.body").RawText()
	if !strings.Contains(body, "{\n  \"type\": \"invoice.paid\",\n  \"amount\": 12900,\n  \"ok\": true\n}\n") {
		t.Errorf("the body is not laid out: %q", body)
	}
	query := d.Texts("table[aria-label] td")
	if !slices.Contains(query, "é") {
		t.Errorf("the query is not decoded: %q", query)
	}
	if headers := d.Texts("tbody th"); slices.Contains(headers, "X-Forwarded-For") || !slices.Contains(headers, "Stripe-Signature") {
		t.Errorf("the headers beside the body are %q", headers)
	}
}

func TestDetailTabs(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	for tab, want := range map[Tab]struct{ selector, text string }{
		TabHeaders: {"[aria-labelledby=trailers-heading] td", "77"},
		TabRaw:     {"pre.body", string(r.Body)},
		TabHex:     {"pre.hex", "00000000 7b 22 74 79 70 65 22 3a 22 69 6e 76 6f 69 63 65 {\"type\":\"invoice"},
		TabCurl:    {"pre[data-text]", "'https://hooks.example.com/sub/in/orders-7kq2mvd9/stripe?a=1&b=%C3%A9'"},
		TabAnswer:  {"[aria-labelledby=answer-heading] pre", "thanks"},
	} {
		d := parse(t, RequestDetail(sub(), *sampleDetail(tab, r)))
		if got := d.One(want.selector).Text(); !strings.Contains(got, want.text) {
			t.Errorf("%s: %q is not in %q", tab, want.text, got)
		}
		if got := d.One(".tabs-line [aria-current]").Attr("data-tab"); got != string(tab) {
			t.Errorf("%s: the open tab is %q", tab, got)
		}
	}
}

// TestTextIsExact shows a text with its white space, at both ends too.
func TestTextIsExact(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\n a\n\tb \n", "x", "  x  "} {
		d := parse(t, RequestDetail(sub(), *sampleDetail(TabRaw, withBody("text/plain", text))))
		if got := d.One("pre.body").RawText(); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// TestNeighbours keeps the tab on the way through the list, and does not lead beyond its ends.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	detail := sampleDetail(TabHex, sampleRequest())
	detail.Older = 0
	d := parse(t, RequestDetail(sub(), *detail))
	newer := d.One(".request-head a[data-open]")
	if got, want := newer.Attr("href"), "/sub"+requestPath(urlID, detail.Newer)+"?tab=hex"; got != want {
		t.Errorf("the newer request is at %q, want %q", got, want)
	}
	if got := d.One(".request-head [aria-disabled=true]").Attr("aria-label"); got != "Older request: none" {
		t.Errorf("the older one is %q", got)
	}
}

func TestParseTab(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Tab{"": TabRequest, "hex": TabHex, "nonsense": TabRequest, "answer": TabAnswer} {
		if got := ParseTab(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	d := parse(t, RequestDetail(sub(), *sampleDetail(TabRequest, cutRequest())))
	notes := strings.Join(d.Texts(".notes .notice"), "\n")
	for _, want := range []string{"11.4 MiB were announced", "Our cookie was removed"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in the notes: %s", want, notes)
		}
	}
	if got := d.Texts(".facts-line li"); !slices.Contains(got, "body not kept") {
		t.Errorf("facts: %q", got)
	}
}

// hostile is what strangers send to be shown: part D of the corpus of bad inputs, as far as it fits into a string.
var hostile = []string{
	`<script>__xss=1</script>`,
	`"><img src=x onerror=__xss=1>`,
	`' onmouseover='__xss=1`,
	`</textarea></pre></title></style></script></template><script>__xss=1</script>`,
	"javascript:__xss=1", "JaVa\tScript:__xss=1", `data:text/html,<script>__xss=1</script>`,
	`<svg onload=__xss=1>`, `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="__xss=1"/>`,
	"\xEF\xBB\xBF<html>", "+ADw-script+AD4-", "\xFF\xFE<\x00s\x00v\x00g\x00>\x00",
	"%PDF-1.7 /JS (app.alert(1))", "GIF89a<script>__xss=1</script>", "PK\x03\x04",
	`{{7*7}} ${7*7} <%=1%>`, "a\u2028b\u2029c",
	`<base href=//evil>`, `<meta http-equiv=refresh content=0>`, `<form action=//evil><button>x`,
	`<style>@import "//evil"</style>`, `<link rel=stylesheet href=//evil>`, "\x1b[2J\rover", "\u202eevil\u2066", "\xE9\xFF",
	`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>`,
	`{"__proto__":{"a":1},"":null}`, strings.Repeat("[", 999), "\x1f\x8b\x08\x00\x00\x00\x00\x00",
	strings.Repeat("x", 10<<10), strings.Repeat("\n", 1_000),
}

var bodyTypes = []string{
	"", "application/json", "text/html", "text/xml", "image/svg+xml", "application/pdf", "application/x-www-form-urlencoded",
	"multipart/form-data; boundary=B", "application/octet-stream", `text/html;"><script>__xss=1</script>`,
}

// hostileRequest has the text wherever a stranger can put one.
func hostileRequest(text, contentType string) *hook.Request {
	r := sampleRequest()
	r.Method, r.Path, r.Query, r.Host, r.Proto = text, "/in/orders-7kq2mvd9/"+text, "q="+text+"&"+text, text, text
	r.ContentType, r.ClientAddr, r.RemoteAddr, r.TLS = contentType, text, text, text
	r.Headers = []hook.Header{{Name: text, Value: text}, {Name: "Content-Type", Value: contentType}}
	r.Trailers = []hook.Header{{Name: text, Value: text}}
	r.Body = []byte(text)
	if strings.HasPrefix(contentType, "multipart/") {
		r.Body = []byte("--B\r\nContent-Disposition: form-data; name=\"" + text + "\"; filename=\"" + text +
			"\"\r\nContent-Type: " + text + "\r\n\r\n" + text + "\r\n--B--\r\n")
	}
	r.BodySize = int64(len(r.Body))
	return r
}

// TestHostileContentIsText renders requests made of attacks: nothing of them becomes an element, an attribute or an
// address.
func TestHostileContentIsText(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		for _, contentType := range bodyTypes {
			r := hostileRequest(text, contentType)
			for _, tab := range []Tab{TabRequest, TabHeaders, TabRaw, TabHex, TabCurl, TabAnswer} {
				checkHarmless(t, parse(t, RequestDetail(sub(), *sampleDetail(tab, r))))
			}
			checkHarmless(t, parse(t, RequestRow(sub(), Row{Summary: r.Summary})))
		}
	}
}

// ours are the elements that a request is shown with.
var ours = strings.Fields("html head body article header h2 h3 nav a span div p ul li time strong button form section table tbody " +
	"tr th td pre code svg path details summary")

func checkHarmless(t *testing.T, d htmltest.Document) {
	t.Helper()
	checkPolicy(t, d)
	for _, e := range d.Elements() {
		if !slices.Contains(ours, e.Name()) {
			t.Errorf("there is a <%s>", e.Name())
		}
		for _, attr := range []string{"href", "action", "src"} {
			if address := e.Attr(attr); e.Has(attr) && !strings.HasPrefix(address, "/sub/urls/") {
				t.Errorf("%s of <%s> is %q", attr, e.Name(), address)
			}
		}
	}
}

// TestHostileNames puts attacks where users put names.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	for _, text := range hostile[:24] {
		u := sampleURL()
		u.Name, u.Owner, u.Address = text, text, text
		in := sampleInspector(nil)
		in.URL = u
		for _, page := range []htmltest.Document{
			parse(t, CaptureURLs(sub(), []URLItem{u}, "")), parse(t, InspectorPage(sub(), in)), parse(t, DeleteCaptureURL(sub(), u)),
			parse(t, URLSettings(sub(), u, URLForm{Name: text, Headers: text, Body: text})),
			parse(t, ErrorPage(sub(), Problem{Status: 400, Title: "Bad Request", Detail: text})), parse(t, Misdirected(sub(), text)),
		} {
			checkPolicy(t, page)
			checkAddresses(t, page)
			for _, name := range []string{"img", "meta[http-equiv=refresh]", "svg[onload]", "base"} {
				if len(page.All(name)) > 0 {
					t.Errorf("%q became a <%s>", text, name)
				}
			}
		}
	}
}

// TestSpecialCharactersAreVisible keeps what draws nothing, or draws elsewhere, from hiding.
func TestSpecialCharactersAreVisible(t *testing.T) {
	t.Parallel()
	r := sampleRequest()
	r.Headers = []hook.Header{{Name: "X-Odd", Value: "\u202eevil\xE9\xFF\x00"}}
	d := parse(t, RequestDetail(sub(), *sampleDetail(TabHeaders, r)))
	if diff := cmp.Diff([]string{"⟨U+202E⟩", `\xE9\xFF\x00`}, d.Texts(".pairs .esc")); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkRequestRow(b *testing.B) {
	row, p := Row{Summary: sampleRequest().Summary, Unread: true}, sub()
	var out strings.Builder
	for b.Loop() {
		out.Reset()
		if err := RequestRow(p, row).Render(b.Context(), &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDetail(b *testing.B) {
	detail, p := *sampleDetail(TabRequest, sampleRequest()), sub()
	var out strings.Builder
	for b.Loop() {
		out.Reset()
		if err := RequestDetail(p, detail).Render(b.Context(), &out); err != nil {
			b.Fatal(err)
		}
	}
}
