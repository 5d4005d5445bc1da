package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeScript is axe-core, which finds what keeps people with disabilities from using a page.
const axeScript = "testdata/axe-core@4.14.1/axe.min.js"

// finding is a rule that a page breaks.
type finding struct {
	ID    string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

// runAxe returns what axe-core finds on the page, by all of its rules or only by the named ones.
func runAxe(p *tab, rules ...string) []finding {
	p.t.Helper()
	options := map[string]any{"resultTypes": []string{"violations"}, "elementRef": false}
	if len(rules) > 0 {
		options["runOnly"] = rules
	}
	return eval[[]finding](p, "axe.run(document, "+js(options)+").then((results) => results.violations)")
}

// endTransitions gives everything the colours that it is on its way to.
const endTransitions = `for (const a of document.getAnimations()) { a instanceof CSSTransition && a.finish(); }`

// TestAccessible looks at every page: in light and dark, wide and narrow, axe-core finds nothing, and no page is wider
// than its window. With HOOKKEEPER_TEST_PICTURES=directory it leaves a picture of each, for people to look at.
func TestAccessible(t *testing.T) {
	source, err := os.ReadFile(axeScript)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range everyPage(t) {
		t.Run(page.name, func(t *testing.T) {
			p := page.tab
			p.t = t
			p.size(1440, 900)
			p.theme("light")
			if status := p.visit(page.path); status != page.status {
				t.Errorf("%s: status %d, want %d", page.path, status, page.status)
			}
			if page.prepare != nil {
				page.prepare(p)
			}
			p.run(string(source))
			check := func(look string, rules ...string) {
				p.run(endTransitions)
				p.picture(page.name + ", " + look)
				for _, found := range runAxe(p, rules...) {
					for _, node := range found.Nodes {
						t.Errorf("%s, %s: %s\n%.300s\n%s", page.path, look, found.ID, node.HTML, node.FailureSummary)
					}
				}
			}
			check("light and wide")
			p.theme("dark")
			check("dark and wide", "color-contrast")
			p.size(375, 700)
			wantNoSideScroll(p)
			check("dark and narrow", "color-contrast")
			p.theme("light")
			check("light and narrow", "color-contrast", "target-size", "scrollable-region-focusable", "link-name", "button-name", "bypass")
		})
	}
}

// picture leaves a picture of the page where somebody wants to see it.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("HOOKKEEPER_TEST_PICTURES")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	p.must(err)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

type checkedPage struct {
	name    string
	tab     *tab
	path    string
	status  int64
	prepare func(*tab)
}

// everyPage returns the pages of the dashboard, empty and full, with ordinary and with very long values.
func everyPage(t *testing.T) []checkedPage {
	t.Helper()
	long := strings.Repeat("averylongwordwithoutanyspace", 3)
	fresh := start(t, "HOOKKEEPER_ADMIN_EMAIL=", "HOOKKEEPER_ADMIN_PASSWORD=", "HOOKKEEPER_API_TOKEN=")
	empty := start(t)
	full := start(t, "HOOKKEEPER_KEEP_REQUESTS=100000", allowLoopback)
	guest := func(s *server) *tab {
		p := open(t, s)
		p.excuse("Failed to load resource") // error pages are pages too
		return p
	}
	setup, out, none, in := guest(fresh), guest(full), guest(empty).login(), guest(full).login()
	u := full.newURL(map[string]any{"name": "Orders"})
	other := full.newURL(map[string]any{"name": long, "paused": true, "response": map[string]any{
		"status": 418, "headers": []any{map[string]any{"name": "X-" + long, "value": long}}, "body": long, "delay_ms": 10,
	}})
	full.captureMany(u, 20)
	target, header := "/in/"+u.Slug+"/"+long+"?a=1&"+long+"="+long, "Host: x\r\nX-"+long+": "+long+long+"\r\nX-Two: 2\r\n"
	send := func(method, kind, body string) string {
		return full.sendAny(fmt.Sprintf("%s %s HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", method, target, header, kind, len(body), body))
	}
	page := "/urls/" + u.ID
	request := func(id string) string { return page + "/requests/" + id }
	object := send("POST", "application/json", `{"a":[1,true,null,"`+long+`"],"b":{"c":{}},"`+long+`":1}`)
	g := newReceiver(t)
	g.status.Store(http.StatusInternalServerError)
	failing := full.subscribe(u, g.URL+"/"+long, map[string]any{
		"name": long, "filter": map[string]any{"all": []any{map[string]any{"field": "header.X-" + long, "op": "contains", "value": long}}},
		"headers": []any{map[string]any{"name": "X-" + long, "value": long}},
	})
	full.subscribe(u, g.URL, map[string]any{"name": "Shop"})
	delivered := send("POST", "application/json", `{"a":1}`)
	first := full.delivery(delivered, "waiting")
	var replay struct{ ID string }
	full.api("POST", "/api/v1/subscriptions/"+failing+"/replays", map[string]any{"rate_per_second": 0.01}, http.StatusCreated, &replay)
	pages := []checkedPage{
		{"no subscriptions", in, "/urls/" + other.ID + "/subscriptions", 200, nil},
		{"subscriptions", in, page + "/subscriptions", 200, nil},
		{"new subscription", in, page + "/subscriptions/new", 200, nil},
		{"new subscription with mistakes", in, page + "/subscriptions/new", 200, func(p *tab) {
			p.run(`document.querySelector("form.form").noValidate = true`)
			p.click(`form.form .actions button[value="save"]`)
			p.until(`document.querySelector(".problem") !== null`)
		}},
		{"filter with mistakes", in, page + "/subscriptions/new", 200, func(p *tab) {
			p.run(`document.getElementById("value-0").value = "x"; document.getElementById("target_url").value = location.origin + "/in/` + u.Slug + `"`)
			p.run(`document.querySelector("button[value=dry-run]").click()`)
			p.until(`document.querySelector(".condition [aria-invalid]") !== null`)
		}},
		{"new key pair", in, page + "/subscriptions/new", 200, func(p *tab) {
			p.run(`for (const [id, text] of [["name", "keys"], ["target_url", ` + js(g.URL) + `]]) { document.getElementById(id).value = text; }`)
			p.run(`document.getElementById("scheme-standard-v1a").checked = true; document.querySelector("button[value=save]").click()`)
			p.until(`document.getElementById("private-key") !== null && document.readyState === "complete"`)
			p.run(`document.getElementById("private-key").open = true`)
		}},
		{"filter tried", in, "/subscriptions/" + failing + "/edit", 200, func(p *tab) {
			p.run(`document.querySelector("button[value=dry-run]").click()`)
			p.until(`document.querySelector(".dry-run") !== null`)
		}},
		{"subscription", in, "/subscriptions/" + failing, 200, func(p *tab) { p.wantState("Live") }},
		{"discard", in, "/subscriptions/" + failing + "/discard", 200, nil},
		{"delete a subscription", in, "/subscriptions/" + failing + "/delete", 200, nil},
		{"replay form", in, "/subscriptions/" + failing + "/replay", 200, func(p *tab) {
			p.click(`.actions button[value="count"]`)
			p.until(`document.querySelector(".notice") !== null`)
		}},
		{"replay", in, "/replays/" + replay.ID, 200, func(p *tab) { p.wantState("Live") }},
		{"deliveries", in, page + "/deliveries", 200, func(p *tab) { p.wantState("Live") }},
		{"deliveries in no state", in, page + "/deliveries?state=cancelled", 200, func(p *tab) { p.wantState("Live") }},
		{"delivery", in, "/deliveries/" + first, 200, func(p *tab) { p.wantState("Live") }},
		{"deliveries of a request", in, request(delivered) + "?tab=deliveries", 200, func(p *tab) { p.wantState("Live") }},
		{"resend with mistakes", in, request(delivered) + "?tab=deliveries", 200, func(p *tab) {
			p.run(`document.querySelector('#detail form[action$="/resend"]').requestSubmit()`)
			p.until(`document.querySelector(".problem") !== null`)
		}},
		{"resent", in, request(delivered) + "?tab=deliveries", 200, func(p *tab) {
			p.run(`document.querySelectorAll("[name=subscription]").forEach((box) => box.checked = true)`)
			p.run(`document.querySelector('#detail form[action$="/resend"]').requestSubmit()`)
			p.until(`document.getElementById("resent") !== null`)
		}},
		{"edit and resend", in, request(delivered) + "/edit", 200, nil},
		{"edit and resend with mistakes", in, request(delivered) + "/edit", 200, func(p *tab) {
			p.run(`document.getElementById("to").selectedIndex = 1; document.getElementById("target_url").value = "https://a.example"`)
			p.click("form.form .actions .btn")
			p.until(`document.querySelector(".problem") !== null`)
		}},
		{"setup", setup, fresh.setupLink(), 200, nil},
		{"setup without its link", setup, "/setup", 403, nil},
		{"login", out, "/login", 200, nil},
		{"home without requests", none, "/", 200, nil},
		{"home without capture URLs", none, "/", 200, func(p *tab) {
			for _, id := range eval[[]string](p, `[...document.querySelectorAll("#urls > li")].map((line) => line.dataset.id)`) {
				empty.api(http.MethodDelete, "/api/v1/capture-urls/"+id, nil, http.StatusNoContent, nil)
			}
			p.until(`!document.getElementById("no-urls").hidden`)
		}},
		{"home", in, "/", 200, nil},
		{"account menu", in, "/", 200, func(p *tab) { p.click(`[popovertarget="account"]`) }},
		{"new", in, "/urls/new", 200, nil},
		{"new with mistakes", in, "/urls/new", 200, func(p *tab) {
			p.run(`document.querySelector("form.form").noValidate = true`)
			p.click("form.form button")
			p.until(`document.querySelector(".problem") !== null`)
		}},
		{"settings of a capture URL", in, page + "/settings", 200, nil},
		{"settings of a paused one", in, "/urls/" + other.ID + "/settings", 200, nil},
		{"inspector without requests", in, "/urls/" + other.ID, 200, nil},
		{"inspector", in, page, 200, func(p *tab) { p.wantState("Live") }},
		{"inspector further down", in, page + "?before=" + object, 200, func(p *tab) { p.wantState("Live") }},
		{"inspector paused", in, page, 200, func(p *tab) {
			p.press("p")
			p.wantState("List paused")
		}},
		{"inspector with news", in, page, 200, func(p *tab) {
			p.wantState("Live")
			p.press("j")
			p.until(`document.querySelector("article.request") !== null`)
			full.capture(u, "news")
			p.until(`!document.getElementById("pill").hidden`)
		}},
		{"inspector with a selection", in, page, 200, func(p *tab) {
			p.wantState("Live")
			p.press("jxjx")
			p.until(`document.getElementById("selected").textContent === "2 selected"`)
		}},
		{"resend a selection", in, page, 200, func(p *tab) {
			p.press("jxjx")
			p.click("#selection [type=submit]")
			p.until(`document.querySelector("[name=action]") !== null`)
			p.click("[name=action]")
			p.until(`document.querySelector(".problem") !== null`)
		}},
		{"keyboard help", in, page, 200, func(p *tab) { p.press("?") }},
		{"request with JSON", in, request(object), 200, nil},
		{"headers", in, request(object) + "?tab=headers", 200, nil},
		{"raw", in, request(object) + "?tab=raw", 200, nil},
		{"hex", in, request(object) + "?tab=hex", 200, nil},
		{"cURL", in, request(object) + "?tab=curl", 200, nil},
		{"answer", in, request(object) + "?tab=answer", 200, nil},
		{"delete a request", in, request(object), 200, func(p *tab) { p.click(`button[popovertarget="delete-request"]`) }},
		{"request with a form", in, request(send("PUT", "application/x-www-form-urlencoded", "a=b&c=%ff&"+long+"="+long+long)), 200, nil},
		{"request with parts", in, request(send("PATCH", "multipart/form-data; boundary=b",
			"--b\r\nContent-Disposition: form-data; name=\""+long+"\"; filename=\"f\"\r\n\r\n"+long+"\r\n--b--\r\n")), 200, nil},
		{"request with bytes", in, request(send("DELETE", "image/png", "\x89PNG\r\n\x00\xff")), 200, nil},
		{"request with text", in, request(send("X-"+strings.ToUpper(long[:20]), "text/plain", long+long+"\x1b\u202e")), 200, nil},
		{"request without a body", in, request(send("GET", "text/plain", "")), 200, nil},
		{"gone request", in, request("req_0000000000001"), 404, nil},
		{"clear", in, page + "/clear", 200, nil},
		{"delete a capture URL", in, "/urls/" + other.ID + "/delete", 200, nil},
		{"settings", in, "/settings", 200, func(p *tab) {
			p.fill(`form[action="/settings/tokens"] input`, long)
			p.click(`form[action="/settings/tokens"] button`)
			p.until(`document.getElementById("new-token") !== null`)
		}},
		{"server", in, "/settings/server", 200, nil},
		{"users", in, "/settings", 200, func(p *tab) {
			p.fill("#email", long[:50]+"@example.com")
			p.click(`form[action="/settings/users"] button`)
			p.until(`document.getElementById("invite") !== null`)
		}},
		{"delete a user", in, "/settings", 200, func(p *tab) {
			p.click(`a[href^="/settings/users/"]`)
			p.until(`location.pathname.endsWith("/delete") && document.readyState === "complete"`)
		}},
		{"no such page", in, "/nothing/here", 404, nil},
		{"no such capture URL", in, "/urls/url_0000000000001", 404, nil},
		{"API", in, "/api/docs", 200, nil},
		{"wrong password", out, "/login", 200, func(p *tab) {
			p.fill("#email", "nobody@example.com")
			p.fill("#password", "wrong password")
			p.click("form button")
			p.until(`document.querySelector(".trouble") !== null`)
		}},
	}
	return pages
}
