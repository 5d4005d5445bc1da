package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// holdAnswers makes what the page fetches from now on wait behind the answer: the server has made it, and the page has it
// once letAnswers is called. heldAnswers() in the page is how many wait.
func (p *tab) holdAnswers() {
	p.t.Helper()
	p.run(`(() => {
		const real = window.fetch;
		const may = new Promise((go) => { window.letAnswers = () => { window.fetch = real; go(); }; });
		let held = 0;
		window.heldAnswers = () => held;
		window.fetch = async (...args) => {
			const response = await real(...args);
			held++;
			await may;
			return response;
		};
	})()`)
}

// TestHomeWhileItIsRead: what the socket tells while the list of capture URLs is fetched is newer than that list.
func TestHomeWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second, third := s.newURL(nil), s.newURL(nil), s.newURL(nil)
	p := open(t, s).login()
	p.excuseLostServer()
	p.visit("/")
	p.wantState("Live")
	p.offline(true)
	p.wantState("Offline")
	s.capture(third, "x")
	p.holdAnswers()
	p.offline(false)
	p.until("heldAnswers() === 1")

	line := func(u captureURL) string { return find(`#urls [data-id="` + u.ID + `"]`) }
	s.capture(first, "x")
	s.api(http.MethodDelete, "/api/v1/capture-urls/"+second.ID, nil, http.StatusNoContent, nil)
	fourth := s.newURL(nil)
	shown := line(first) + `.innerText.includes("1 request") && ` + line(second) + ` === null && ` + line(fourth) + ` !== null`
	p.until(shown)
	p.run("letAnswers()")
	p.until(line(third) + `.innerText.includes("1 request")`) // only the list that was fetched says so
	if !eval[bool](p, shown) {
		t.Errorf("the list went back to:\n%s", p.text("#urls"))
	}
	want := strings.Join([]string{fourth.ID, third.ID, first.ID}, ",")
	if got := eval[string](p, `[...document.getElementById("urls").children].map((line) => line.dataset.id).join()`); got != want {
		t.Errorf("the lines are %s, want %s", got, want)
	}
}

// TestCountWhileItIsRead: a request that is deleted while the list is fetched is not counted again.
func TestCountWhileItIsRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 3)
	p := inspect(t, s, u)
	p.until(`document.getElementById("count").textContent === "3"`)
	p.holdAnswers()
	s.api(http.MethodPatch, "/api/v1/capture-urls/"+u.ID, map[string]any{"name": "invoices"}, http.StatusOK, nil)
	p.until("heldAnswers() === 1")
	s.api(http.MethodDelete, "/api/v1/requests/"+ids[1], nil, http.StatusNoContent, nil)
	p.until(`document.getElementById("count").textContent === "2"`)
	p.run("letAnswers()")
	p.until(`document.querySelector("h1").textContent === "invoices"`) // what was fetched is there
	p.wantCount("2")
	p.wantRows([]string{ids[2], ids[0]})
}

// wantCount compares both numbers of requests that the inspector shows.
func (p *tab) wantCount(n string) {
	p.t.Helper()
	if got := eval[string](p, `document.getElementById("count").textContent`); got != n {
		p.t.Errorf("the list counts %s, want %s", got, n)
	}
	if got := p.text("#kept"); !strings.HasPrefix(got, n+" kept") {
		p.t.Errorf("the address bar says %q, want %s", got, n)
	}
}

// TestRemovedWhileListIsRead: a row that is deleted while another page of the list is fetched does not come back with it.
func TestRemovedWhileListIsRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ids := s.captureMany(u, 3)
	p := inspect(t, s, u)
	p.holdAnswers()
	p.press("n")
	p.until("heldAnswers() === 1")
	s.api(http.MethodDelete, "/api/v1/requests/"+ids[1], nil, http.StatusNoContent, nil)
	p.until(`document.getElementById("count").textContent === "2"`)
	p.run(`document.getElementById("rows").dataset.old = ""`)
	p.run("letAnswers()")
	p.until(`!("old" in document.getElementById("rows").dataset)`)
	p.wantRows([]string{ids[2], ids[0]})
	p.wantCount("2")
}
