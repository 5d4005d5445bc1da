package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstRun is the way of somebody new: the printed link, a user, a capture URL, its curl line, the first request.
func TestFirstRun(t *testing.T) {
	need(t, "curl", "the line of the welcome page is run with it")
	s := start(t, "HOOKKEEPER_ADMIN_EMAIL=", "HOOKKEEPER_ADMIN_PASSWORD=", "HOOKKEEPER_API_TOKEN=")
	p := open(t, s)
	p.excuse("403 (Forbidden)")
	if p.visit("/"); !strings.Contains(p.text("main"), "setup-link") {
		t.Errorf("without the link the page says %q", p.text("main"))
	}
	link := s.setupLink()
	if !strings.Contains(s.log.String(), link) {
		t.Error("the link was not printed")
	}
	p.visit(link)
	p.fill("#email", adminEmail)
	p.fill("#password", "short")
	p.run(`document.querySelector("form").noValidate = true`)
	p.excuse("422 (Unprocessable Entity)")
	p.click("form button")
	p.until(`document.getElementById("password-problem") !== null && document.getElementById("email").value === ` + js(adminEmail))
	p.fill("#password", adminPassword)
	p.click("form button")
	p.until(`location.pathname.startsWith("/urls/url_")`)
	p.wantState("Live")
	p.until(`!document.querySelector("[data-when=empty]").hidden`)
	if eval[string](p, "document.referrer") != "" && strings.Contains(eval[string](p, "document.referrer"), "token") {
		t.Error("the token of the link is in the referrer")
	}

	p.allowClipboard()
	line := p.copied("#welcome .snippet button")
	if shown := p.text("#welcome .snippet code"); shown != line {
		t.Errorf("copied %q, shown %q", line, shown)
	}
	if out, err := shell(t, line); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	p.until(idsScript + ".length === 1")

	if _, err := os.Stat(filepath.Join(s.DataDir, "setup-link")); !os.IsNotExist(err) {
		t.Errorf("the link is still there: %v", err)
	}
	other := open(t, s)
	other.excuse("403 (Forbidden)")
	other.visit(link)
	other.until(`location.pathname === "/login"`)
}

// setupLink returns the link with which the first user is made.
func (s *server) setupLink() string {
	s.t.Helper()
	file, err := os.ReadFile(filepath.Join(s.DataDir, "setup-link"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(file))
}

// TestLogin: a wrong password is told, the right one leads to where the visitor wanted to go.
func TestLogin(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	p := open(t, s)
	p.excuse("401 (Unauthorized)")
	p.excuse("422 (Unprocessable Entity)")
	p.excuse("403 (Forbidden)")
	p.visit("/urls/" + u.ID + "?before=req_0000000000009")
	p.until(`location.pathname === "/login"`)
	p.fill("#email", adminEmail)
	p.fill("#password", "not the password")
	p.click("form button")
	p.until(`document.querySelector(".trouble") !== null`)
	p.fill("#password", adminPassword)
	p.click("form button")
	p.until(`location.pathname + location.search === ` + js("/urls/"+u.ID+"?before=req_0000000000009"))
	p.click(`[popovertarget="account"]`)
	p.click(`form[action="/logout"] button`)
	p.until(`location.pathname === "/login"`)
	p.visit("/login?next=" + url.QueryEscape("//elsewhere.test/"))
	p.fill("#email", adminEmail)
	p.fill("#password", adminPassword)
	p.click("form button")
	p.until(`location.pathname !== "/login" && location.host === ` + js(s.Addr))
}

// TestNewCaptureURL makes one through the forms, changes all of its settings and deletes it.
func TestNewCaptureURL(t *testing.T) {
	s := start(t)
	p := open(t, s).login()
	p.excuse("409 (Conflict)")
	p.excuse("422 (Unprocessable Entity)")
	p.visit("/")
	p.click(`a[href="/urls/new"]`)
	p.fill("#name", "Builds")
	p.click(`label[for="chosen"]`)
	p.fill("#slug", "builds-2026")
	p.click("form.form button")
	p.until(`document.querySelector("h1")?.textContent === "Builds" && document.querySelector("#address input").value.endsWith("/in/builds-2026")`)
	page := eval[string](p, "location.pathname")

	p.visit("/urls/new")
	p.fill("#name", "Another")
	p.click(`label[for="chosen"]`)
	p.fill("#slug", "builds-2026")
	p.click("form.form button")
	p.until(`document.getElementById("slug-problem") !== null && document.getElementById("name").value === "Another"`)

	p.visit(page + "/settings")
	p.fill("#status", "204")
	p.fill("#body", "not with 204")
	p.click(`form.form .actions button`)
	p.until(`document.querySelector(".problem") !== null`)
	p.fill("#status", "201")
	p.fill("#headers", "X-Built: yes")
	p.fill("#keep_requests", "100")
	p.click(`form.form .actions button`)
	p.until(`document.querySelector(".banner.done, .facts") !== null && !document.querySelector(".problem")`)
	id := s.sendAny("POST /in/builds-2026 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	p.visit(page + "/requests/" + id + "?tab=answer")
	for _, part := range []string{"201", "X-Built", "yes", "not with 204"} {
		if text := p.text("#detail"); !strings.Contains(text, part) {
			t.Errorf("the answer does not have %q: %s", part, text)
		}
	}
	p.visit(page + "/delete")
	if text := p.text("main"); !strings.Contains(text, "1 request") {
		t.Errorf("the question does not name what goes: %s", text)
	}
	p.click(`form[action$="/delete"] button`)
	p.until(`location.pathname === "/" && document.readyState === "complete"`)
	p.until(`!document.getElementById("urls").innerText.includes("Builds")`)
}
