package e2e

import (
	endian "encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shiftedTime is a file of package time, in the program under test: the time of day is ahead by as many seconds as a file says, whose
// memory the test shares. The monotonic clock stays as it is, as when somebody sets a clock.
const shiftedTime = `package time

import (
	"syscall"
	"unsafe"
)

var shift *int64

func init() {
	path, ok := syscall.Getenv("TEST_CLOCK")
	if !ok {
		return
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	shift = (*int64)(unsafe.Pointer(&b[0]))
}

func shifted(sec int64, nsec int32, mono int64) (int64, int32, int64) {
	if shift != nil {
		sec += *shift
	}
	return sec, nsec, mono
}
`

// buildShifted builds the program with a time of day that the test sets. All of it is compiled for that, without optimizations.
func buildShifted(t *testing.T) (program string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const call, now = "sec, nsec, mono := runtimeNow()", "sec, nsec, mono := shifted(runtimeNow())"
	if !strings.Contains(string(text), call) {
		t.Fatal("this version of Go reads its clock in another way: look at time.Now")
	}
	files := map[string]string{
		"time.go": strings.ReplaceAll(string(text), call, now), "shifted.go": shiftedTime,
	}
	replace := map[string]string{}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(filepath.Dir(original), name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "hookkeeper")
	build := exec.Command("go", "build", "-overlay", overlayFile, "-gcflags=all=-N -l", "-o", program, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// wallClock is the time of day of a server.
type wallClock struct {
	t    *testing.T
	file *os.File
}

func newWallClock(t *testing.T) wallClock {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	c := wallClock{t, file}
	c.set(0)
	return c
}

// set puts the server's clock ahead of the real one.
func (c wallClock) set(ahead time.Duration) {
	c.t.Helper()
	if _, err := c.file.WriteAt(endian.NativeEndian.AppendUint64(nil, uint64(int64(ahead/time.Second))), 0); err != nil {
		c.t.Fatal(err)
	}
}

// TestClockJumps sets the clock of the server forward and back by a day, under captures, deliveries and retries, with restarts and
// kills between: what was acknowledged is there, in the order in which it came, and is delivered soon, not a day later.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	if !long() && os.Getenv("HOOKKEEPER_TEST_ALL") == "" {
		t.Skip("it compiles everything anew: HOOKKEEPER_TEST_ALL")
	}
	clock := newWallClock(t)
	s := startProgram(t, buildShifted(t), nil, allowLoopback, "TEST_CLOCK="+clock.file.Name())
	k := &clockRun{server: s, url: s.newURL(nil), good: newReceiver(t), moody: newReceiver(t)}
	refusesFirst := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.moody.Config.Handler.ServeHTTP(httptest.NewRecorder(), r)
		if r.Header.Get("Hookkeeper-Attempt") == "1" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(refusesFirst.Close)
	s.subscribe(k.url, k.good.URL, nil)
	s.subscribe(k.url, refusesFirst.URL, map[string]any{"backoff": []int{3}})
	const day = 24 * time.Hour
	k.phase("before", nil)
	k.phase("a day ahead", func() { clock.set(day) })
	k.phase("killed and back to now", func() { s.kill(); clock.set(0); s.restart() })
	k.phase("a day behind", func() { clock.set(-day) })
	k.clear()
	k.phase("stopped and another day behind", func() {
		if err := s.terminate(); err != nil {
			t.Error(err)
		}
		clock.set(-2 * day)
		s.restart()
	})
	k.phase("now", func() { clock.set(0) })
	s.mustHold(k.url.ID, asSet(k.kept))
	if !slices.IsSorted(k.kept) {
		t.Error("the ids are not in the order of the commits")
	}
	if out := runCommand(t, s, "check"); !strings.Contains(out, "The database is sound") {
		t.Errorf("check says: %s", out)
	}
}

// clockRun is a server whose clock jumps.
type clockRun struct {
	*server
	url         captureURL
	good, moody *receiver // moody's first attempts fail
	last        string    // an unfinished delivery
	kept        []string  // acknowledged, and not cleared since
}

// phase captures, with retries waiting, before and after a jump; all is delivered to both targets before startWait.
func (k *clockRun) phase(about string, jump func()) {
	k.t.Helper()
	ids := k.captureSome()
	eventually(k.t, about+": the first attempts", func() bool { return k.moody.missing(ids) == 0 })
	if jump != nil {
		jump()
	}
	ids = append(ids, k.captureSome()...)
	if status := k.ready(); status != http.StatusOK {
		k.t.Errorf("%s: /readyz is %d", about, status)
	}
	defer func() {
		if k.t.Failed() {
			k.t.Logf("%s: unfinished: %s", about, k.last)
		}
	}()
	eventually(k.t, about+": nothing waits any more", func() bool { return k.good.missing(ids) == 0 && k.waiting() == 0 })
	k.kept = append(k.kept, ids...)
}

// captureSome sends fewer requests than make a target count as down whose first attempts all fail.
func (k *clockRun) captureSome() (ids []string) {
	k.t.Helper()
	sender, err := newSender(k.Addr)
	if err != nil {
		k.t.Fatal(err)
	}
	defer sender.conn.Close()
	for range 4 {
		status, id, err := sender.send(post("/in/"+k.url.Slug, k.Addr, 100))
		if status != http.StatusOK || err != nil {
			k.t.Fatalf("status %d, %v", status, err)
		}
		ids = append(ids, id)
	}
	return ids
}

// waiting returns how many deliveries are not done.
func (k *clockRun) waiting() (n int) {
	k.t.Helper()
	for _, state := range []string{"pending", "waiting", "sending", "held"} {
		var page struct{ Items []json.RawMessage }
		k.api("GET", "/api/v1/deliveries?state="+state, nil, http.StatusOK, &page)
		n += len(page.Items)
		if len(page.Items) > 0 {
			k.last = string(page.Items[0])
		}
	}
	return n
}

// clear deletes all requests; what comes later must not be taken for older.
func (k *clockRun) clear() {
	k.t.Helper()
	k.api("DELETE", urlsAPI+"/"+k.url.ID+"/requests?all=true", nil, http.StatusNoContent, nil)
	k.kept = nil
}
