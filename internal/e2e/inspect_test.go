package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// wantOpen waits until a request is open, "" for none.
func (p *tab) wantOpen(id string) {
	p.t.Helper()
	p.until(`(document.querySelector("article.request")?.dataset.id ?? "") === ` + js(id))
}

// TestKeyboard goes through the requests by keys, none of which works while somebody types.
func TestKeyboard(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 5))
	p := inspect(t, s, u)
	path := "/urls/" + u.ID
	for _, step := range []struct{ key, open string }{{"j", ids[0]}, {"j", ids[1]}, {"j", ids[2]}, {"k", ids[1]}} {
		p.press(step.key)
		p.wantOpen(step.open)
		p.until(`location.pathname === ` + js(path+"/requests/"+step.open))
		p.until(find(`[data-id="`+step.open+`"] a`) + ` === document.activeElement`)
	}
	p.press("n") // its rows are other ones: the list keeps the focus
	p.until(`document.activeElement.id === "scroller"`)
	p.press("j")
	p.wantOpen(ids[2])
	p.press("k")
	p.wantOpen(ids[1])
	p.until(find(`[data-id="`+ids[1]+`"] a`) + ` === document.activeElement`)
	p.press(keyEnter) // the row's link has the focus: it is opened, and is open
	p.wantOpen(ids[1])
	p.run("document.activeElement.blur()")
	p.press(keyEnter)
	p.until(`document.activeElement.id === "request-heading"`)
	for n, name := range []string{"request", "headers", "raw", "hex", "curl", "answer"} {
		p.press(fmt.Sprint(n + 1))
		p.until(`document.querySelector("article.request")?.dataset.tab === ` + js(name))
		p.until(`document.activeElement.matches(".tabs-line [data-tab=` + name + `]")`)
	}
	p.press("r")
	p.until(`document.querySelector("article.request").dataset.tab === "deliveries" && document.activeElement.id === "resend-target"`)
	p.run("document.activeElement.blur()")
	p.press("1")
	p.press("?")
	p.until(`document.getElementById("keys").open`)
	p.press("j")
	p.press(keyEscape)
	p.until(`!document.getElementById("keys").open`)
	p.wantOpen(ids[1]) // Esc closed the help only, and j did nothing meanwhile
	p.press(keyEscape)
	p.wantOpen("")
	p.until(`location.pathname === ` + js(path))

	p.click(`#address input`)
	p.press("j?p" + keyEnter)
	p.press("jk")
	p.wantState("Live")
	if eval[bool](p, `document.getElementById("keys").open`) {
		t.Error("? opened the help while the focus was in a field")
	}
	p.wantOpen("")
	p.run("document.activeElement.blur()")
	p.must(chromedp.Do(p.ctx, chromedp.KeyEvent("j", chromedp.KeyModifiers(chromedp.ModifierCtrl))))
	p.press("k") // no row is chosen: the first one
	p.wantOpen(ids[0])
}

// TestSelectionStays: what is chosen stays so while the list is paused and resumed, and fetched again, until Esc ends it.
func TestSelectionStays(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 4)
	p := inspect(t, s, u)
	chosen := func(n string) {
		p.t.Helper()
		p.until(`document.getElementById("selected").textContent === "` + n + ` selected"`)
	}
	p.press("jxjx")
	chosen("2")
	p.wantOpen(ids[2])
	p.press("p")
	p.wantState("List paused")
	late := s.capture(u, "comes meanwhile")
	p.wantState("List paused · 1 new")
	p.press("p")
	p.until(`!document.getElementById("pill").hidden`)
	p.wantRows(newestFirst(ids)) // who selects points at rows: they do not move
	chosen("2")
	p.press("n")
	p.wantRows(append([]string{late}, newestFirst(ids)...))
	chosen("2")
	p.until(find(`[data-id="`+ids[3]+`"] .pick`) + ".checked")
	p.press(keyEscape)
	p.until(`document.getElementById("selection").hidden && document.querySelector(".pick") === null`)
	p.wantOpen(ids[2])
	p.press(keyEscape)
	p.wantOpen("")
	p.press("jxjx")
	chosen("2")
	p.press("r")
	p.until(`document.querySelector("h1").textContent === "Resend 2 requests"`)
}

// TestPermalink: the address of a request shows it, and previous and next lead through all of them, with Back as usual.
func TestPermalink(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 60)
	p := open(t, s).login()
	path := func(i int) string { return "/urls/" + u.ID + "/requests/" + ids[i] }
	if status := p.visit(path(3)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	p.wantOpen(ids[3])
	p.until(`document.title === "POST / · orders · Hookkeeper"`)
	p.until(find(`[data-id="`+ids[3]+`"] a`) + `?.getAttribute("aria-current") === "true"`) // it is not among the newest 50
	p.click(`a[aria-label="Older request"]`)
	p.wantOpen(ids[2])
	p.until(`location.pathname === ` + js(path(2)))
	p.click(`a[aria-label="Newer request"]`)
	p.wantOpen(ids[3])
	p.visit(path(0))
	p.until(`document.querySelector('[aria-label="Older request: none"]') !== null`)
	p.visit(path(59))
	p.until(`document.querySelector('[aria-label="Newer request: none"]') !== null`)

	p.watch(u)
	p.click(`[data-id="` + ids[58] + `"] a`)
	p.wantOpen(ids[58])
	p.run("history.back()")
	p.wantOpen("")
	p.run("history.forward()")
	p.wantOpen(ids[58])

	p.excuse("404 (Not Found)")
	s.api(http.MethodDelete, "/api/v1/requests/"+ids[30], nil, http.StatusNoContent, nil)
	if status := p.visit(path(30)); status != http.StatusNotFound {
		t.Errorf("the page of a deleted request has status %d", status)
	}
	p.until(`document.getElementById("detail").innerText.includes("not kept any more")`)
}

// TestPermalinkIsInView: the row of a request that a page came with is to be seen, however far down the list it is.
func TestPermalinkIsInView(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 50)
	p := open(t, s).login()
	p.visit("/urls/" + u.ID + "/requests/" + ids[3])
	p.until(`(() => {
		const row = ` + find(`[data-id="`+ids[3]+`"]`) + `.getBoundingClientRect(), list = document.getElementById("scroller").getBoundingClientRect();
		return row.top >= list.top && row.bottom <= list.bottom;
	})()`)
}

// TestPaging goes through a list of several pages, both ways.
func TestPaging(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 120))
	p := inspect(t, s, u)
	p.wantRows(ids[:50])
	if text := p.text("#foot a"); text != "70 more" && text != "Older requests" {
		t.Errorf("the end of the list says %q", text)
	}
	p.click("#foot a")
	p.wantRows(ids[50:100])
	p.click("#foot a")
	p.wantRows(ids[100:])
	p.click(`.list-foot:not(#foot) a`)
	p.wantRows(ids[50:100])
	p.click(`.list-foot:not(#foot) a`)
	p.wantRows(ids[:50])
}

// TestLongValues: a long value shows its beginning, so that what comes below is not pushed away, and all of it to whoever asks, also
// by key; copying copies all.
func TestLongValues(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	long := strings.Repeat("0123456789abcdef", 500)
	id := s.sendAny(fmt.Sprintf("POST /in/%s/%s?q=%s HTTP/1.1\r\nHost: x\r\nX-Token: %s\r\nContent-Length: 1\r\n\r\nx", u.Slug, long[:2000], long[:4000], long))
	p := open(t, s).login()
	p.allowClipboard()
	p.visit("/urls/" + u.ID + "/requests/" + id)
	for place, lines := range map[string]int{
		".request-line .long": 4, `[aria-label="Query parameters, decoded"] .long`: 4, `[aria-label="Headers that the sender added"] .long`: 4,
	} {
		height := eval[float64](p, `(() => {
			const value = `+find(place+" .value")+`;
			return value.clientHeight / parseFloat(getComputedStyle(value).lineHeight);
		})()`)
		if int(height+0.5) != lines {
			t.Errorf("%s shows %v lines", place, height)
		}
		p.run(find(place+" summary") + ".focus()")
		p.press(keyEnter)
		p.until(find(place+" .value") + `.clientHeight >= ` + find(place+" .value") + `.scrollHeight && ` +
			find(place+" summary") + `.innerText.startsWith("Show less")`)
	}
	p.run(`document.getElementById("detail").scrollTop = 0`)
	if got := p.copied(`#detail .panel [data-copy^="q="]`); got != "q="+long[:4000] {
		t.Errorf("copied %d bytes of the query", len(got))
	}
	p.visit("/urls/" + u.ID + "/requests/" + id + "?tab=headers")
	if got := p.copied(`#headers-heading + .tools button`); !strings.Contains(got, "X-Token: "+long+"\n") {
		t.Errorf("copied %d bytes of the headers", len(got))
	}
}

// TestLocalTime: whoever points at a time is told it as their own clock has it, and in UTC.
func TestLocalTime(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	s.capture(u, "x")
	p := open(t, s).login()
	_, err := chromedp.Call(p.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"})
	p.must(err)
	p.watch(u)
	p.run(find("#rows time") + `.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))`)
	p.until(`/GMT\+5:30\n.* UTC$/.test(` + find("#rows time") + `.title)`)
}

// TestTabs shows one request in all ways.
func TestTabs(t *testing.T) {
	s := start(t)
	u := s.newURL(map[string]any{"response": map[string]any{
		"status": 202, "headers": []any{map[string]any{"name": "X-Answer", "value": "yes"}}, "body": "taken", "delay_ms": 0,
	}})
	body := `{"id":12345678901234567890,"name":"caf\u00e9","items":[1,2.50,null]}`
	id := s.sendAny(fmt.Sprintf("POST /in/%s/a//b?x=1&y=%%20z HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"X-Twice: one\r\nX-Twice: two\r\nContent-Length: %d\r\n\r\n%s", u.Slug, s.Addr, len(body), body))
	p := open(t, s).login()
	p.visit("/urls/" + u.ID + "/requests/" + id)
	for n, want := range [][]string{
		{"POST", "/a//b?x=1&y=%20z", "12345678901234567890", "2.50", "x", "X-Twice", "one", "two"},
		{"Host", s.Addr, "Content-Type", "application/json", "X-Twice", "one", "two", "127.0.0.1", "HTTP/1.1"},
		{body},
		{"7b 22 69 64", `{"id":123`},
		{"curl", "--path-as-is", "-g", "X-Twice: one", "X-Twice: two", "/a//b?x=1&y=%20z"},
		{"202", "X-Answer", "yes", "taken"},
	} {
		p.click(fmt.Sprintf(".tabs-line a:nth-child(%d)", n+1))
		p.until(fmt.Sprintf(`document.querySelector(".tabs-line a:nth-child(%d)").getAttribute("aria-current") === "page"`, n+1))
		text := p.text("#detail")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("tab %d does not say %q:\n%s", n+1, part, text)
			}
		}
	}

	// In a narrow window the line of the tabs scrolls: the open one is seen, in a page that comes with it and after a key.
	const seen = `(() => { const tab = document.querySelector(".tabs-line [aria-current]").getBoundingClientRect();
		return tab.left >= 0 && tab.right <= innerWidth })()`
	p.size(375, 812)
	p.visit("/urls/" + u.ID + "/requests/" + id + "?tab=deliveries")
	p.until(seen)
	p.press("1")
	p.until(`document.querySelector(".tabs-line a").getAttribute("aria-current") === "page" && ` + seen)
}

// sendAny sends a request whose answer has any status, and returns its id.
func (s *server) sendAny(request string) string {
	s.t.Helper()
	sender, err := newSender(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sender.conn.Close()
	status, id, err := sender.send([]byte(request))
	if err != nil || id == "" {
		s.t.Fatalf("%.200q was not stored: status %d, %v", request, status, err)
	}
	return id
}

// TestDownload saves a body through the browser: to the byte, and never as something that runs.
func TestDownload(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	body := make([]byte, 0, 70_000)
	for i := range cap(body) {
		body = append(body, byte(i*i>>3))
	}
	id := s.sendAny(fmt.Sprintf("POST /in/%s HTTP/1.1\r\nHost: x\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", u.Slug, len(body), body))
	p := open(t, s).login()
	dir := t.TempDir()
	events := true
	_, err := chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, EventsEnabled: &events,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	p.must(err)
	p.visit("/urls/" + u.ID + "/requests/" + id)
	progress := chromedp.BrowserEvents(p.ctx, browser.DownloadProgress)
	p.click(`#detail .tools a[download]`)
	for e, err := range progress {
		p.must(err)
		if e.State == browser.DownloadProgressStateCanceled {
			t.Fatal("the download was cancelled")
		}
		if e.State == browser.DownloadProgressStateCompleted {
			break
		}
	}
	files, err := os.ReadDir(dir)
	p.must(err)
	if len(files) != 1 || filepath.Ext(files[0].Name()) != ".bin" {
		t.Fatalf("downloaded: %v", files)
	}
	got, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	p.must(err)
	if !bytes.Equal(got, body) {
		t.Errorf("downloaded %d bytes, which are not the %d that were sent", len(got), len(body))
	}
}

// TestSendTest: the button of an empty list sends a request, which is there at once.
func TestSendTest(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	p.run("window.sameDocument = true")
	p.click(`#welcome form[action$="/test"] button`)
	p.until(idsScript + ".length === 1")
	p.until(`document.getElementById("no-rows").hidden && !document.querySelector("[data-when=filled]").hidden`)
	p.until(`document.activeElement.matches('#welcome form[action$="/test"] button:not([aria-disabled])')`)
	if !eval[bool](p, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
	r := s.request(s.latest(u.ID))
	if r.Method != http.MethodPost || r.Body == nil || !strings.Contains(*r.Body, "hookkeeper.test") {
		t.Errorf("the test request is %+v", r)
	}
}

// TestUnread: what is new is marked until it was opened or marked as read.
func TestUnread(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	s.captureMany(u, 3)
	p := inspect(t, s, u)
	p.until(`document.querySelectorAll("#rows .unread").length === 3`)
	p.press("j")
	p.until(`document.querySelectorAll("#rows .unread").length === 2`)
	p.press(keyEscape)
	p.click("#seen button")
	p.until(`document.querySelectorAll("#rows .unread").length === 0 && document.getElementById("seen").hidden`)
	p.visit("/urls/" + u.ID)
	p.until(`document.querySelectorAll("#rows .unread").length === 0 && document.querySelectorAll("#rows > li").length === 3`)
}

// TestWithoutScript: everything can be read and done without JavaScript.
func TestWithoutScript(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 2)
	p := open(t, s)
	p.scripts(false)
	p.login()
	p.visit("/")
	p.click(`#urls a`)
	p.wantRows(newestFirst(ids))
	p.click(`[data-id="` + ids[0] + `"] a`)
	p.wantOpen(ids[0])
	p.click(`.tabs-line a[data-tab="hex"]`)
	p.until(`document.getElementById("detail").innerText.includes("62 6f 64 79")`)
	p.click(`a[aria-label="Newer request"]`)
	p.wantOpen(ids[1])
	p.size(375, 812)
	p.visit("/urls/" + u.ID + "/requests/" + ids[1] + "?tab=deliveries")
	p.until(`document.querySelector(".tabs-line [aria-current]").getBoundingClientRect().right <= innerWidth`)
	p.size(1440, 900)
	p.click(`button[popovertarget="delete-request"]`)
	p.click(`#delete-request form button:not([popovertarget])`)
	p.wantRows(ids[:1])
	p.click(`#address form[action$="/test"] button`)
	p.until(idsScript + ".length === 2")
}
