package e2e

import "testing"

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
