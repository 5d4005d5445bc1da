package e2e

import (
	"strings"
	"testing"
)

// TestTypedURLIsChosen: who types another URL has it chosen, in place of the subscription, which comes back when it is emptied.
func TestTypedURLIsChosen(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	sub := s.subscribe(u, g.URL, nil)
	p := open(t, s).login()
	p.visit("/urls/" + u.ID + "/requests/" + s.capture(u, "body") + "/edit")
	const to = `document.getElementById("to").value`
	p.until(to + " === " + js(sub))
	p.fill("#target_url", g.URL+"/typed")
	p.until(to + ` === "" && document.getElementById("said").textContent === "To: the URL below"`)
	p.run(`document.getElementById("target_url").select()`)
	p.press("\b")
	p.until(to + " === " + js(sub))
	p.fill("#target_url", g.URL+"/typed")
	p.click("form.form .actions .btn")
	p.until(`document.querySelector("h1")?.textContent === ` + js("Delivery to "+g.URL+"/typed"))
}

// TestEnterSaves: Enter in the form of a subscription does what its main button does, not what its first one does.
func TestEnterSaves(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	p := open(t, s).login()
	p.visit("/urls/" + u.ID + "/subscriptions/new")
	p.fill("#target_url", g.URL)
	p.fill("#name", "shop")
	p.press("\r")
	p.until(`location.pathname.startsWith("/subscriptions/sub_")`)
}

// TestEnterCounts: Enter in the form of a replay counts; it neither adds conditions, which come first, nor starts the replay.
func TestEnterCounts(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	sub := s.subscribe(u, g.URL, nil)
	p := open(t, s).login()
	p.visit("/subscriptions/" + sub + "/replay")
	for range 2 {
		p.fill("#rate", "5")
		p.run(`document.documentElement.dataset.before = ""`)
		p.press("\r")
		p.until(`document.documentElement.dataset.before === undefined && document.querySelector("section.notice[autofocus]")`)
	}
}

// TestFormsGoToTheirAnswers: with a narrow window, and without scripts as well, the page behind a form begins at what the form has to
// say, and there the keyboard goes on.
func TestFormsGoToTheirAnswers(t *testing.T) {
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	s.subscribe(u, g.URL, nil)
	request := "/urls/" + u.ID + "/requests/" + s.capture(u, "body")
	p := open(t, s).login()
	p.excuse("Failed to load resource") // a refused form is answered 422
	filled := `document.getElementById("name").value = "n"; document.getElementById("target_url").value = ` + js(g.URL) + `;`
	const opened = `document.querySelector(".form-section").open = true;` // a filter is tried before there is a name
	for _, scripts := range []bool{true, false} {
		p.scripts(scripts)
		for _, test := range []struct {
			path, prepare, button, starts string
		}{
			{request + "?tab=deliveries", "", `form[action$="/resend"] .actions .btn`, "Nothing was sent."},
			{"/settings", "", `form[action="/settings/users"] .btn`, "Nothing was saved."},
			{"/settings", "", `form[action="/settings/tokens"] .btn`, "Nothing was saved."},
			{"/urls/" + u.ID + "/subscriptions/new", filled, `button[value="test"]`, "The target took the sample request"},
			{"/urls/" + u.ID + "/subscriptions/new", opened, `button[value="dry-run"]`, "Would have delivered"},
			{"/urls/" + u.ID + "/subscriptions/new", opened, `button[value="more"]`, "field-3"},
		} {
			p.size(375, 720)
			p.visit(test.path)
			if strings.HasPrefix(test.starts, "Nothing") { // browsers would not send it
				p.run(`document.querySelectorAll("form").forEach((form) => form.noValidate = true)`)
			}
			p.run(test.prepare)
			p.run(`document.documentElement.dataset.before = ""`)
			p.click(test.button)
			p.until(`document.documentElement.dataset.before === undefined && document.activeElement.matches("[autofocus]")`)
			if got := eval[string](p, `document.activeElement.id || document.activeElement.innerText.trim()`); !strings.HasPrefix(got, test.starts) {
				t.Errorf("%s, %s: the focus is on %.100q", test.path, test.button, got)
			}
			p.until(`(() => {
				const box = document.activeElement.getBoundingClientRect(), problem = document.querySelector("main .problem");
				return box.top >= 0 && box.top + 20 < innerHeight && !(problem?.getBoundingClientRect().bottom > innerHeight);
			})()`)
		}
	}
}

// TestButtonIsBusy: a button whose answer takes a while says so.
func TestButtonIsBusy(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	target, letGo := slowTarget(t)
	p := open(t, s).login()
	p.visit("/urls/" + s.newURL(nil).ID + "/subscriptions/new")
	p.fill("#name", "shop")
	p.fill("#target_url", target)
	p.click("button[value=test]")
	p.until(find("button[value=test]") + `.ariaBusy === "true" && document.getElementById("said").textContent === "It is being sent"`)
	letGo()
	p.until(`document.querySelector(".test-result") !== null`)
}
