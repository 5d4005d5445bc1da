package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Rows E11 to E14 of the list of hostile inputs: how many live views there are, what ends them, and what a page that comes
// back is told.

const (
	soon        = time.Second     // after which nothing is open any more that was ended here
	elsewhere   = 3 * time.Second // the same for what another process has ended
	codeRestart = 1001
	codeEnded   = 1008
)

// wantEnd checks that sockets are closed with the code, within a time.
func wantEnd(t *testing.T, what string, sockets []*rawSocket, code int, within time.Duration) {
	t.Helper()
	start := time.Now()
	for _, r := range sockets {
		if got := r.closeCode(); got != code {
			t.Errorf("%s: closed with %d, want %d", what, got, code)
		}
	}
	if took := time.Since(start); took > within {
		t.Errorf("%s: it took %s", what, took)
	}
}

// wantAlive checks that a socket still gets what arrives.
func (s *server) wantAlive(u captureURL, r *rawSocket) {
	s.t.Helper()
	id := s.sendOne(post("/in/"+u.Slug, s.Addr, 10))
	r.readTo(id)
}

// views opens some live views of one session.
func (s *server) views(session *http.Cookie, u captureURL, n int) (all []*rawSocket) {
	s.t.Helper()
	for range n {
		all = append(all, s.view(session, livePath(u)))
	}
	return all
}

// TestSocketsOfSession is E12: a session has 20 sockets, and one that is closed makes room.
func TestSocketsOfSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	open := s.views(session, u, hook.MaxSocketsSession)
	ask := func() answer {
		return s.upgrade(livePath(u), "Origin: http://"+s.Addr, "Cookie: "+session.String()).answer
	}
	if a := ask(); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("one more: %+v", a)
	}
	if n := s.met(hook.LimitSocketsSession); n != 1 {
		t.Errorf("the operator is told of %d", n)
	}
	s.wantAlive(u, s.view(s.login(), livePath(u)))
	open[0].send(masked(frameClose, "\x03\xe8"))
	open[0].closeCode()
	for deadline := time.Now().Add(soon); ask().status != http.StatusSwitchingProtocols; {
		if time.Now().After(deadline) {
			t.Fatal("a socket that was closed still counts")
		}
	}
}

// TestSocketsEndWithLogin is E13: who logs out, or changes the password, ends what the login had opened.
func TestSocketsEndWithLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	left := s.signIn(s.Addr, adminEmail, adminPassword)
	stays := s.signIn(s.Addr, adminEmail, adminPassword)
	leaving, staying := s.views(sessionOf(left), u, 3), s.view(sessionOf(stays), livePath(u))
	stubborn := s.view(sessionOf(left), livePath(u)) // neither reads nor hangs up
	if a := s.postForm(s.Addr, "/logout", left, nil); a.status != http.StatusSeeOther {
		t.Fatalf("logout: %+v", a)
	}
	wantEnd(t, "logout", leaving, codeEnded, soon)
	start := time.Now()
	<-s.ended(stubborn.conn)
	if took := time.Since(start); took > 2*soon {
		t.Errorf("logout: who does not hang up is cut off after %s", took)
	}
	s.wantAlive(u, staying)

	changing := s.signIn(s.Addr, adminEmail, adminPassword)
	own := s.view(sessionOf(changing), livePath(u))
	const fresh = "another horse battery"
	a := s.postForm(s.Addr, "/settings/password", changing, url.Values{"current": {adminPassword}, "password": {fresh}, "again": {fresh}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("new password: %+v", a)
	}
	wantEnd(t, "new password", []*rawSocket{staying}, codeEnded, soon)
	s.wantAlive(u, own)
	if a := s.postForm(s.Addr, "/settings/sessions/end", (&http.Response{Header: a.header}).Cookies(), nil); a.status != http.StatusSeeOther {
		t.Fatalf("sign out everywhere: %+v", a)
	}
}

// TestSocketsEndWithNextLogin: who logs in over a login, or accepts an invitation over it, ends what that one had opened.
func TestSocketsEndWithNextLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	s.addUser("bob@example.com")
	cookies, elsewhere := s.signIn(s.Addr, adminEmail, adminPassword), s.view(s.login(), livePath(u))
	session := func() *http.Cookie { return sessionOf(cookies) }
	over := func(what, path string, form url.Values, views []*rawSocket) {
		t.Helper()
		a := s.postForm(s.Addr, path, cookies, form)
		if a.status != http.StatusSeeOther {
			t.Fatalf("%s: %+v", what, a)
		}
		cookies = (&http.Response{Header: a.header}).Cookies()
		wantEnd(t, what, views, codeEnded, soon)
	}
	login := func(email string) url.Values { return url.Values{"email": {email}, "password": {adminPassword}} }
	over("the same user", "/login", login(adminEmail), s.views(session(), u, 2))
	s.postForm(s.Addr, "/settings/users", cookies, url.Values{"email": {"cyd@example.com"}})
	invited := s.fetch("/settings", session())
	_, token, found := strings.Cut(invited.body, "/invite?token=")
	if !found {
		t.Fatalf("no invitation: %+v", invited)
	}
	token, _, _ = strings.Cut(token, `"`)
	over("another user", "/login", login("bob@example.com"), s.views(session(), u, 2))
	bobs := []*rawSocket{s.view(session(), "/live")}
	over("an invitation", "/invite", url.Values{"token": {token}, "password": {adminPassword}}, bobs)
	s.wantAlive(u, elsewhere)
}

// TestSocketsEndByCommand: what a command does beside the server is noticed.
func TestSocketsEndByCommand(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	s.addUser("bob@example.com")
	s.addUser("cyd@example.com")
	bob, cyd := sessionOf(s.signIn(s.Addr, "bob@example.com", adminPassword)), sessionOf(s.signIn(s.Addr, "cyd@example.com", adminPassword))
	bobs, cyds := []*rawSocket{s.view(bob, "/live")}, []*rawSocket{s.view(cyd, "/live")}
	staying := s.view(s.login(), livePath(u))
	admins := s.view(s.login(), "/urls/"+s.newURLAs(bob)+"/live")
	runCommand(t, s, "user", "delete", "bob@example.com", "--with-data")
	wantEnd(t, "user delete", bobs, codeEnded, elsewhere)
	if n := admins.next(); n.Type != "deleted" {
		t.Errorf("a page of what was deleted with the user is told %+v", n)
	}
	runWithInput(t, s, "a new password", "user", "passwd", "cyd@example.com", "--password-stdin")
	wantEnd(t, "user passwd", cyds, codeEnded, elsewhere)
	s.wantAlive(u, staying)
	if r := s.upgrade("/live", "Origin: http://"+s.Addr, "Cookie: "+bob.String()); r.status != http.StatusUnauthorized {
		t.Errorf("the session of a user who is gone: %+v", r.answer)
	}

	var token struct{ ID string }
	added := runCommand(t, s, "token", "add", "ci", "--user", adminEmail)
	for word := range strings.FieldsSeq(added) {
		if strings.HasPrefix(word, hook.TokenPrefix) {
			token.ID = word
		}
	}
	secret := strings.TrimSpace(added[strings.LastIndex(strings.TrimSpace(added), "\n")+1:])
	if status := s.statusFor(secret); status != http.StatusOK {
		t.Fatalf("a new token: status %d; %s", status, added)
	}
	runCommand(t, s, "token", "revoke", token.ID)
	for deadline := time.Now().Add(elsewhere); s.statusFor(secret) != http.StatusUnauthorized; {
		if time.Now().After(deadline) {
			t.Fatal("a token that was revoked is still taken")
		}
	}
}

// statusFor asks the API with a token.
func (s *server) statusFor(token string) int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url("/api/v1/capture-urls"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return s.exchange(req).status
}

// TestSocketsRestart is E14: a stopping server says so to everybody, and who comes back with the last id it saw misses
// nothing and gets nothing twice.
func TestSocketsRestart(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	views := append(s.views(session, u, hook.MaxSocketsSession), s.views(s.login(), u, hook.MaxSocketsSession)...)
	var sent []string
	for range 3 {
		sent = append(sent, s.sendOne(post("/in/"+u.Slug, s.Addr, 10)))
	}
	seen, _ := views[0].readTo(sent[2])
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, "SIGTERM", views, codeRestart, soon)
	s.restart()
	for range 3 {
		sent = append(sent, s.sendOne(post("/in/"+u.Slug, s.Addr, 10)))
	}
	back := s.view(session, livePath(u)+"?after="+seen[2])
	more, leftOut := back.readTo(sent[5])
	if all := append(seen, more...); !slices.Equal(all, sent) || leftOut != 0 {
		t.Errorf("saw %q and %d more, sent were %q", all, leftOut, sent)
	}
}

// TestCatchUp: a page that comes back is told what it missed, neither more nor less; who missed too much is told to start
// over.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	const most = 500 // requests that are told one by one
	ids := s.captureMany(u, most+2)
	for missed, after := range map[int]string{0: ids[most+1], 1: ids[most], 60: ids[most-59], most: ids[1]} {
		r := s.view(session, livePath(u)+"?after="+after)
		var got []string
		leftOut := 0
		if missed > 0 {
			got, leftOut = r.readTo(ids[most+1])
		}
		next := s.capture(u, "the next") // only now, so that it is no part of what was missed
		last, more := r.readTo(next)
		if want := append(slices.Clone(ids[len(ids)-missed:]), next); !slices.Equal(append(got, last...), want) || leftOut+more != 0 {
			t.Errorf("%d missed: %d and %d rows and %d more came, want %d", missed, len(got), len(last), leftOut+more, len(want))
		}
		s.api(http.MethodDelete, "/api/v1/requests/"+next, nil, http.StatusNoContent, nil)
	}
	for _, query := range []string{"?after=" + ids[0], ""} { // an empty page knows nothing, and here is more than it takes
		if n := s.view(session, livePath(u)+query).next(); n.Type != "reset" {
			t.Errorf("%q: %+v came", query, n)
		}
	}

	long := s.newURL(nil) // the rows of these do not fit into one message; what is not shown is counted
	first := s.capture(long, "first")
	var last string
	for range 60 {
		last = s.sendOne(post("/in/"+long.Slug+"/"+strings.Repeat("p", 8000), s.Addr, 10))
	}
	shown, leftOut := s.view(session, livePath(long)+"?after="+first).readTo(last)
	if len(shown)+leftOut != 60 {
		t.Errorf("%d long rows and %d more came, want 60", len(shown), leftOut)
	}
}

// TestStalledViewer is E11: a viewer that does not read is closed, and neither the senders nor another viewer notice it.
func TestStalledViewer(t *testing.T) {
	t.Parallel()
	s := start(t)
	u, session := s.newURL(nil), s.login()
	reading, stalled := s.view(session, livePath(u)), s.view(session, livePath(u))
	_ = stalled.conn.(*net.TCPConn).SetReadBuffer(4 << 10) // so that the kernel does not take it all
	request := post("/in/"+u.Slug+"/"+strings.Repeat("p", 2000), s.Addr, 10)
	ended := s.ended(stalled.conn)
	took := make(chan []time.Duration, 4)
	var senders sync.WaitGroup
	for range cap(took) {
		senders.Go(func() { took <- sendUntil(t, s.Addr, request, ended) })
	}
	go func() {
		senders.Wait()
		close(took)
		_ = sendUntil(t, s.Addr, post("/in/"+u.Slug+"/the-last", s.Addr, 10), ended)
	}()
	told := 0
	for n := (news{}); !strings.Contains(n.HTML, "/the-last"); {
		n = reading.next()
		told += len(n.rows(t)) + n.LeftOut
	}
	var all []time.Duration
	for some := range took {
		all = append(all, some...)
	}
	if told != len(all)+1 {
		t.Errorf("the viewer that reads was told of %d requests, sent were %d", told, len(all)+1)
	}
	if slow := percentile(all, 0.99); slow > time.Second {
		t.Errorf("senders waited %s", slow)
	}
	if n := s.met(hook.LimitSlowViewer); n != 1 {
		t.Errorf("the operator is told of %d slow viewers", n)
	}
}

// sendUntil sends a request, once at least, until something has happened, and returns how long each took.
func sendUntil(t *testing.T, addr string, request []byte, happened <-chan struct{}) (took []time.Duration) {
	sender, err := newSender(addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer sender.conn.Close()
	for {
		start := time.Now()
		status, _, err := sender.send(request)
		if err != nil || status != http.StatusOK {
			t.Errorf("a sender got %d, %v", status, err)
			return took
		}
		took = append(took, time.Since(start))
		select {
		case <-happened:
			return took
		default:
		}
	}
}

// ended returns a channel that is closed when the server has ended a connection. That it does not fails the test.
func (s *server) ended(conn net.Conn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for stop := time.Now().Add(startWait); s.holds(conn); <-tick.C {
			if time.Now().After(stop) {
				s.t.Error("the server does not end the connection")
				return
			}
		}
	}()
	return done
}

// holds reports whether the server's end of a connection is open: neither has the server closed it, nor was it reset. A
// client that does not read would never know.
func (s *server) holds(conn net.Conn) bool {
	const established = "01"
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", s.cmd.Process.Pid)) // see proc(5)
	if err != nil {
		s.t.Error(err)
		return false
	}
	port := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if strings.HasSuffix(fields[1], port(conn.RemoteAddr())) && strings.HasSuffix(fields[2], port(conn.LocalAddr())) {
			return fields[3] == established
		}
	}
	return false
}
