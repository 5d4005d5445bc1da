package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// inspect logs in, opens the page of a capture URL and waits until it is live.
func inspect(t testing.TB, s *server, u captureURL) *tab {
	t.Helper()
	p := open(t, s).login()
	p.watch(u)
	return p
}

// watch opens the page of a capture URL and waits until it is live.
func (p *tab) watch(u captureURL) {
	p.t.Helper()
	p.visit("/urls/" + u.ID)
	p.wantState("Live")
}

func (p *tab) wantState(text string) {
	p.t.Helper()
	p.until(`document.getElementById("live").textContent === ` + js(text))
}

// excuseLostServer allows what the browser logs while the server is away.
func (p *tab) excuseLostServer() {
	p.excuse("WebSocket connection to")
	p.excuse("net::ERR_CONNECTION_REFUSED")
	p.excuse("net::ERR_CONNECTION_RESET")
	p.excuse("net::ERR_EMPTY_RESPONSE")
	p.excuse("net::ERR_SOCKET_NOT_CONNECTED")
	p.excuse("net::ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.excuse("net::ERR_INTERNET_DISCONNECTED")
}

// TestLiveRows: what arrives stands on top of the list, in order and once, without a reload.
func TestLiveRows(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 5)
	p := inspect(t, s, u)
	p.run("window.sameDocument = true")
	p.wantRows(newestFirst(ids))
	ids = append(ids, s.captureMany(u, 70)...)
	p.wantRows(newestFirst(ids))
	p.until(`document.getElementById("count").textContent === "75"`)
	if !eval[bool](p, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
	if row := p.text(`[data-id="` + ids[74] + `"]`); row == "" {
		t.Error("the newest row has no text")
	}
}

// TestLiveAfterRestart: what arrives while a page has no connection is shown once it has one again.
func TestLiveAfterRestart(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 3)
	p := inspect(t, s, u)
	p.excuseLostServer()
	stops := map[string]func(){
		"killed": s.kill,
		"ended": func() {
			if err := s.terminate(); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			ids = append(ids, s.captureMany(u, 2)...)
			p.wantRows(newestFirst(ids))
			stop()
			p.wantState("Reconnecting")
			s.restart()
			ids = append(ids, s.captureMany(u, 20)...)
			p.wantState("Live")
			ids = append(ids, s.captureMany(u, 5)...)
			p.wantRows(newestFirst(ids))
		})
	}
	t.Run("a lot came", func(t *testing.T) {
		s.kill()
		p.wantState("Reconnecting")
		s.restart()
		for len(ids) < 700 {
			ids = append(ids, s.capture(u, "x"))
		}
		p.wantNewest(ids)
		p.until(`document.getElementById("count").textContent === "700"`)
	})
}

// wantNewest waits until the list starts with the newest of these requests, given oldest first, and has no gaps; then it
// has to be the newest ones, in order and once each.
func (p *tab) wantNewest(ids []string) {
	p.t.Helper()
	p.until(idsScript + `[0] === ` + js(ids[len(ids)-1]))
	p.until(`document.querySelector("#rows .gap") === null`)
	got := eval[[]string](p, idsScript)
	if want := newestFirst(ids)[:len(got)]; !slices.Equal(got, want) {
		p.t.Errorf("rows, want - and got +:\n%s", cmp.Diff(want, got))
	}
}

// TestLiveOffline: the page says that it is offline, and catches up.
func TestLiveOffline(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	p.excuseLostServer()
	p.offline(true)
	p.wantState("Offline")
	ids := s.captureMany(u, 4)
	p.offline(false)
	p.wantState("Live")
	p.wantRows(newestFirst(ids))
}

// offline takes the network away from the tab, or gives it back.
func (p *tab) offline(off bool) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: off, DownloadThroughput: -1, UploadThroughput: -1,
	})
	p.must(err)
}

// TestDeletedMeanwhile: what was deleted while a page had no connection is gone from it afterwards.
func TestDeletedMeanwhile(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 5)
	p := inspect(t, s, u)
	p.excuseLostServer()
	p.offline(true)
	p.wantState("Offline")
	s.api(http.MethodDelete, "/api/v1/requests/"+ids[2], nil, http.StatusNoContent, nil)
	s.api(http.MethodDelete, "/api/v1/requests/"+ids[4], nil, http.StatusNoContent, nil)
	ids = []string{ids[0], ids[1], ids[3]}
	p.offline(false)
	p.wantState("Live")
	p.wantRows(newestFirst(ids))
}

// TestHomeMeanwhile: the list of capture URLs is right again after the connection was lost.
func TestHomeMeanwhile(t *testing.T) {
	s := start(t)
	var urls []captureURL
	for _, name := range []string{"first", "second", "third"} {
		urls = append(urls, s.newURL(map[string]any{"name": name}))
	}
	p := open(t, s).login()
	p.excuseLostServer()
	p.visit("/")
	p.wantState("Live")
	p.offline(true)
	p.wantState("Offline")
	s.api(http.MethodDelete, "/api/v1/capture-urls/"+urls[1].ID, nil, http.StatusNoContent, nil)
	s.capture(urls[0], "x")
	fourth, fifth := s.newURL(nil), s.newURL(nil)
	p.offline(false)
	want := []string{fifth.ID, fourth.ID, urls[2].ID, urls[0].ID}
	p.until(`[...document.getElementById("urls").children].map((line) => line.dataset.id).join() === ` + js(strings.Join(want, ",")))
	p.until(find(`#urls [data-id="`+urls[0].ID+`"]`) + `.innerText.includes("1 request")`)
}

// TestHomeDrawsNothingGone: a line that was read and not drawn yet is not drawn when its capture URL is gone by then.
func TestHomeDrawsNothingGone(t *testing.T) {
	s := start(t)
	first, second := s.newURL(nil), s.newURL(nil)
	p := open(t, s).login()
	p.excuseLostServer()
	p.visit("/")
	p.wantState("Live")
	p.run(`window.held = []; window.requestAnimationFrame = (draw) => held.push(draw)`)
	s.capture(first, "x")
	s.capture(second, "x")
	p.until("held.length > 0")
	p.offline(true)
	p.wantState("Offline")
	s.api(http.MethodDelete, "/api/v1/capture-urls/"+second.ID, nil, http.StatusNoContent, nil)
	p.offline(false)
	p.until(`document.querySelectorAll("#urls li").length === 1`)
	p.run("for (const draw of held) draw()")
	if n := eval[int](p, `document.querySelectorAll("#urls li").length`); n != 1 {
		t.Errorf("%d capture URLs are listed, want 1", n)
	}
	p.until(find(`#urls [data-id="`+first.ID+`"]`) + `.innerText.includes("1 request")`)
}

// TestListUnderTraffic: going back to the newest requests while more arrive loses none and doubles none.
func TestListUnderTraffic(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	done := make(chan []string)
	stop := make(chan struct{})
	go func() {
		var ids []string
		for {
			select {
			case <-stop:
				done <- ids
				return
			default:
				ids = append(ids, s.capture(u, "x"))
			}
		}
	}()
	for range 15 {
		p.press("p") // pauses
		p.until(`document.getElementById("live").textContent.includes("new")`)
		p.press("p")
		p.until(`document.getElementById("live").textContent === "Live"`)
	}
	close(stop)
	ids := <-done
	p.wantNewest(ids)
	p.until(`document.getElementById("count").textContent.replace(",", "") === ` + js(fmt.Sprint(len(ids))))
}

// TestPauseList: a paused list stays as it is and says what waits.
func TestPauseList(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 3)
	p := inspect(t, s, u)
	p.click("#pause")
	p.wantState("List paused")
	later := s.captureMany(u, 4)
	p.wantState("List paused · 4 new")
	p.wantRows(newestFirst(ids))
	p.click("#pause")
	p.wantState("Live")
	ids = append(ids, later...)
	p.wantRows(newestFirst(ids))
	ids = append(ids, s.captureMany(u, 2)...)
	p.wantRows(newestFirst(ids))
}

// TestPausedListIsNotRead: rows that stand in a paused list do not count as seen, those that came just before it least of all.
func TestPausedListIsNotRead(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	s.captureMany(u, 3)
	p := inspect(t, s, u)
	const unread = `document.querySelectorAll("#rows .unread").length`
	p.until(unread + " === 3")
	p.run(`(() => {
		const real = window.setTimeout;
		window.waits = 0;
		window.setTimeout = (action, ms, ...rest) => (ms === 10_000 ? (waits++, real(action, 1_000, ...rest)) : real(action, ms, ...rest));
	})()`)
	p.press("n")
	p.until("waits > 0")
	p.press("p")
	p.wantState("List paused")
	p.run("new Promise((end) => setTimeout(end, 1_500))")
	if n := eval[int](p, unread); n != 3 {
		t.Errorf("%d rows are unread", n)
	}
	p.press("p")
	p.until(unread + " === 0")
}

// TestFollowUntilMoved: the list follows the newest request until the reader scrolls or opens one; then it stays where
// it is and a button says how many are new.
func TestFollowUntilMoved(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 40)
	p := inspect(t, s, u)
	const scrollTop = `document.getElementById("scroller").scrollTop`
	pill := func(text string) string {
		return `!document.getElementById("pill").hidden && document.getElementById("pill").textContent.startsWith(` + js(text) + `)`
	}
	p.run(`document.getElementById("scroller").scrollBy({ top: 400, behavior: "instant" })`)
	p.until(scrollTop + " === 400")
	p.run(frameScript) // the page hears of it with the next frame
	ids = append(ids, s.captureMany(u, 3)...)
	p.until(pill("3 new"))
	p.wantRows(newestFirst(ids[:40]))
	if top := eval[float64](p, scrollTop); top != 400 {
		t.Errorf("the list jumped from 400 to %v", top)
	}
	p.click("#pill")
	p.wantRows(newestFirst(ids))
	p.until(scrollTop + ` === 0 && document.getElementById("pill").hidden`)

	p.press("j")
	p.until(`document.querySelector("article.request")?.dataset.id === ` + js(ids[42]))
	ids = append(ids, s.captureMany(u, 2)...)
	p.until(pill("2 new"))
	p.wantRows(newestFirst(ids[:43]))
	p.press(keyEscape)
	p.wantRows(newestFirst(ids))
}

// TestHiddenTab: the title of a tab that nobody looks at says how many requests are new.
func TestHiddenTab(t *testing.T) {
	s := start(t)
	u := s.newURL(map[string]any{"name": "payments"})
	p := inspect(t, s, u)
	other := p.sibling(chromedp.WithNewWindow(false))
	other.visit("/urls/new")
	other.show()
	p.until("document.hidden")
	ids := s.captureMany(u, 3)
	p.until(`document.title === "(3) payments · Hookkeeper"`)
	ids = append(ids, s.captureMany(u, 2)...)
	p.until(`document.title === "(5) payments · Hookkeeper"`)
	p.show()
	p.until(`document.title === "payments · Hookkeeper"`)
	p.wantRows(newestFirst(ids))
}

// TestDeletionIsLive: what one tab deletes is gone from another.
func TestDeletionIsLive(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 4)
	p := inspect(t, s, u)
	other := p.sibling()
	other.watch(u)
	other.wantRows(newestFirst(ids))

	p.click(`[data-id="` + ids[1] + `"] a`)
	p.until(`document.querySelector("article.request")?.dataset.id === ` + js(ids[1]))
	p.click(`button[popovertarget="delete-request"]`)
	p.click(`#delete-request form button:not([popovertarget])`)
	ids = slices.Delete(ids, 1, 2)
	other.wantRows(newestFirst(ids))
	other.until(`document.getElementById("count").textContent === "3"`)
	p.wantRows(newestFirst(ids))

	p.visit("/urls/" + u.ID)
	p.click("#clear")
	p.click(`form[action$="/clear"] button`)
	p.until(`location.pathname === ` + js("/urls/"+u.ID) + ` && document.readyState === "complete"`)
	p.wantRows(nil)
	other.wantRows(nil)
	other.until(`!document.getElementById("no-rows").hidden`)

	ids = s.captureMany(u, 1)
	p.wantRows(ids)
	other.wantRows(ids)
}

// TestRetentionIsLive: rows that retention has removed leave the open list.
func TestRetentionIsLive(t *testing.T) {
	s := start(t)
	u := s.newURL(map[string]any{"keep": map[string]any{"requests": 10, "days": nil, "bytes": nil}})
	p := inspect(t, s, u)
	ids := s.captureMany(u, 60)
	p.wantRows(newestFirst(ids[50:]))
	p.until(`document.getElementById("count").textContent === "10"`)
}

// TestCaptureURLIsLive: its page tells of a new name and of its end.
func TestCaptureURLIsLive(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	p.run(`document.querySelector(".facts a:last-child").focus()`)
	s.api(http.MethodPatch, "/api/v1/capture-urls/"+u.ID, map[string]any{"name": "invoices", "paused": true}, http.StatusOK, nil)
	p.until(`document.querySelector("h1").textContent === "invoices" && document.title === "invoices · Hookkeeper"`)
	p.until(`document.getElementById("address").innerText.includes("Paused")`)
	p.until(`document.activeElement.textContent === "Settings"`)
	s.api(http.MethodDelete, "/api/v1/capture-urls/"+u.ID, nil, http.StatusNoContent, nil)
	p.until(`document.getElementById("degraded").innerText.includes("gone")`)
}

// TestHomeIsLive: the list of capture URLs follows what happens to them.
func TestHomeIsLive(t *testing.T) {
	s := start(t)
	first := s.newURL(map[string]any{"name": "first"})
	p := open(t, s).login()
	p.visit("/")
	p.wantState("Live")
	line := func(u captureURL) string { return find(`#urls [data-id="` + u.ID + `"]`) }
	p.until(line(first) + `.innerText.includes("none yet")`)
	for n := 1; n <= 3; n++ {
		s.capture(first, "x")
	}
	p.until(line(first) + `.innerText.includes("3 requests")`)
	p.until(line(first) + `.innerText.includes("new")`)
	second := s.newURL(map[string]any{"name": "second"})
	p.until(line(second) + ` === document.getElementById("urls").firstElementChild`)
	s.api(http.MethodPatch, "/api/v1/capture-urls/"+second.ID, map[string]any{"name": "renamed"}, http.StatusOK, nil)
	p.until(line(second) + `.innerText.includes("renamed")`)
	for _, u := range []captureURL{first, second} {
		s.api(http.MethodDelete, "/api/v1/capture-urls/"+u.ID, nil, http.StatusNoContent, nil)
		p.until(line(u) + " === null")
	}
	p.until(`!document.getElementById("no-urls").hidden`)
}

// TestLiveEndsWithSession: a logout in one tab sends the others to the login.
func TestLiveEndsWithSession(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := inspect(t, s, u)
	other := p.sibling()
	other.visit("/")
	other.click(`[popovertarget="account"]`)
	other.click(`form[action="/logout"] button`)
	p.until(fmt.Sprintf(`location.pathname === "/login" && new URLSearchParams(location.search).get("next") === %s`, js("/urls/"+u.ID)))
}
