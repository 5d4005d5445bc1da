package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestLayout looks at places where a page has had too little room for what stands there.
func TestLayout(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(map[string]any{"name": "My first capture URL"})
	s.subscribe(u, g.URL, map[string]any{"name": "ok"})
	held := s.subscribe(u, "http://127.0.0.1:1/", map[string]any{"name": "Shop of the north"})
	id := s.capture(u, "x")
	s.delivery(id, "waiting")
	s.api(http.MethodPatch, "/api/v1/subscriptions/"+held, map[string]any{"enabled": false}, http.StatusOK, nil)
	s.api(http.MethodPatch, "/api/v1/capture-urls/"+u.ID, map[string]any{"rate_per_second": 1}, http.StatusOK, nil)
	for range 8 { // of which four are refused
		resp, err := http.DefaultTransport.RoundTrip(s.newPost("/in/"+u.Slug, "x"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	page := "/urls/" + u.ID
	p := open(t, s).login()
	wide, middle, narrow := [2]int64{1440, 900}, [2]int64{1024, 768}, [2]int64{375, 812}
	for _, test := range []struct {
		name    string
		size    [2]int64
		path    string
		prepare func()
		holds   string
	}{
		{"all of the list's buttons stand in one line", wide, page, nil, `(() => {
			const count = document.getElementById("count");
			if (count.textContent !== "10,000") { // it is told anew when the page is read again
				count.textContent = "10,000";
			}
			return !document.getElementById("seen").hidden && document.querySelector(".list-head").offsetHeight < 50;
		})()`},
		{"a request's deliveries fit beside the list", middle, page + "/requests/" + id + "?tab=deliveries", nil, `(() => {
			const box = document.querySelector("#request-deliveries .table-container");
			const lines = (cell) => Math.round(cell.getBoundingClientRect().height / parseFloat(getComputedStyle(cell).lineHeight));
			return box.scrollWidth <= box.clientWidth && [...box.querySelectorAll(".why")].every((why) => lines(why) <= 2);
		})()`},
		{"target and age stand beside the state", narrow, page + "/deliveries", nil, `[...document.querySelectorAll(".deliveries tbody tr")].every((row) => {
			const [what, to, made] = [".what", ".to", ".made"].map((cell) => row.querySelector(cell).getBoundingClientRect());
			return Math.abs(what.top - to.top) < 5 && Math.abs(what.top - made.top) < 5 && to.left - what.right < 40;
		})`},
		{"a narrow page has only the way up", narrow, page + "/deliveries", nil, `[...document.querySelectorAll(".crumbs a, .crumbs span")].filter((crumb) => crumb.checkVisibility())
			.map((crumb) => crumb.textContent).join() === "My first capture URL"`},
		{"a narrow inspector has its name and the way up", narrow, page, nil, `(() => {
			const name = document.querySelector("[data-crumb]"), up = document.querySelector(".crumbs a").getBoundingClientRect();
			return name.scrollWidth <= name.clientWidth + 40 && up.width >= 24 && up.height >= 24 && name.clientWidth > 100;
		})()`},
		{"the ways to both neighbours stand in one line", narrow, page + "/requests/" + id, nil, `(() => {
			const [up, down] = [...document.querySelectorAll(".neighbours > *")].map((way) => way.getBoundingClientRect());
			return up.top === down.top && down.left >= up.right;
		})()`},
		{"a target URL has the width of its line", narrow, page + "/subscriptions", nil, `[...document.querySelectorAll(".subscription-row")].every((row) =>
			row.querySelector(".address-text").offsetWidth > row.clientWidth - 20)`},
		{"buttons that are pressed stand apart", wide, page, func() { p.click("#pause"); p.click("#select") }, `document.getElementById("select").getBoundingClientRect().left - document.getElementById("pause").getBoundingClientRect().right >= 4`},
		{"the address bar is one line while something is refused", wide, page, nil, `(() => {
			const tops = [...document.querySelectorAll("#address .facts > *, #address .btn")].map((part) => part.getBoundingClientRect());
			return document.querySelector(".refusals") !== null && Math.max(...tops.map((box) => box.top)) < Math.min(...tops.map((box) => box.bottom));
		})()`},
		{"links of a narrow address bar do not stand alone", narrow, page, nil, `(() => {
			const tops = [...document.querySelectorAll("#address .facts > a")].map((link) => Math.round(link.getBoundingClientRect().top));
			return tops.at(-1) === tops.at(-2);
		})()`},
		{"an e-mail address is not broken", middle, "/settings", func() {
			p.fill("#name", strings.Repeat("a token ", 11))
			p.click(`form[action="/settings/tokens"] button`)
			p.until(`document.getElementById("new-token") !== null`)
		}, `[...document.querySelectorAll("td[data-label=User]")].every((cell) => cell.firstChild && (() => {
			const text = document.createRange();
			text.selectNodeContents(cell);
			return text.getClientRects().length === 1;
		})())`},
		{"only headers and parameters have a name", wide, page + "/subscriptions/new", func() {
			p.run(`for (const d of document.querySelectorAll("details")) { d.open = true; }
				document.getElementById("field-0").value = "path"; document.getElementById("field-1").value = "header"; document.getElementById("field-2").value = "path";
				document.getElementById("name-2").value = "typed before";`)
		}, `[0, 1, 2].map((n) => document.getElementById("name-" + n).checkVisibility()).join() === "false,true,true"`},
		{"trouble in the address bar is coloured", wide, page, nil, `(() => {
			const colour = (link) => getComputedStyle(document.querySelector(link)).color;
			return colour(".facts a.warn") !== colour(".facts a:not(.warn)");
		})()`},
		{"what a test came to is as wide as the form", wide, "/subscriptions/" + held + "/edit", func() {
			p.click("button[value=test]")
			p.until(`document.querySelector("#test-heading") !== null`)
		}, `document.querySelector("#test-heading").closest("section").offsetWidth === document.querySelector("form.form").offsetWidth`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.t = t
			p.size(test.size[0], test.size[1])
			p.visit(test.path)
			if test.prepare != nil {
				test.prepare()
			}
			p.until(test.holds)
		})
		p.t = t
	}
}
