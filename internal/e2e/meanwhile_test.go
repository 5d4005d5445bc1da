package e2e

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// slowTarget is a target that answers once it is let go.
func slowTarget(t *testing.T) (url string, letGo func()) {
	t.Helper()
	goOn := make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-goOn }))
	t.Cleanup(target.Close)
	letGo = sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(letGo)
	return target.URL, letGo
}

// wantDelivery waits until the only delivery of a request is in a state.
func (s *server) wantDelivery(request, state string) {
	s.t.Helper()
	eventually(s.t, request+" is "+state, func() bool {
		var page struct{ Items []struct{ State string } }
		s.api(http.MethodGet, "/api/v1/deliveries?request_id="+request, nil, http.StatusOK, &page)
		return len(page.Items) == 1 && page.Items[0].State == state
	})
}

// TestMarksAfterReconnect: each row that a page catches up with says what has become of its deliveries, however many they are.
func TestMarksAfterReconnect(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	s.subscribe(u, g.URL, nil)
	p := inspect(t, s, u)
	p.excuseLostServer()
	p.offline(true)
	p.wantState("Offline")
	ids := s.captureMany(u, 120)
	s.wantDelivery(ids[0], "succeeded")
	for _, id := range ids {
		s.wantDelivery(id, "succeeded")
	}
	p.offline(false)
	p.wantRows(newestFirst(ids))
	p.until(`[...document.querySelectorAll("#rows .outcome")].filter((mark) => mark.textContent.includes("200")).length === 120`)
}

// TestMarkWhileListIsRead: what a delivery comes to while the list is fetched is newer than that list.
func TestMarkWhileListIsRead(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	target, letGo := slowTarget(t)
	u := s.newURL(nil)
	s.subscribe(u, target, nil)
	p := inspect(t, s, u)
	id := s.capture(u, "x")
	mark := find(`[data-id="`+id+`"] .outcome`) + "?.textContent"
	p.until(mark + `.includes("sending")`)
	p.click(`[data-id="` + id + `"] a`)
	p.wantOpen(id)
	p.holdAnswers()
	p.press("n")
	p.until("heldAnswers() === 1")
	letGo()
	p.until("heldAnswers() >= 2") // the request is read again: the page has been told of the delivery
	p.run("letAnswers()")
	p.until(mark + `.includes("200")`)
}

// heardFrames makes pages keep in heard what their sockets were told.
const heardFrames = `
	const Real = WebSocket;
	window.heard = [];
	window.WebSocket = class extends Real {
		constructor(address) {
			super(address);
			this.addEventListener("message", (event) => heard.push(JSON.parse(event.data)));
		}
	};`

// TestMarkWhileAGapIsFilled: what was told of a row that is not drawn yet is shown once it is.
func TestMarkWhileAGapIsFilled(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	s.subscribe(u, g.URL, nil)
	p := open(t, s).login()
	_, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: heardFrames})
	p.must(err)
	p.watch(u)
	p.wantRows(newestFirst(s.captureMany(u, 3)))
	p.run(`(() => {
		const gap = document.createElement("li");
		gap.className = "gap";
		gap.dataset.count = "1";
		gap.append(Object.assign(document.createElement("button"), { type: "button" }));
		document.querySelector("#rows [data-id]").after(gap);
		const real = window.fetch, draws = [];
		window.requestAnimationFrame = (draw) => draws.push(draw);
		window.drawAll = () => draws.splice(0).forEach((draw) => draw());
		window.fetch = async (url, ...rest) => {
			await new Promise((go) => { window.letFill = go; });
			return real(url, ...rest);
		};
	})()`)
	p.run(`document.querySelector("#rows .gap button").click()`)
	p.until("window.letFill !== undefined")
	id := s.capture(u, "new")
	p.until(`heard.some((frame) => frame.type === "deliveries" && frame.marks[` + js(id) + `]?.includes("200"))`)
	p.run("letFill()")
	p.until(`document.querySelector("#rows .gap") === null`)
	p.run("drawAll()")
	p.until(find(`[data-id="`+id+`"] .outcome`) + `?.textContent.includes("200")`)
}

// TestDeliveredWhileItIsOpened: what a delivery comes to while its request is fetched is shown on it.
func TestDeliveredWhileItIsOpened(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	target, letGo := slowTarget(t)
	u := s.newURL(nil)
	s.subscribe(u, target, nil)
	p := inspect(t, s, u)
	id := s.capture(u, "x")
	p.until(find(`[data-id="`+id+`"] .outcome`) + `?.textContent.includes("sending")`)
	p.holdAnswers()
	p.click(`[data-id="` + id + `"] a`)
	p.until("heldAnswers() === 1")
	letGo()
	p.until(find(`[data-id="`+id+`"] .outcome`) + `.textContent.includes("200")`)
	p.run("letAnswers()")
	p.wantOpen(id)
	p.until(`document.getElementById("deliveries-outcome").textContent.includes("200")`)
}

// TestOlderPageStaysOlder: what arrives while the newest requests are fetched is not put on top of an older page that is asked for
// instead.
func TestOlderPageStaysOlder(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := newestFirst(s.captureMany(u, 120))
	p := inspect(t, s, u)
	p.holdAnswers()
	p.press("n")
	p.until("heldAnswers() === 1")
	s.capture(u, "late")
	p.until(`document.getElementById("count").textContent === "121"`)
	p.click("#foot a")
	p.until("heldAnswers() === 2")
	p.run("letAnswers()")
	p.until(idsScript + `[0] === ` + js(ids[50]))
	p.run(`document.dispatchEvent(new Event("visibilitychange"))`) // the tab is looked at again
	p.until(idsScript + `[0] === ` + js(ids[50]))
	p.until(`document.getElementById("pill").textContent.startsWith("1 new")`)
}

// TestPressedTwice: the same button, pressed again before there is an answer, sends nothing more; another one is sent in its place.
func TestPressedTwice(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	p := open(t, s).login()
	p.visit("/urls/" + u.ID + "/subscriptions/new")
	p.fill("#name", "shop")
	p.fill("#target_url", g.URL)
	p.run(`(() => {
		const real = window.fetch, waiting = [];
		window.signs = () => waiting.length;
		window.letSigns = () => waiting.splice(0).forEach((go) => go());
		window.fetch = async (...args) => {
			await new Promise((go) => waiting.push(go));
			return real(...args);
		};
	})()`)
	test, save := find(`button[value=test]`)+`.click();`, find(`button[value=save]:not(.sr-only)`)+`.click();`
	p.run(save + test + test + save + save)
	p.until(`document.getElementById("said").textContent === "It is being sent"`)
	p.until("signs() === 3")
	p.run("letSigns()")
	p.until(`location.pathname.startsWith("/subscriptions/sub_")`)
	var all struct{ Items []struct{ Name string } }
	s.api(http.MethodGet, "/api/v1/subscriptions", nil, http.StatusOK, &all)
	if tests, _ := g.received(); len(all.Items) != 1 || tests != 0 {
		t.Errorf("%d subscriptions are made, and %d tests sent; want one and none", len(all.Items), tests)
	}
}

// TestPressedFormIsSent: a button is pressed, and its part of the page is read again before the server has given a sign: the form is
// sent all the same.
func TestPressedFormIsSent(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	sub := "/subscriptions/" + s.subscribe(u, g.URL, nil)
	p := open(t, s).login()
	p.visit(sub)
	p.wantState("Live")
	p.run(`(() => {
		const real = window.fetch;
		window.fetch = async (...args) => {
			if (args[1]?.method === "HEAD") {
				await new Promise((go) => { window.letSign = go; });
			}
			return real(...args);
		};
	})()`)
	const pause = `#subscription-actions form[action$="/pause"] button`
	p.click(pause)
	p.until("window.letSign !== undefined")
	s.api(http.MethodPatch, "/api/v1"+sub, map[string]any{"enabled": false}, http.StatusOK, nil)
	p.until(find(pause) + " === null")
	p.run("letSign()")
	p.until(`document.body.innerText.includes("Paused: deliveries wait.")`)
	var now struct{ Paused bool }
	s.api(http.MethodGet, "/api/v1"+sub, nil, http.StatusOK, &now)
	if !now.Paused {
		t.Error("it is not paused")
	}
}

// TestWelcomeFollowsThePause: where no request is open, a test request can be sent when capturing goes on.
func TestWelcomeFollowsThePause(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	for _, paused := range []bool{true, false, true} {
		s.api(http.MethodPatch, "/api/v1/capture-urls/"+u.ID, map[string]any{"paused": paused}, http.StatusOK, nil)
		p.until(find("#welcome-actions button") + ".disabled === " + js(paused))
		p.until(`document.getElementById("welcome-actions").innerText.includes("has to wait") === ` + js(paused))
	}
}

// TestOlderURLs: an older page of the list of capture URLs has no live view, and no errors.
func TestOlderURLs(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	later := s.newURL(nil)
	p := open(t, s).login()
	p.visit("/?before=" + later.ID)
	p.until(find(`#urls [data-id="`+u.ID+`"]`) + " !== null && " + find(`#urls [data-id="`+later.ID+`"]`) + " === null")
}

// TestGoneBehindAFragment: a page whose address has a fragment, as the link to its content leaves it, is left as well when what it
// shows is gone.
func TestGoneBehindAFragment(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	g := newReceiver(t)
	sub := "/subscriptions/" + s.subscribe(s.newURL(nil), g.URL, nil)
	p := open(t, s).login()
	p.excuse("404")
	p.visit(sub + "#main")
	p.wantState("Live")
	s.api(http.MethodDelete, "/api/v1"+sub, nil, http.StatusNoContent, nil)
	p.until(`document.querySelector("h1").textContent === "Not Found"`)
}
