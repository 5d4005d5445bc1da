package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostileTexts are what strangers send to be shown, by their rows in the corpus.
var hostileTexts = map[string][]string{
	"D01": {`<script>__xss=1</script>`},
	"D02": {`"><img src=x onerror=__xss=1>`},
	"D03": {`' onmouseover='__xss=1`},
	"D04": {`</textarea></pre></title></style></script><script>__xss=1</script>`},
	"D05": {`javascript:__xss=1`, "JaVa\tScript:__xss=1", `data:text/html,<script>__xss=1</script>`},
	"D06": {`<svg onload=__xss=1>`, `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="__xss=1"/>`},
	"D07": {"\uFEFF<html><script>__xss=1</script>", `+ADw-script+AD4-__xss+AD0-1+ADw-/script+AD4-`, utf16(`<script>__xss=1</script>`)},
	"D08": {
		"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(__xss=1)>>>>", "GIF89a/*<script>__xss=1</script>*/=1;", "PK\x03\x04\x14\x00",
		// The test file of virus scanners, in two parts for the sake of those that look at this one.
		`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-` + `ANTIVIRUS-TEST-FILE!$H+H*`,
	},
	"D09": {`{{7*7}} ${7*7} <%=1%>`},
	"D10": {"a\u2028b\u2029</script><script>__xss=1</script>"},
	"D11": {`<base href=//evil.test>`, `<meta http-equiv=refresh content="0;url=//evil.test">`, `<form action=//evil.test><button>`},
	"D12": {`<style>@import//evil.test;</style>`, `url(//evil.test/x)`, `<td background=//evil.test/x>`},
	"D13": {"\x1b[2J\x1b[31mred", "progress 10%\rprogress 99%", "\u202egpj.exe\u2066"},
	"D14": {
		`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;&b;</x>`,
		`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>`,
	},
	"D15": {`{"__proto__":{"x":1},"":2,"constructor":{"prototype":{"y":1}}}`},
}

func utf16(text string) string {
	return "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00"
}

// TestHostileContent sends every hostile text as everything that a request is made of and looks at it in every way: it
// is there to be read, and nothing of it works. The tab watches for what works.
func TestHostileContent(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	for row, texts := range hostileTexts {
		t.Run(row, func(t *testing.T) {
			p.press(keyEscape)
			var ids []string
			for _, request := range hostileRequests(u, texts) {
				ids = append(ids, s.sendAny(request))
			}
			ids = newestFirst(ids)
			p.until(idsScript + ".slice(0, " + js(len(ids)) + ").join() === " + js(strings.Join(ids, ",")))
			wantParts(p, "#rows", texts[:1], escapeTarget)
			for i, id := range ids {
				p.click(`[data-id="` + id + `"] a`)
				p.wantOpen(id)
				wantParts(p, "#detail", texts, asItIs)
				for _, key := range []string{"2", "3", "4", "5", "6", "1"} {
					if i > 0 {
						break // the other tabs do not care what kind of body it is
					}
					p.press(key)
					p.until(find(`.tabs-line a:nth-child(`+key+`)`) + `.getAttribute("aria-current") === "page"`)
					if key == "2" {
						wantParts(p, "#detail", texts, asItIs)
					}
				}
			}
		})
	}
}

func asItIs(part string) string { return part }

// hostileRequests are requests with the texts in path, query and headers, and in bodies of all the kinds that have a
// view of their own. The last one, which is the first of the list, has them as the text that they are.
func hostileRequests(u captureURL, texts []string) []string {
	headers, path, fields := "", "/in/"+u.Slug, url.Values{}
	object := map[string]string{}
	var parts bytes.Buffer
	form := multipart.NewWriter(&parts)
	for i, text := range texts {
		headers += fmt.Sprintf("X-Hostile-%d: %s\r\n", i, headerValue(text))
		path += "/" + escapeTarget(text)
		fields.Add(text, text)
		object["k"+text] = text
		part, _ := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf("form-data; name=%q; filename=%q", headerValue(text), headerValue(text))},
			"Content-Type":        {headerValue(text)},
		})
		_, _ = part.Write([]byte(text))
	}
	_ = form.Close()
	var asJSON bytes.Buffer
	encoder := json.NewEncoder(&asJSON)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(object)
	text := strings.Join(texts, "\n")
	var requests []string
	for _, body := range []struct{ kind, content string }{
		{"application/json", asJSON.String()},
		{"application/x-www-form-urlencoded", fields.Encode()},
		{form.FormDataContentType(), parts.String()},
		{"image/svg+xml", text},
		{"text/html; charset=utf-7; x=" + headerValue(texts[0]), text},
	} {
		requests = append(requests, fmt.Sprintf("POST %s?%s=1 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s",
			path, escapeTarget(texts[0]), body.kind, headers, len(body.content), body.content))
	}
	return requests
}

// headerValue is the text as far as a header can have it.
func headerValue(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, text))
}

// escapeTarget is the text as a sender may put it into a request target: with as little escaping as a server accepts.
func escapeTarget(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("%#?", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// wantParts waits until an element shows all texts: the parts of them between what has no shape of its own.
func wantParts(p *tab, selector string, texts []string, shownAs func(string) string) {
	p.t.Helper()
	shapeless := func(r rune) bool {
		return r == utf8.RuneError || r == ' ' || r == '"' || r == '\\' || !unicode.IsPrint(r)
	}
	for _, text := range texts {
		for _, part := range strings.FieldsFunc(text, shapeless) {
			if len(part) > 1 { // single letters are those of UTF-16
				p.until(find(selector) + ".textContent.includes(" + js(shownAs(part)) + ")")
			}
		}
	}
}

// TestHostileSettings gives the hostile texts to a capture URL as its name and its answer, and looks at every page that
// shows them.
func TestHostileSettings(t *testing.T) {
	s := start(t)
	p := open(t, s).login()
	for _, row := range []string{"D01", "D02", "D04", "D05", "D09"} {
		text := hostileTexts[row][0]
		t.Run(row, func(t *testing.T) {
			u := s.newURL(map[string]any{"name": text, "response": map[string]any{
				"status": 200, "headers": []any{map[string]any{"name": "X-Answer", "value": text}}, "body": text, "delay_ms": 0,
			}})
			id := s.capture(u, text)
			page := "/urls/" + u.ID
			for _, path := range []string{"/", page, page + "/requests/" + id + "?tab=answer", page + "/settings", page + "/clear", page + "/delete"} {
				p.visit(path)
				wantParts(p, "body", []string{text}, asItIs)
			}
			p.visit(page + "/settings")
			if got := eval[string](p, find("#body")+".value"); got != text {
				t.Errorf("the form has the answer %q, want %q", got, text)
			}
			s.api(http.MethodDelete, "/api/v1/capture-urls/"+u.ID, nil, http.StatusNoContent, nil)
		})
	}
}

// TestHostileDeliveries has a target answer with the hostile texts, and gives them to everything that a subscription is made of.
func TestHostileDeliveries(t *testing.T) {
	s := start(t, allowLoopback)
	p := open(t, s).login()
	p.excuse("Failed to load resource") // a form with mistakes
	for row, texts := range hostileTexts {
		t.Run(row, func(t *testing.T) {
			p.t = t
			text := headerValue(texts[0])
			if text == "" {
				t.Skip("no header and no name can have this")
			}
			u := s.newURL(nil)
			sub := s.subscribe(u, hostileTarget(t, text, texts[0])+"/"+escapeTarget(texts[0]), map[string]any{
				"name": text, "headers": []any{map[string]any{"name": "X-Static", "value": text}},
				"filter": map[string]any{"any": []any{
					map[string]any{"field": "header.X-Topic", "op": "is_not", "value": text}, map[string]any{"field": "path", "op": "glob", "value": "*" + text},
				}},
			})
			refusing := s.subscribe(u, "http://127.0.0.1:1", map[string]any{"name": text + "2", "filter": map[string]any{"all": []any{
				map[string]any{"field": "header.X-Topic", "op": "is", "value": text},
			}}})
			id := s.capture(u, texts[0])
			delivery := s.delivery(id, "waiting")
			page := "/urls/" + u.ID
			for _, path := range []string{
				"/deliveries/" + delivery, page + "/requests/" + id + "?tab=deliveries", "/subscriptions/" + sub, "/subscriptions/" + refusing, page + "/subscriptions",
				page + "/deliveries", "/subscriptions/" + sub + "/edit", "/subscriptions/" + sub + "/delete", "/subscriptions/" + sub + "/discard",
				"/subscriptions/" + sub + "/replay", page + "/requests/" + id + "/edit",
			} {
				p.visit(path)
				p.wantHarmless(text)
			}
			s.api(http.MethodDelete, "/api/v1/capture-urls/"+u.ID+"?unfinished=cancel", nil, http.StatusNoContent, nil)
		})
	}
}

// wantHarmless wants a page to have the text, in what is read or in a field. The tab watches for what works of it.
func (p *tab) wantHarmless(text string) {
	p.t.Helper()
	for _, part := range strings.FieldsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || r == ' ' || r == '"' || r == '\\' || !unicode.IsPrint(r)
	}) {
		if len(part) > 1 {
			p.until(`[document.body.textContent, ...[...document.querySelectorAll("input, textarea")].map((f) => f.value)].some((t) => t.includes(` + js(part) + `))`)
		}
	}
	p.report()
}

// hostileTarget answers every request with 500, the text as its reason and in headers, and a body.
func hostileTarget(t *testing.T, text, body string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 500 %s\r\nContent-Type: %s\r\nLocation: %s\r\nX-Hostile: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
					text, text, text, text, len(body), body)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// slowest is how long the server may take for any view of any request.
const slowest = time.Second

// TestHugeContent shows bodies that are hard on those who show them: each view is there within a second, and the page
// stays usable.
func TestHugeContent(t *testing.T) {
	deep := func(n int, open, within, end string) string {
		return strings.Repeat(open, n) + within + strings.Repeat(end, n)
	}
	var keys strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, `"%05x":0,`, i)
	}
	s := start(t)
	session := s.login()
	p := open(t, s).login()
	for name, body := range map[string]struct{ kind, content string }{
		"D13 one line":    {"text/plain", strings.Repeat("long ", 200_000)},
		"D13 many lines":  {"text/plain", strings.Repeat("line\n", 100_000)},
		"D14 deep XML":    {"application/xml", deep(200_000, "<a>", "", "</a>")},
		"D15 deep JSON":   {"application/json", deep(9_999, "[", "1", "]")},
		"D15 deeper JSON": {"application/json", deep(1_000_000, `{"a":`, "1", "}")},
		"D15 many keys":   {"application/json", "{" + strings.TrimSuffix(keys.String(), ",") + "}"},
		"many fields":     {"application/x-www-form-urlencoded", strings.Repeat("a=b&", 500_000)},
		"long header":     {"text/plain; x=" + strings.Repeat("y", 60_000), "z"},
	} {
		t.Run(name, func(t *testing.T) {
			u := s.newURL(nil)
			id := s.sendAny(fmt.Sprintf("POST /in/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
				u.Slug, body.kind, len(body.content), body.content))
			p.visit("/urls/" + u.ID)
			p.press("j")
			for n, name := range []string{"request", "headers", "raw", "hex", "curl", "answer"} {
				page := fmt.Sprintf("/urls/%s/requests/%s?tab=%s", u.ID, id, name)
				begin := time.Now()
				if status := s.get(page, session); status != http.StatusOK {
					t.Errorf("%s: status %d", page, status)
				}
				if took := time.Since(begin); took > slowest {
					t.Errorf("%s took %v", page, took)
				}
				p.wantOpen(id)
				p.press(fmt.Sprint(n + 1))
				p.until(`document.querySelector("article.request")?.dataset.tab === ` + js(name))
			}
			if n := eval[int](p, `document.querySelectorAll("#detail *").length`); n > 20_000 {
				t.Errorf("the document has %d elements", n)
			}
			wantNoSideScroll(p)
		})
	}
}

// wantNoSideScroll checks that the document is not wider than its window.
func wantNoSideScroll(p *tab) {
	p.t.Helper()
	width := eval[[]int](p, `[document.documentElement.scrollWidth, innerWidth]`)
	if width[0] <= width[1] {
		return
	}
	wide := eval[string](p, `[...document.querySelectorAll("main *")]
		.filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".table-container"))
		.map((e) => e.tagName + "." + e.className + "#" + e.id).slice(0, 8).join(" ")`)
	p.t.Errorf("%s is %d pixels wide in a window of %d because of: %s", eval[string](p, "location.pathname + location.search"), width[0], width[1], wide)
}

// TestAnswerCannotRun configures an answer that is a script or a page with one, on the dashboard's own origin. Whoever
// opens it gets a page in which nothing runs; no page of the dashboard can be made to run it, even without its policy.
func TestAnswerCannotRun(t *testing.T) {
	s := start(t)
	answer := func(kind, body string) captureURL {
		return s.newURL(map[string]any{"response": map[string]any{
			"status": 200, "headers": []any{map[string]any{"name": "Content-Type", "value": kind}}, "body": body, "delay_ms": 0,
		}})
	}
	p := open(t, s).login()
	p.excuse("Blocked script execution in")
	html := answer("text/html", `<title>still</title><script>document.title = "ran"; __xss = 1; fetch("/api/v1/capture-urls")</script>`+
		`<img src=/x onerror="document.title = 'ran'"><svg onload="document.title = 'ran'"></svg>`)
	p.excuse("404 (Not Found)") // the picture
	p.visit("/in/" + html.Slug)
	p.until(`document.title === "still" && document.readyState === "complete"`)
	if origin := eval[string](p, "self.origin"); origin != "null" {
		t.Errorf("the answer has the origin %q", origin)
	}

	script := answer("text/javascript", `globalThis.__xss = 1; globalThis.postMessage?.("ran"); globalThis.ran = true;`)
	p.visit("/")
	p.bypassPolicy()
	p.visit("/")
	for _, refusal := range []string{"403 (Forbidden)", "response code (403)", "Failed to fetch a worker script", "Refused to", "ERR_BLOCKED_BY_RESPONSE"} {
		p.excuse(refusal)
	}
	before := len(s.requests(script.ID))
	for name, load := range map[string]string{
		"script":         `const e = document.createElement("script"); e.src = SRC; e.onload = ran; e.onerror = refused; document.body.append(e);`,
		"module":         `import(SRC).then(ran, refused);`,
		"style":          `const e = document.createElement("link"); e.rel = "stylesheet"; e.href = SRC; e.onload = ran; e.onerror = refused; document.head.append(e);`,
		"worker":         `const w = new Worker(SRC); w.onmessage = ran; w.onerror = refused;`,
		"shared worker":  `const w = new SharedWorker(SRC); w.port.onmessage = ran; w.onerror = refused;`,
		"service worker": `navigator.serviceWorker.register(SRC).then(ran, refused);`,
		"object":         `const e = document.createElement("object"); e.data = SRC; e.onload = ran; e.onerror = refused; document.body.append(e);`,
		"embed":          `const e = document.createElement("embed"); e.src = SRC; document.body.append(e); setTimeout(refused, 300);`,
	} {
		script := `new Promise((done) => { const ran = () => done("ran"), refused = () => done("refused"); ` +
			strings.ReplaceAll(load, "SRC", js("/in/"+script.Slug+"?"+url.QueryEscape(name))) + `})`
		if outcome := eval[string](p, script); outcome != "refused" {
			t.Errorf("the answer as %s: %s", name, outcome)
		}
	}
	if eval[bool](p, "globalThis.ran === true") {
		t.Error("the answer ran in a page of the dashboard")
	}
	if n := len(s.requests(script.ID)) - before; n != 0 {
		t.Errorf("%d requests of our own pages were stored", n)
	}
}

// TestOwnCookies opens a capture URL in a browser that is logged in: its cookies are not stored.
func TestOwnCookies(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := open(t, s).login()
	p.excuse("favicon.ico") // the answer has another origin, and none of its own
	p.run(`document.cookie = "mine=keep-me; path=/"`)
	cookies := p.cookies()
	if !slices.ContainsFunc(cookies, func(c [2]string) bool { return c[0] == "hookkeeper" }) {
		t.Fatalf("there is no session: %v", cookies)
	}
	p.visit("/in/" + u.Slug)
	r := s.request(s.latest(u.ID))
	for _, h := range r.Headers {
		if h.Name == "Cookie" && h.Value != "mine=keep-me" {
			t.Errorf("stored: Cookie: %s", h.Value)
		}
	}
	for _, cookie := range cookies {
		if found := s.inDatabase(cookie[1]); found != (cookie[0] == "mine") {
			t.Errorf("the value of the cookie %s is in the database: %v", cookie[0], found)
		}
	}
	p.visit("/urls/" + u.ID + "/requests/" + r.ID)
	p.until(`document.getElementById("detail").innerText.includes("cookie was removed")`)
}

// inDatabase reports whether the files of the database have the bytes of a text anywhere.
func (s *server) inDatabase(text string) bool {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.DataDir, "*.db*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no database in %s: %v", s.DataDir, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}
