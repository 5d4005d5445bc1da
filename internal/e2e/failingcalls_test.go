package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFailingCalls has the N-th system call on the database fail, for every N until there is none left to fail (a few of them by
// default): what was acknowledged is there with its delivery and comes to its target, the database is whole, and nothing panics. The server may refuse,
// and it may end with a sentence, but it may not lie.
func TestFailingCalls(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "it makes system calls fail")
	ready := start(t, allowLoopback)
	g := newReceiver(t)
	u := ready.newURL(nil)
	ready.subscribe(u, g.URL, nil)
	ready.capture(u, "the first")
	if err := ready.terminate(); err != nil {
		t.Fatal(err)
	}
	program := buildStore(t, "FULL", 40, 64<<10) // checkpoints take part, and the log is cut after each
	for _, fault := range []struct {
		calls, errno string
		stride       int // of the short form
	}{
		{"pwrite64", "EIO", 100}, {"pwrite64", "ENOSPC", 100}, {"fsync,fdatasync", "EIO", 10}, {"fsync,fdatasync", "EINTR", 10}, {"pread64", "EIO", 10}, {"ftruncate", "EIO", 2},
	} {
		t.Run(fault.calls+" "+fault.errno, func(t *testing.T) {
			t.Parallel()
			runs, acked := 0, 0
			for n := 1; ; n++ {
				if !long() {
					n += rand.IntN(fault.stride)
				}
				f := failing{t: t, good: g, program: program, number: n, calls: fault.calls, errno: fault.errno}
				acks, injected := f.run(strace, ready.DataDir, u.Slug)
				if t.Failed() || !injected {
					break
				}
				runs++
				acked += acks
			}
			t.Logf("%d runs, %d acknowledged", runs, acked)
			if acked == 0 {
				t.Error("nothing was tried")
			}
		})
	}
}

// failing is one run with a call that fails.
type failing struct {
	t            *testing.T
	good         *receiver // the target of all deliveries
	program      string
	number       int
	calls, errno string
}

// run serves from a copy of a data directory, sends some requests and looks at what is left. injected tells whether a call has failed.
func (f failing) run(strace, ready, slug string) (acked int, injected bool) {
	t := f.t
	t.Helper()
	dir := t.TempDir()
	trace, data := filepath.Join(dir, "trace"), filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(ready)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(data, "secret.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(data, "hookkeeper.db")
	s := &server{t: t, program: f.program, DataDir: data, Addr: "127.0.0.1:0", env: []string{"HOOKKEEPER_LOG=json", "HOOKKEEPER_DISK_RESERVE=1MiB", allowLoopback}}
	s.wrap = []string{
		strace, "-f", "-qq", "-o", trace, "--seccomp-bpf", "-P", database, "-P", database + "-wal", "-e", "signal=none", "-e", "trace=" + f.calls,
		"-e", fmt.Sprintf("inject=%s:error=%s:when=%d", f.calls, f.errno, f.number),
	}
	acks := map[string]bool{}
	if err := s.launch(); err == nil {
		f.send(s, slug, acks)
	}
	s.kill()
	log := s.log.String()
	if strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("%s %s, number %d: it panics:\n%s", f.calls, f.errno, f.number, log)
	}
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := lostIn(database, acks)
	if lost > 0 || err != nil {
		t.Errorf("%s %s, number %d: %d of %d acknowledged requests are lost; %v\n%s", f.calls, f.errno, f.number, lost, len(acks), err, log)
	}
	f.deliverRest(s, acks)
	return len(acks), strings.Contains(string(calls), "INJECTED")
}

// deliverRest serves once more, without faults, until all that was acknowledged has come to the target.
func (f failing) deliverRest(s *server, acks map[string]bool) {
	f.t.Helper()
	s.wrap = nil
	if err := s.launch(); err != nil {
		f.t.Errorf("%s %s, number %d: afterwards: %v", f.calls, f.errno, f.number, err)
		return
	}
	defer s.kill()
	about := fmt.Sprintf("%s %s, number %d: all are delivered", f.calls, f.errno, f.number)
	eventually(f.t, about, func() bool { return f.good.missing(slices.Collect(maps.Keys(acks))) == 0 })
}

// send sends requests until enough are acknowledged, the server has ended, or it refuses for long.
func (f failing) send(s *server, slug string, acks map[string]bool) {
	request := post("/in/"+slug, s.Addr, 3000)
	refused := time.Now().Add(15 * time.Second)
	for len(acks) < 30 && time.Now().Before(refused) {
		sender, err := newSender(s.Addr)
		if err != nil {
			return
		}
		_ = sender.conn.SetDeadline(time.Now().Add(startWait))
		for err == nil && len(acks) < 30 && time.Now().Before(refused) {
			var status int
			var id string
			status, id, err = sender.send(request)
			if err == nil && status == 200 {
				acks[id] = true
			}
		}
		_ = sender.conn.Close()
	}
	if len(acks) == 0 {
		f.t.Errorf("%s %s, number %d: nothing is taken any more, for 15 s:\n%s", f.calls, f.errno, f.number, s.log.String())
	}
}
