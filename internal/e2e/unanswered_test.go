package e2e

import (
	"fmt"
	"net/http"
	"testing"
)

// failAnswers makes what the page fetches from now on come to nothing: status 0 is no answer at all. askedAt in the page has the
// times of the tries; letAnswers() ends it.
func (p *tab) failAnswers(status int, headers map[string]string) {
	p.t.Helper()
	p.run(`(() => {
		const real = window.fetch;
		window.askedAt = [];
		window.letAnswers = () => { window.fetch = real; };
		window.fetch = async () => {
			askedAt.push(performance.now());
			if (` + js(status) + ` === 0) {
				throw new TypeError("Failed to fetch");
			}
			return new Response("busy", { status: ` + js(status) + `, headers: ` + js(headers) + ` ?? {} });
		};
		window.sameDocument = true;
	})()`)
}

// TestPagesOutliveFailures: a server that has too much to do, or is gone for a moment, costs no page: it stands, says that it
// is not up to date, and asks again, later each time and not before it may.
func TestPagesOutliveFailures(t *testing.T) {
	s := start(t, allowLoopback)
	u := s.newURL(nil)
	sub := s.subscribe(u, "http://127.0.0.1:1/", nil)
	type failure struct {
		status  int
		headers map[string]string
	}
	busy := failure{http.StatusServiceUnavailable, map[string]string{"Retry-After": "2"}}
	p := open(t, s).login()
	p.excuseLostServer()
	for _, page := range []struct {
		path, change, shown string
		failures            []failure
	}{
		{"/", "/api/v1/capture-urls/" + u.ID, `document.querySelector(".url .to").textContent`, []failure{
			{0, nil}, {http.StatusInternalServerError, nil}, {http.StatusTooManyRequests, busy.headers}, busy,
		}},
		{"/urls/" + u.ID, "/api/v1/capture-urls/" + u.ID, `document.querySelector("h1").textContent`, []failure{busy}},
		{"/urls/" + u.ID + "/subscriptions", "/api/v1/subscriptions/" + sub, `document.querySelector(".url .to").textContent`, []failure{busy}},
	} {
		for _, f := range page.failures {
			name := fmt.Sprintf("%s %d", page.path, f.status)
			t.Run(name, func(t *testing.T) {
				p.t = t
				p.visit(page.path)
				p.wantState("Live")
				p.offline(true)
				p.wantState("Offline")
				s.api(http.MethodPatch, page.change, map[string]any{"name": name}, http.StatusOK, nil)
				p.failAnswers(f.status, f.headers)
				p.offline(false)
				p.until(`askedAt.length >= 2`)
				p.wantState("Not up to date")
				if pause := eval[float64](p, "askedAt[1] - askedAt[0]"); f.headers != nil && pause < 1990 {
					t.Errorf("the server wants 2 s, and was asked again after %v ms", pause)
				}
				p.run("letAnswers()")
				p.until(page.shown + ` === ` + js(name))
				p.wantState("Live")
				if !eval[bool](p, "window.sameDocument === true") {
					t.Error("the page was loaded again")
				}
			})
			p.t = t
		}
	}
}

// TestListOutlivesFailures: the list that a reader asks for comes when the server can give it; what arrives meanwhile is in it.
func TestListOutlivesFailures(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 60)
	p := inspect(t, s, u)
	p.failAnswers(http.StatusServiceUnavailable, nil)
	p.click("#foot a")
	p.wantState("Not up to date")
	p.press("n") // instead of it
	ids = append(ids, s.captureMany(u, 2)...)
	p.until(`document.getElementById("count").textContent === "62"`)
	p.run("letAnswers()")
	p.wantState("Live")
	p.wantNewest(ids)
	if !eval[bool](p, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
}

// TestPagesLeaveForGood: what is gone, and a login that has ended, are shown by the browser itself.
func TestPagesLeaveForGood(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	p := open(t, s).login()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone} {
		p.watch(u)
		p.failAnswers(status, nil)
		p.press("n")
		p.until(`window.sameDocument === undefined`)
	}
}

// TestRequestOutlivesFailures: a request that cannot be loaded, because the server is gone, says so in its place. The list stays,
// and the request comes by itself when the server is back.
func TestRequestOutlivesFailures(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 3))
	p := inspect(t, s, u)
	p.excuseLostServer()
	p.run("window.sameDocument = true")
	s.kill()
	p.wantState("Reconnecting")
	const says = `document.querySelector("#detail .not-loaded")?.innerText.includes("could not be loaded")`
	p.press("j")
	p.until(says)
	p.wantOpen(ids[0])
	p.press("j")
	p.wantOpen(ids[1])
	p.click(`[data-id="` + ids[2] + `"] a`)
	p.wantOpen(ids[2])
	p.until(says)
	p.wantRows(ids)
	p.click(`#address form button`)
	p.until(`document.querySelector("#address form button").textContent === "No answer"`)
	p.click(`.not-loaded button`)
	p.until(`document.getElementById("said").textContent === "Not loaded"`)
	s.restart()
	p.until(`document.getElementById("request-heading") !== null && document.querySelector(".not-loaded") === null`)
	p.wantOpen(ids[2])
	p.until(`document.activeElement.id === "request-heading" && location.pathname.endsWith(` + js(ids[2]) + `)`)

	// A tab of the open request that does not come leaves what is there.
	p.wantState("Live")
	p.failAnswers(http.StatusServiceUnavailable, nil)
	p.click(`.tabs-line [data-tab="hex"]`)
	p.until(says)
	p.until(`document.getElementById("request-heading") !== null`)
	p.run("letAnswers()")
	p.click(`.not-loaded button`)
	p.until(`document.querySelector("article.request").dataset.tab === "hex" && document.querySelector(".not-loaded") === null`)
	if !eval[bool](p, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
}

// TestUnloadedRequestStands: what stands for a request that could not be loaded stays when another of its tabs is asked for, is a step of
// the history, and has the title of the request once that is there.
func TestUnloadedRequestStands(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 2))
	p := inspect(t, s, u)
	p.excuseLostServer()
	s.kill()
	p.wantState("Reconnecting")
	p.press("j")
	p.until(`location.pathname.endsWith(` + js(ids[0]) + `) && document.querySelector("#detail .not-loaded") !== null`)
	p.press("r")
	p.until(`document.querySelector("#detail .not-loaded")?.dataset.href.endsWith("?tab=deliveries")`)
	p.wantOpen(ids[0])
	s.restart()
	p.until(`document.activeElement.closest("#resend-form") !== null`)
	p.until(`document.title.startsWith(document.querySelector("article.request").dataset.title)`)
	p.run("history.back()")
	p.wantOpen("")
	p.wantState("Live")
}

// TestLateUntilAnswered: a page that is not up to date says so until it is, also while the server is asked again and is silent.
func TestLateUntilAnswered(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := inspect(t, s, s.newURL(nil))
	p.failAnswers(http.StatusServiceUnavailable, nil)
	p.press("n")
	p.until("askedAt.length === 1")
	p.run(`(() => {
		const may = new Promise((go) => { const before = letAnswers; window.letAnswers = () => { before(); go(); }; });
		window.fetch = async (...args) => { window.isSilent = true; await may; return window.fetch(...args); };
	})()`)
	p.until("window.isSilent === true")
	if state := p.text("#live"); state != "Not up to date" {
		t.Errorf("while the server is silent the page says %q", state)
	}
	p.run("letAnswers()")
	p.wantState("Live")
}

// TestCloseWithoutServer: a page that came with a request open can close it, whether or not the server is there.
func TestCloseWithoutServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 3))
	p := open(t, s).login()
	p.excuseLostServer()
	p.visit("/urls/" + u.ID + "/requests/" + ids[1])
	p.wantState("Live")
	s.kill()
	p.wantState("Reconnecting")
	p.press(keyEscape)
	p.wantOpen("")
	p.wantRows(ids)
	p.until(`document.getElementById("welcome").innerText.includes("No request is open") && location.pathname === ` + js("/urls/"+u.ID))
}

// TestFormsOutliveFailures: a form that the server is not there for stays with what was typed, says so, and is sent later.
func TestFormsOutliveFailures(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	sub := s.subscribe(u, g.URL, map[string]any{"name": "shop"})
	id := s.capture(u, "x")
	page := "/urls/" + u.ID
	p := open(t, s).login()
	p.excuseLostServer()
	p.excuse("422") // "typed" is no URL to resend to
	const says = `document.querySelector(".not-sent")?.innerText === "The server cannot be reached: nothing was sent."`
	for _, test := range []struct{ name, path, field, button, done string }{
		{"settings", page + "/settings", "#name", `form[action$="/settings"] button`, `document.querySelector("h1").textContent === "typed"`},
		{"subscription", "/subscriptions/" + sub + "/edit", "#name", `button[value=save]:not(.sr-only)`, `document.querySelector("h1").textContent === "typed"`},
		{"resend", page + "/requests/" + id + "?tab=deliveries", "#resend-form [name=target_url]", "#resend-form button", `document.querySelector("#resend-form .problem:not(.not-sent)") !== null`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.t = t
			p.visit(test.path)
			p.fill(test.field, "typed")
			s.kill()
			p.click(test.button)
			p.until(says)
			if got := eval[string](p, `document.querySelector(`+js(test.field)+`).value`); got != "typed" {
				t.Errorf("the field has %q", got)
			}
			s.restart()
			p.click(test.button)
			p.until(test.done)
		})
		p.t = t
	}
}
