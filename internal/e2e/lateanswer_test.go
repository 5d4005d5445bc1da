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
