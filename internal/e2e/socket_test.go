package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Rows E01 to E09 of the list of hostile inputs: who gets a live view, and what may come over it.

// TestSocketOrigin is E01: a live view is opened by the page of this very origin, or not at all.
func TestSocketOrigin(t *testing.T) {
	t.Parallel()
	plain := start(t)
	_, port, _ := strings.Cut(plain.Addr, ":")
	public := start(t, "HOOKKEEPER_PUBLIC_URL=https://hooks.example", "HOOKKEEPER_ALLOWED_HOSTS=other.example,127.0.0.1")
	for _, c := range []struct {
		s      *server
		host   string
		origin []string
		status int
	}{
		{plain, plain.Addr, []string{"http://" + plain.Addr}, 101},
		{plain, "localhost:" + port, []string{"http://localhost:" + port}, 101},
		{plain, "localhost:" + port, []string{"HTTP://LOCALHOST:" + port}, 101},
		{plain, "localhost:" + port, []string{"http://" + plain.Addr}, 403},
		{plain, plain.Addr, nil, 403},
		{plain, plain.Addr, []string{""}, 403},
		{plain, plain.Addr, []string{"null"}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr, "http://evil.example"}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr, "http://" + plain.Addr}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr + " http://evil.example"}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr + "/"}, 403},
		{plain, plain.Addr, []string{"https://" + plain.Addr}, 403},
		{plain, plain.Addr, []string{"http://127.0.0.1"}, 403},
		{plain, plain.Addr, []string{"http://127.0.0.1:1" + port}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr + ".evil.example"}, 403},
		{plain, plain.Addr, []string{"http://" + plain.Addr + "@evil.example"}, 403},
		{plain, plain.Addr, []string{"http://evil.example#" + plain.Addr}, 403},
		{public, "hooks.example", []string{"https://hooks.example"}, 101},
		{public, "hooks.example", []string{"https://HOOKS.example:443"}, 101},
		{public, "hooks.example:443", []string{"https://hooks.example"}, 101},
		{public, "hooks.example", []string{"http://hooks.example"}, 403},
		{public, "hooks.example", []string{"https://hooks.example:8443"}, 403},
		{public, "hooks.example", []string{"https://hooks.example.evil"}, 403},
		{public, "hooks.example", []string{"https://evil.hooks.example"}, 403},
		{public, "hooks.example", []string{"https://evilhooks.example"}, 403},
		{public, "hooks.example", []string{"https://hooks.example@evil.example"}, 403},
		{public, "hooks.example", []string{"https://hooks.example."}, 403},
		{public, "hooks.example", []string{"https://other.example"}, 403},
		{public, "hooks.example", []string{"https://evil.example"}, 403},
		{public, "other.example", []string{"http://hooks.example"}, 403},
		{public, "other.example", []string{"http://other.example"}, 101},
	} {
		t.Run(fmt.Sprint(c.host, c.origin), func(t *testing.T) {
			lines := []string{"Host: " + c.host, "Cookie: " + sessionOf(c.s.signIn(c.host, adminEmail, adminPassword)).String()}
			for _, origin := range c.origin {
				lines = append(lines, "Origin: "+origin)
			}
			for _, path := range []string{"/live", livePath(c.s.newURL(nil))} {
				if r := c.s.upgrade(path, lines...); r.status != c.status {
					t.Errorf("%s: status %d, want %d", path, r.status, c.status)
				}
			}
		})
	}
}

// TestSocketPath is E02 and E03: a host or a path that only looks like ours is not ours.
func TestSocketPath(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	cookie, origin := "Cookie: "+session.String(), "Origin: http://"+s.Addr
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example", "evil.localhost.example", ""} {
		if r := s.upgrade(livePath(u), cookie, "Host: "+host, "Origin: http://"+host); r.status != http.StatusMisdirectedRequest {
			t.Errorf("host %q: status %d", host, r.status)
		}
	}
	for _, path := range []string{
		"/%6cive", "//live", "/live%2f", "/live/", "/./live", "/x/../live", "/LIVE", "/live;x", `\live`, "/urls/" + u.ID + "/%6cive",
		"//urls/" + u.ID + "/live", "/urls/" + u.ID + "/live/", "/urls/" + u.ID + "/live/x", "/urls//live",
	} {
		if r := s.upgrade(path, cookie, origin); r.status != http.StatusNotFound && r.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, r.status)
		}
	}
	if r := s.upgrade("/urls/url_0000000000001/live", cookie, origin); r.status != http.StatusNotFound {
		t.Errorf("a capture URL that is not there: status %d", r.status)
	}
	if r := s.upgrade(livePath(u)+"?after=../x", cookie, origin); r.status != http.StatusBadRequest {
		t.Errorf("after= with nonsense: status %d", r.status)
	}
}

// TestSocketNeedsLogin is E04 and what E09 says of others' capture URLs.
func TestSocketNeedsLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	ended := s.signIn(s.Addr, adminEmail, adminPassword)
	if a := s.postForm(s.Addr, "/logout", ended, nil); a.status != http.StatusSeeOther {
		t.Fatalf("logout: %+v", a)
	}
	origin := "Origin: http://" + s.Addr
	for name, c := range map[string]struct{ path, line string }{
		"no cookie":           {livePath(u), "X: 1"},
		"empty cookie":        {livePath(u), "Cookie: hookkeeper="},
		"invented cookie":     {livePath(u), "Cookie: hookkeeper=" + strings.Repeat("A", 43)},
		"session that ended":  {livePath(u), "Cookie: " + sessionOf(ended).String()},
		"other cookie's name": {livePath(u), "Cookie: __Host-" + s.login().String()},
		"API token":           {livePath(u), "Authorization: Bearer " + apiToken},
		"API token in query":  {livePath(u) + "?token=" + apiToken, "X: 1"},
	} {
		if r := s.upgrade(c.path, origin, c.line); r.status != http.StatusUnauthorized {
			t.Errorf("%s: %+v", name, r.answer)
		}
	}
	s.addUser("bob@example.com")
	bob := sessionOf(s.signIn(s.Addr, "bob@example.com", adminPassword))
	if r := s.upgrade(livePath(u), origin, "Cookie: "+bob.String()); r.status != http.StatusNotFound {
		t.Errorf("another's capture URL: %+v", r.answer)
	}
	home := s.view(bob, "/live")
	s.sendOne(post("/in/"+u.Slug, s.Addr, 10))
	own := s.newURLAs(bob)
	if n := home.next(); n.Type != "urls" || len(n.Items) != 1 || n.Items[0].ID != own || len(n.Removed) > 0 {
		t.Errorf("the list of one's own capture URLs tells %+v, want %s only", n, own)
	}
}

// TestHomeTellsOwnOnly: the list of capture URLs is told of those that its user may see, also when they go. Ids tell when
// they were made, and how many there are.
func TestHomeTellsOwnOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.addUser("bob@example.com")
	bobsLogin := sessionOf(s.signIn(s.Addr, "bob@example.com", adminPassword))
	first := s.newURLAs(bobsLogin)
	bob, admin := s.view(bobsLogin, "/live"), s.view(s.login(), "/live")
	remove := func(id string) {
		t.Helper()
		s.api("DELETE", "/api/v1/capture-urls/"+id, nil, http.StatusNoContent, nil)
	}
	removed := func(home *rawSocket, last string) (all []string) {
		t.Helper()
		for !slices.Contains(all, last) {
			all = append(all, home.next().Removed...)
		}
		slices.Sort(all)
		return all
	}
	others := s.newURL(nil).ID
	remove(others)
	second := s.newURLAs(bobsLogin)
	remove(first)
	if got := removed(admin, first); !slices.Equal(got, []string{first, others}) {
		t.Errorf("the admin is told that %q are gone, want %q", got, []string{first, others})
	}
	if got := removed(bob, first); !slices.Equal(got, []string{first}) {
		t.Errorf("bob is told that %q are gone, want %q", got, first)
	}
	runCommand(t, s, "user", "delete", "bob@example.com", "--with-data")
	removed(admin, second)
}

// addUser adds a user with the password that all have here, by the command, beside the server.
func (s *server) addUser(email string) {
	s.t.Helper()
	runWithInput(s.t, s, adminPassword, "user", "add", email, "--password-stdin")
}

// newURLAs makes a capture URL by the form, and returns its id.
func (s *server) newURLAs(session *http.Cookie) string {
	s.t.Helper()
	a := s.postForm(s.Addr, "/urls", []*http.Cookie{session}, url.Values{"name": {"own"}})
	id := strings.TrimPrefix(a.header.Get("Location"), "/urls/")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(id, hook.CaptureURLPrefix) {
		s.t.Fatalf("new capture URL: %+v", a)
	}
	return id
}

// TestSocketFrames is E05, E06 and E08 to E10: what is wrong ends the socket, with the code that says what it was.
func TestSocketFrames(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	const protocolError, badText, tooBig, policy, unsaid = 1002, 1007, 1009, 1008, 0
	fragments := masked(frameText&^frameFinal, "x") + strings.Repeat(masked(frameMore, "x"), hook.MaxSocketMessage)
	for _, c := range []struct {
		name  string
		bytes string
		code  int
	}{
		{"E05 length 2^63-1", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", tooBig},
		{"E05 length 2^64-1", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", unsaid},
		{"E06 RSV1", masked(frameText|0x40, "x"), protocolError},
		{"E06 RSV2", masked(frameText|0x20, "x"), protocolError},
		{"E06 RSV3", masked(frameText|0x10, "x"), protocolError},
		{"E06 opcode 3", masked(frameFinal|0x3, "x"), protocolError},
		{"E06 opcode 11", masked(frameFinal|0xB, "x"), protocolError},
		{"E06 not masked", string(frameHead(frameText, 0, 1)) + "x", protocolError},
		{"E06 control in fragments", masked(framePing&^frameFinal, "x"), protocolError},
		{"E06 long control", masked(framePing, strings.Repeat("x", 126)), protocolError},
		{"E06 continuation of nothing", masked(frameMore|frameFinal, "x"), protocolError},
		{"E06 message inside a message", masked(frameText&^frameFinal, "x") + masked(frameText, "x"), protocolError},
		{"E06 close code of one byte", masked(frameClose, "x"), unsaid}, // the library takes it for a close without a code
		{"E06 reserved close code", masked(frameClose, "\x03\xed"), protocolError},
		{"E08 long text", masked(frameText, strings.Repeat("x", hook.MaxSocketMessage+1)), tooBig},
		{"E08 long text in fragments", fragments, tooBig},
		{"E09 no UTF-8", masked(frameText, `{"type":"`+"\xff"+`"}`), badText},
		{"E09 binary", masked(frameBinary, "x"), policy},
		{"E10 1,000 pings", strings.Repeat(masked(framePing, "x"), 1000), policy},
		{"E10 1,000 messages", strings.Repeat(masked(frameText, "{}"), 1000), policy},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.view(session, livePath(u))
			r.send(c.bytes)
			if code := r.closeCode(); code != c.code {
				t.Errorf("closed with %d, want %d", code, c.code)
			}
		})
	}
	if n := s.met(hook.LimitChattyViewer); n != 2 {
		t.Errorf("the operator is told of %d viewers that said too much", n)
	}
	t.Run("E05 cut in the length", func(t *testing.T) {
		r := s.view(session, livePath(u))
		r.send("\x81\xff\x00\x00")
		thenEnd(r.conn)
		if code := r.closeCode(); code != 0 && code != protocolError {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("E09 what means nothing", func(t *testing.T) {
		r := s.view(session, livePath(u))
		r.send(masked(frameText, `{"type":"visible"}`), masked(frameText, `{"type":"unheard of"}`), masked(frameText, ""), masked(frameText, "null"),
			masked(frameText, strings.Repeat("[", hook.MaxSocketMessage)))
		id := s.sendOne(post("/in/"+u.Slug, s.Addr, 10))
		if n := r.next(); n.Last != id {
			t.Errorf("after it, %+v came", n)
		}
	})
}

// TestSocketNotCompressed is E07.
func TestSocketNotCompressed(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.upgrade("/live", "Origin: http://"+s.Addr, "Cookie: "+s.login().String(),
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol: chat")
	if r.status != http.StatusSwitchingProtocols || r.header.Get("Sec-Websocket-Extensions") != "" || r.header.Get("Sec-Websocket-Protocol") != "" {
		t.Errorf("%+v", r.answer)
	}
}

// TestHalfOpen is E15, and what T13 says of sessions that end by themselves.
func TestHalfOpen(t *testing.T) {
	if !long() {
		t.Skip("it takes three minutes: HOOKKEEPER_TEST_LONG")
	}
	t.Parallel()
	s := start(t)
	dead := s.view(s.login(), "/live")
	_ = dead.conn.SetDeadline(time.Now().Add(80 * time.Second))
	if _, err := io.Copy(io.Discard, dead.reader); err != nil { // reads, and answers no ping
		t.Errorf("a viewer that does not answer is still there: %v", err)
	}
	idle := start(t, "HOOKKEEPER_SESSION_IDLE=1m")
	r := idle.view(idle.login(), "/live")
	_ = r.conn.SetDeadline(time.Now().Add(130 * time.Second))
	if code := r.closeCode(); code != 1008 {
		t.Errorf("closed with %d after the session had ended", code)
	}
}
