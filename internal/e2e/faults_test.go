package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// flow sends one request after another until enough is true, and returns the ids of those that were acknowledged.
func (s *server) flow(slug string, enough func(status int) bool) map[string]bool {
	s.t.Helper()
	acks := map[string]bool{}
	deadline := time.Now().Add(startWait)
	for {
		if time.Now().After(deadline) {
			s.t.Fatal("it did not come to that")
		}
		resp, err := http.DefaultTransport.RoundTrip(s.newPost("/in/"+slug, strings.Repeat("x", 4000)))
		if err != nil {
			s.t.Fatal(err)
		}
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			acks[resp.Header.Get("Hookkeeper-Request-Id")] = true
		case http.StatusServiceUnavailable:
			if resp.Header.Get("Retry-After") == "" {
				s.t.Error("503 without Retry-After")
			}
		default:
			s.t.Fatalf("status %d", resp.StatusCode)
		}
		if enough(resp.StatusCode) {
			return acks
		}
	}
}

func (s *server) newPost(path, body string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url(path), strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

// ready returns the status of /readyz.
func (s *server) ready() int {
	s.t.Helper()
	return s.get("/readyz", &http.Cookie{Name: "none", Value: "none"})
}

func (s *server) mustHold(captureURL string, acks ...map[string]bool) {
	s.t.Helper()
	stored := map[string]bool{}
	for _, r := range s.requests(captureURL) {
		stored[r.ID] = true
	}
	n := 0
	for _, ids := range acks {
		for id := range ids {
			n++
			if !stored[id] {
				s.t.Errorf("request %s was acknowledged and is lost", id)
			}
		}
	}
	s.t.Logf("%d acknowledged, %d stored", n, len(stored))
}

// TestFailedFlush lets flushes fail for a while: nothing is acknowledged meanwhile, and the server heals by itself.
func TestFailedFlush(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "it makes fsync fail")
	s := startUnder(t, []string{
		strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=60..63",
	})
	u := s.newURL(nil)
	before := s.flow(u.Slug, func(status int) bool { return status == http.StatusServiceUnavailable })
	if status := s.ready(); status != http.StatusServiceUnavailable {
		t.Logf("/readyz: %d (healed already)", status)
	}
	after := s.flow(u.Slug, func(status int) bool { return status == http.StatusOK })
	var session *http.Cookie
	eventually(t, "a login is stored", func() bool { // strace counts in each thread: others may have failures left
		session, _ = s.loginOrNot()
		return session != nil
	})
	if s.metAs(session, hook.LimitUnwritable) == 0 {
		t.Error("the operator is not told that the database could not be written")
	}
	s.kill()
	s.wrap = nil
	s.restart()
	s.mustHold(u.ID, before, after)
}

// TestFullDisk fills the volume and frees it again: what was acknowledged is there, pages are still served, and captures
// go on without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	unshare := need(t, "unshare", "it mounts a small volume that nobody else sees")
	if err := exec.Command(unshare, "-m", "true").Run(); err != nil {
		skipOrFail(t, "mounting a volume is not allowed: "+err.Error())
	}
	dir := t.TempDir()
	s := startUnder(t, []string{
		unshare, "-m", "sh", "-c", `mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"`, dir,
	}, "HOOKKEEPER_DATA="+dir, "HOOKKEEPER_DISK_RESERVE=2MiB", allowLoopback)
	u := s.newURL(nil)
	g := newReceiver(t)
	s.subscribe(u, g.URL, nil)
	before := s.flow(u.Slug, func(int) bool { return true })
	session := s.login()
	filler := filepath.Join(fmt.Sprintf("/proc/%d/root", s.cmd.Process.Pid), dir, "filler")
	if err := fill(filler); err != nil {
		t.Fatal(err)
	}
	full := s.flow(u.Slug, func(status int) bool { return status == http.StatusServiceUnavailable })
	if status := s.ready(); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz of a server without disk: %d", status)
	}
	if status := s.get("/urls/"+u.ID, session); status != http.StatusOK {
		t.Errorf("the inspector on a full disk: %d", status)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	healed := s.flow(u.Slug, func(status int) bool { return status == http.StatusOK })
	if took := time.Since(freed); took > 10*time.Second {
		t.Errorf("it takes requests again after %v", took)
	}
	s.mustHold(u.ID, before, full, healed)
	for _, acks := range []map[string]bool{before, full, healed} {
		eventually(t, "all are delivered", func() bool { return g.missing(slices.Collect(maps.Keys(acks))) == 0 })
	}
}

// fill writes a file until the volume has no room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for {
		if _, err := f.Write(chunk); err != nil {
			return nil // full, as it should be
		}
	}
}

func skipOrFail(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("HOOKKEEPER_TEST_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
