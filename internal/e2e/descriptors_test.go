package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// limitFiles sets how many files and connections a running server may have open from now on.
func (s *server) limitFiles(prlimit string, most int) {
	s.t.Helper()
	out, err := exec.Command(prlimit, "--pid", strconv.Itoa(s.cmd.Process.Pid), "--nofile="+strconv.Itoa(most)+":").CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// TestNoDescriptors: when the server may open nothing more, deliveries wait and use up nothing, the log says why, and everything
// goes on when it may again.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	prlimit := need(t, "prlimit", "it takes the server's descriptors away")
	s := start(t, allowLoopback)
	g := newReceiver(t)
	u := s.newURL(nil)
	s.subscribe(u, g.URL, map[string]any{"max_attempts": 1})
	sender, err := newSender(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	s.limitFiles(prlimit, 3) // fewer than are open: what is open stays so
	status, id, err := sender.send(post("/in/"+u.Slug, s.Addr, 100))
	if err != nil || status != http.StatusOK {
		t.Fatalf("a capture: status %d, %v", status, err)
	}
	s.delivery(id, "waiting")
	late, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	for _, line := range []string{"deliveries are put off: this server could not open a connection: too many open files", "http: Accept error"} {
		eventually(t, "the log says "+line, func() bool { return strings.Contains(s.log.String(), `"level":"WARN","msg":"`+line) })
	}
	s.limitFiles(prlimit, hook.MinDescriptors)
	delivery := s.delivery(id, "succeeded")
	var d struct {
		Attempts []struct{ Number int }
	}
	s.api("GET", "/api/v1/deliveries/"+delivery, nil, http.StatusOK, &d)
	if len(d.Attempts) != 1 || d.Attempts[0].Number != 1 {
		t.Errorf("the attempts: %+v", d.Attempts)
	}
	if page, _ := s.pageTexts("/settings/server", s.login()); !strings.Contains(page, hook.LimitOurs.Met().Why) {
		t.Errorf("the page about the server says nothing: %s", page)
	}
}

// TestFewDescriptors: a server that would soon have to refuse everything does not start, and says what to do. One more and it does.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	prlimit := need(t, "prlimit", "it limits the server's descriptors")
	few := func(most int) []string { return []string{prlimit, "--nofile=" + strconv.Itoa(most), "--"} }
	s := startUnder(t, few(hook.MinDescriptors))
	if !strings.Contains(s.log.String(), `"connections":491,"live_views":981`) {
		t.Errorf("the log does not tell what is left for whom:\n%s", s.log.String())
	}
	s.kill()
	s.wrap = few(hook.MinDescriptors - 1)
	err := s.launch()
	if err == nil || !strings.Contains(err.Error(), "this process may open 4095 files and connections, and needs 4096: raise the limit") {
		t.Errorf("with one fewer: %v", err)
	}
}
