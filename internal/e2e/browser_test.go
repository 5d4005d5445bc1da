package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// patience is how long a test waits for what should happen at once: only a failing test waits that long.
const patience = 20 * time.Second

// chrome is the browser that the tests of this package share. Tests that use it do not run in parallel: it has one
// clipboard, and the tab that is looked at gets the cores.
var chrome struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func startChrome(path string) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(filepath.Dir(binary), "chromium")),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		// Names lead nowhere: a request to another host would be seen, and fail.
		chromedp.Flag("host-resolver-rules", "MAP "+lanName+" 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	chrome.ctx = ctx
	chrome.stop = func() {
		stop()
		stopAllocator()
	}
	chrome.err = chromedp.Do(ctx)
}

// stopChrome ends the browser when the tests are done.
func stopChrome() {
	if chrome.stop != nil {
		chrome.stop()
	}
}

// lanName is a name of this machine that browsers do not trust as they trust loopback addresses.
const lanName = "hooks.test"

// tab is one tab of the browser. It watches over what every page has to keep: nothing is written to the console as an
// error, nothing is thrown, nothing breaks the Content-Security-Policy, nothing sets window.__xss, and nothing is asked
// of another host than the server. Whatever does fails the test at its end.
type tab struct {
	t    testing.TB
	s    *server
	ctx  context.Context
	host string // the only one that requests may go to
	mute bool   // scripts of pages do not run

	mu       sync.Mutex
	problems []string
	excused  []string
	requests []string // addresses, in the order in which they were asked for
}

// open starts a tab with cookies of its own and nobody logged in.
func open(t testing.TB, s *server) *tab {
	t.Helper()
	path := need(t, "chromium", "tests of the pages run in it")
	chrome.once.Do(func() { startChrome(path) })
	if chrome.err != nil {
		t.Fatalf("the browser does not start: %v", chrome.err)
	}
	return newTab(t, s, chrome.ctx, chromedp.WithNewBrowserContext())
}

// sibling opens another tab with the same cookies.
func (p *tab) sibling(options ...chromedp.ContextOption) *tab {
	p.t.Helper()
	return newTab(p.t, p.s, p.ctx, options...)
}

// watchScript tells the test about what must not happen. It runs in every document before any other script.
const watchScript = `
	addEventListener("securitypolicyviolation", (e) =>
		tellTest("policy: " + e.violatedDirective + " stopped " + e.blockedURI + " " + e.sample));
	Object.defineProperty(window, "__xss", { set(value) { tellTest("__xss was set"); }, get() { return undefined; } });`

func newTab(t testing.TB, s *server, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{t: t, s: s, host: s.Addr}
	ctx, stop := chromedp.NewContext(parent, append(options, chromedp.WithListener(p.onEvent))...)
	p.ctx = ctx
	t.Cleanup(func() {
		stop()
		p.report()
	})
	_, err := chromedp.Call(ctx, runtime.AddBinding, runtime.AddBindingParams{Name: "tellTest"})
	p.must(err)
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchScript})
	p.must(err)
	p.size(1440, 900)
	return p
}

func (p *tab) onEvent(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "assert" {
			text, _ := json.Marshal(e.Args)
			p.problems = append(p.problems, "console: "+string(text))
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		p.problems = append(p.problems, "exception: "+string(text))
	case *runtime.EventBindingCalled:
		p.problems = append(p.problems, e.Payload)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			p.problems = append(p.problems, fmt.Sprintf("log: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.sees(e.Request.URL)
	case *network.EventWebSocketCreated:
		p.sees(e.URL)
	}
}

// sees notes an address that the browser asks for.
func (p *tab) sees(address string) {
	p.requests = append(p.requests, address)
	u, err := url.Parse(address)
	local := err == nil && (u.Scheme == "data" || u.Scheme == "blob" || u.Scheme == "about")
	if !local && (err != nil || u.Host != p.host) {
		p.problems = append(p.problems, "a request left the server: "+address)
	}
}

// excuse makes problems whose text has the part no failure: the test makes them happen.
func (p *tab) excuse(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused = append(p.excused, part)
}

func (p *tab) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		excused := slices.ContainsFunc(p.excused, func(part string) bool { return strings.Contains(problem, part) })
		if !excused {
			p.t.Errorf("in the browser: %s", problem)
		}
	}
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// size sets the size of the window in CSS pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)))
}

// theme chooses "light" or "dark".
func (p *tab) theme(name string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	p.must(err)
}

// scripts lets the scripts of pages run, or not.
func (p *tab) scripts(run bool) {
	p.t.Helper()
	p.mute = !run
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
	p.must(err)
}

// show brings the tab to the front; the other tabs of its window become hidden.
func (p *tab) show() {
	p.t.Helper()
	_, err := chromedp.CallBrowser(p.ctx, target.ActivateTarget, target.ActivateTargetParams{
		TargetID: chromedp.FromContext(p.ctx).Target.TargetID,
	})
	p.must(err)
}

// visit loads a page of the server, or an absolute address, and returns its status.
func (p *tab) visit(address string) int64 {
	p.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = "http://" + p.host + address
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	response, err := chromedp.Run(ctx, chromedp.NavigateResponse(address))
	if err != nil {
		p.t.Fatalf("%s: %v", address, err)
	}
	return response.Status
}

// login goes through the login form as the admin.
func (p *tab) login() *tab {
	p.t.Helper()
	return p.loginAs(adminEmail, adminPassword)
}

func (p *tab) loginAs(email, password string) *tab {
	p.t.Helper()
	p.visit("/login")
	p.fill("#email", email)
	p.fill("#password", password)
	p.click("form button")
	p.until(`location.pathname !== "/login" && document.readyState === "complete"`)
	return p
}

// eval returns what an expression of JavaScript gives, once it is there when it is a promise.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.300s: %v", expression, err)
	}
	return value
}

// run does what a script says and ignores what it gives.
func (p *tab) run(script string) {
	p.t.Helper()
	eval[chromedp.Void](p, script)
}

// untilScript looks at the condition with each change of the document. What changes nothing there, like the focus, is
// looked at every 20 ms.
const untilScript = `new Promise((resolve, reject) => {
	const holds = () => { try { return CONDITION; } catch { return false; } };
	const end = (done) => { clearInterval(tick); clearTimeout(limit); changes.disconnect(); done(); };
	const look = () => holds() && end(resolve);
	const changes = new MutationObserver(look);
	changes.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
	const tick = setInterval(look, 20);
	const limit = setTimeout(() => end(() => reject("timeout")), LIMIT);
	look();
})`

// holds waits until a condition in JavaScript holds, whatever page is loaded meanwhile, and reports whether it ever did.
func (p *tab) holds(condition string) bool {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		script := strings.NewReplacer("CONDITION", condition, "LIMIT", fmt.Sprint(left.Milliseconds())).Replace(untilScript)
		if p.mute {
			script = fmt.Sprintf("if (!(%s)) { throw null; }", condition) // timers do not run either
		}
		ctx, cancel := context.WithTimeout(p.ctx, left+time.Second)
		_, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise))
		cancel()
		if err == nil {
			return true
		}
		if !p.mute && !leftPage(err) || time.Now().After(deadline) {
			return false
		}
	}
}

// leftPage reports whether a script ended because its page did.
func leftPage(err error) bool {
	for _, text := range []string{"navigated or closed", "context was destroyed", "Cannot find", "Promise was collected"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// until waits for a condition in JavaScript.
func (p *tab) until(condition string) {
	p.t.Helper()
	if !p.holds(condition) {
		p.t.Fatalf("still not so: %s\nat %s, titled %q, which says:\n%.1500s", condition,
			eval[string](p, "location.href"), p.title(), eval[string](p, "document.body.innerText"))
	}
}

// js writes a value as JavaScript.
func js(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// find is an expression for the first element that a selector finds, which null is for none.
func find(selector string) string { return "document.querySelector(" + js(selector) + ")" }

// click waits until an element can be clicked and clicks it with the mouse. An element that another one covers cannot.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.until(find(selector) + "?.checkVisibility()")
	type point struct {
		X, Y float64
		Over string
	}
	if !p.mute { // frames do not call back there
		p.run(restScript(selector))
	}
	at := eval[point](p, `(() => {
		const element = `+find(selector)+`;
		element.scrollIntoView({ block: "nearest", behavior: "instant" });
		const box = element.getBoundingClientRect();
		const x = box.x + box.width / 2, y = box.y + box.height / 2;
		const top = document.elementFromPoint(x, y);
		return { x, y, over: element.contains(top) ? "" : (top?.outerHTML ?? "nothing") };
	})()`)
	if at.Over != "" {
		p.t.Fatalf("%s cannot be clicked, there is %.200s", selector, at.Over)
	}
	p.must(chromedp.Do(p.ctx, chromedp.MouseClickXY(at.X, at.Y)))
}

// restScript brings an element into view and waits until it stays where it is: rows that come into view get their real
// height with the next frame, and what stands below them moves.
func restScript(selector string) string {
	return `(async () => {
		for (let last, y = NaN; y !== last; ) {
			const element = ` + find(selector) + `;
			element.scrollIntoView({ block: "nearest", behavior: "instant" });
			last = y;
			await ` + frameScript + `;
			y = element.getBoundingClientRect().y;
		}
	})()`
}

// frameScript waits until the page has drawn a frame, and with it told what was scrolled.
const frameScript = `new Promise((done) => requestAnimationFrame(() => setTimeout(done)))`

// fill types a text into a field.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.until(find(selector) + "?.checkVisibility()")
	p.run(find(selector) + ".focus(), " + find(selector) + ".select()")
	p.press(text)
}

// press presses keys, one after another.
func (p *tab) press(keys string) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
}

const (
	keyEnter  = "\r"
	keyEscape = "\x1b"
)

// text returns the text of an element as it is shown.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, find(selector)+`?.innerText ?? "(there is no `+strings.ReplaceAll(selector, `"`, "'")+`)"`)
}

func (p *tab) title() string {
	p.t.Helper()
	return eval[string](p, "document.title")
}

// idsScript gives the ids of the rows of the list, from the top.
const idsScript = `[...document.querySelectorAll("#rows > [data-id]")].map((row) => row.dataset.id)`

// wantRows waits until the list has exactly the rows of these requests, from the top.
func (p *tab) wantRows(ids []string) {
	p.t.Helper()
	if !p.holds(fmt.Sprintf("%s.join() === %s", idsScript, js(strings.Join(ids, ",")))) {
		got := eval[[]string](p, idsScript)
		p.t.Fatalf("rows, want - and got +:\n%s", cmp.Diff(ids, got))
	}
}

// newestFirst returns ids in the order of the list.
func newestFirst(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	return ids
}

// capture posts a body to a capture URL and returns the id of the request.
func (s *server) capture(u captureURL, body string) string {
	s.t.Helper()
	return s.sendOne(fmt.Appendf(nil, "POST /in/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		u.Slug, s.Addr, len(body), body))
}

// captureMany posts n requests, one after another, and returns their ids, oldest first.
func (s *server) captureMany(u captureURL, n int) []string {
	s.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.capture(u, fmt.Sprintf("body %d", i))
	}
	return ids
}

// TestBrowserWatches shows that the watch over every tab sees what it is there for.
func TestBrowserWatches(t *testing.T) {
	s := start(t)
	p := open(t, s).login()
	for _, bad := range []struct{ script, want string }{
		{`console.error("oh")`, "console: "},
		{`void setTimeout(() => { throw new Error("oh"); })`, "exception: "},
		{`document.body.append(Object.assign(document.createElement("img"), { src: "http://elsewhere.test/x.png" }))`, "policy: img-src"},
		{`void fetch("http://elsewhere.test/").catch(() => {})`, "policy: connect-src"},
		{`window.__xss = 1`, "__xss was set"},
		{`void (location.href = "http://elsewhere.test/away")`, "a request left the server: http://elsewhere.test/away"},
	} {
		p.visit("/")
		p.run(bad.script)
		seen := func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return slices.ContainsFunc(p.problems, func(problem string) bool { return strings.HasPrefix(problem, bad.want) })
		}
		for deadline := time.Now().Add(patience); !seen(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s was not noticed", bad.want)
			}
			_, err := chromedp.Run(p.ctx, chromedp.Evaluate[int]("1")) // events come before the answer
			_ = err                                                    // the page may be leaving
		}
	}
	p.problems = nil
}

// bypassPolicy switches the Content-Security-Policy off for pages that are loaded from now on.
func (p *tab) bypassPolicy() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})
	p.must(err)
}

// cookies returns name and value of every cookie that the server has set or a page.
func (p *tab) cookies() [][2]string {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{})
	p.must(err)
	var cookies [][2]string
	for _, c := range result.Cookies {
		cookies = append(cookies, [2]string{c.Name, c.Value})
	}
	return cookies
}
