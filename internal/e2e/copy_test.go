package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// allowClipboard lets the page of a tab read and write the clipboard, as a person would allow it.
func (p *tab) allowClipboard() {
	p.t.Helper()
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		})
		p.must(err)
	}
}

// copied clicks a copy button and returns what is on the clipboard then.
func (p *tab) copied(button string) string {
	p.t.Helper()
	p.run(`navigator.clipboard.writeText("nothing")`)
	p.click(button)
	p.until(find(button) + `.textContent.trim() === "Copied"`)
	return eval[string](p, "navigator.clipboard.readText()")
}

// TestCopyAsCurl copies requests as commands and runs them in a shell: each is stored once more, as it was.
func TestCopyAsCurl(t *testing.T) {
	need(t, "curl", "copied commands are run with it")
	s := start(t)
	u := s.newURL(nil)
	p := open(t, s).login()
	p.allowClipboard()
	base := "/in/" + u.Slug
	for name, request := range map[string]string{
		"json": "POST " + base + "/orders?a=1&a=2 HTTP/1.1\r\nHost: " + s.Addr + "\r\nContent-Type: application/json\r\n" +
			"X-Quote: it's $HOME \"and\" `more` \\ !\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 16\r\n\r\n{\"it's\": \"$HOME\"",
		"binary":   "PUT " + base + " HTTP/1.1\r\nHost: " + s.Addr + "\r\nContent-Length: 9\r\n\r\n\x00\xff\x01@a\r\n'\x80",
		"get":      "GET " + base + "/a/../b//%2F?q=[1-3]{a,b} HTTP/1.1\r\nHost: " + s.Addr + "\r\nAccept: */*\r\n\r\n",
		"empty":    "DELETE " + base + " HTTP/1.1\r\nHost: " + s.Addr + "\r\nUser-Agent: x\r\n\r\n",
		"own verb": "REPORT " + base + " HTTP/1.1\r\nHost: " + s.Addr + "\r\nContent-Length: 2\r\n\r\n@x",
	} {
		t.Run(name, func(t *testing.T) {
			id := s.sendAny(request)
			p.visit("/urls/" + u.ID + "/requests/" + id)
			command := p.copied(`[data-copy-tab="curl"]`)
			if out, err := shell(t, command); err != nil {
				t.Fatalf("%s\n%v: %s", command, err, out)
			}
			again := s.request(s.latest(u.ID))
			first := s.request(id)
			if again.ID == first.ID {
				t.Fatalf("the command has sent nothing: %s", command)
			}
			if diff := cmp.Diff(essence(first), essence(again)); diff != "" {
				t.Errorf("%s\nsent another request:\n%s", command, diff)
			}
		})
	}
}

// essence is what has to be the same of a request that was sent again.
func essence(r apiRequest) map[string]any {
	headers := []string{}
	for _, h := range r.Headers {
		if h.Name != "Accept" && h.Name != "User-Agent" && h.Name != "Content-Length" {
			headers = append(headers, h.Name+": "+h.Value)
		}
	}
	slices.Sort(headers)
	var body string
	if r.Body != nil {
		body = *r.Body
	} else {
		body = string(r.BodyBase64)
	}
	return map[string]any{"method": r.Method, "path": r.Path, "query": r.Query, "headers": headers, "body": body}
}

// shell runs a command as if pasted into a shell.
func shell(t *testing.T, command string) (string, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCopy: every other copy button copies what it says.
func TestCopy(t *testing.T) {
	s := start(t)
	u := s.newURL(nil)
	id := s.sendAny(fmt.Sprintf("POST /in/%s?q=a%%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<b>body\n\n", u.Slug))
	p := open(t, s).login()
	p.allowClipboard()
	p.visit("/")
	if got := p.copied(`#urls .copy button`); got != u.URL {
		t.Errorf("the list copied %q", got)
	}
	p.visit("/urls/" + u.ID + "/requests/" + id)
	if n := eval[int](p, `[...document.querySelectorAll("a, button")].filter((b) => b.textContent.trim() === "Copy as cURL").length`); n != 1 {
		t.Errorf("%d buttons say that they copy the request", n)
	}
	for button, want := range map[string]string{
		`.address .field-line button`:          u.URL,
		`#detail .actions [data-copy-from]`:    "<b>body\n\n",
		`#detail .panel [data-copy="q=a%20b"]`: "q=a%20b",
	} {
		if got := p.copied(button); got != want {
			t.Errorf("%s copied %q, want %q", button, got, want)
		}
	}
}

// TestCopyOnPlainHTTP: in a LAN without TLS browsers offer no clipboard to scripts; copying works all the same.
func TestCopyOnPlainHTTP(t *testing.T) {
	s := start(t, "HOOKKEEPER_ALLOWED_HOSTS="+lanName)
	u := s.newURL(nil)
	p := open(t, s)
	_, port, _ := strings.Cut(s.Addr, ":")
	p.host = lanName + ":" + port
	p.excuse("Cross-Origin-Opener-Policy header has been ignored") // it means nothing there
	p.login()
	p.visit("/urls/" + u.ID)
	if eval[bool](p, "isSecureContext || navigator.clipboard !== undefined") {
		t.Fatal("the browser trusts this name")
	}
	p.click(`.address .field-line button`)
	p.until(find(`.address .field-line button`) + `.textContent.trim() === "Copied"`)

	trusted := open(t, s)
	trusted.allowClipboard()
	trusted.visit("/login")
	if got, want := eval[string](trusted, "navigator.clipboard.readText()"), strings.Replace(u.URL, s.Addr, p.host, 1); got != want {
		t.Errorf("copied %q, want %q", got, want)
	}
}
