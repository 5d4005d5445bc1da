package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// paced sends a request so many times a second for a while, on eight connections, and returns how long each answer took from the
// moment when the request was due, and the ids of what was acknowledged. Another answer than 200 is an error of the test.
func paced(t testing.TB, addr string, request []byte, perSecond int, d time.Duration) (took []time.Duration, ids []string) {
	t.Helper()
	const connections = 8
	var mu sync.Mutex
	var senders sync.WaitGroup
	begin := time.Now()
	for i := range connections {
		senders.Go(func() {
			s, err := newSender(addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.conn.Close()
			for n := i; ; n += connections {
				due := begin.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
				if due.Sub(begin) > d {
					return
				}
				pace(time.Until(due))
				status, id, err := s.send(request)
				if err != nil || status != http.StatusOK {
					t.Errorf("a normal sender: status %d, %v", status, err)
					return
				}
				mu.Lock()
				took, ids = append(took, time.Since(due)), append(ids, id)
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	return took, ids
}

func reportP99(b *testing.B, name string, took []time.Duration) {
	b.Helper()
	b.ReportMetric(float64(percentile(took, 0.99).Microseconds())/1000, name+"-p99-ms")
}

// watchers opens live views of a capture URL, 20 to a session.
func (s *server) watchers(captureURL string, n int) {
	s.t.Helper()
	var session *http.Cookie
	for i := range n {
		if i%20 == 0 {
			session = s.login()
		}
		go drainViewer(s.watchAs(session, captureURL))
	}
}

// watchMemory samples the resident memory of the server until stop is called, which returns the most of it.
func (s *server) watchMemory() (stop func() int64) {
	var most atomic.Int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				most.Store(max(most.Load(), s.memory()))
			}
		}
	}()
	return func() int64 {
		close(done)
		<-ended
		return most.Load()
	}
}

// BenchmarkCaptureBesideViewers measures senders at 500 a second beside idle viewers of another capture URL: 1,000, or 10,000 with
// HOOKKEEPER_TEST_LONG.
func BenchmarkCaptureBesideViewers(b *testing.B) {
	viewers := 1000
	if long() {
		viewers = 10_000
	}
	s := start(b)
	watched, busy := s.newURL(nil), s.newURL(nil)
	idle := s.memory()
	s.watchers(watched.ID, viewers)
	more := s.memory() - idle
	var took []time.Duration
	for b.Loop() {
		t, _ := paced(b, s.Addr, post("/in/"+busy.Slug, s.Addr, 1024), 500, 5*time.Second)
		took = append(took, t...)
	}
	b.ReportMetric(float64(more)/(1<<20), "more-MB")
	b.ReportMetric(float64(viewers), "viewers")
	reportP99(b, "capture", took)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkNeighbour measures a normal sender, alone and beside a capture URL that is flooded, without a rate and with one.
func BenchmarkNeighbour(b *testing.B) {
	s := start(b)
	normal, flooded := s.newURL(nil), s.newURL(nil)
	limited := s.newURL(map[string]any{"rate_per_second": 100})
	var alone, beside, besideLimited []time.Duration
	measure := func(to *[]time.Duration, flood string) {
		stop := make(chan struct{})
		var flooders sync.WaitGroup
		if flood != "" {
			for range 8 {
				flooders.Go(func() { floodOf(s.Addr, post("/in/"+flood, s.Addr, 1024), stop) })
			}
		}
		took, _ := paced(b, s.Addr, post("/in/"+normal.Slug, s.Addr, 1024), 50, 4*time.Second)
		close(stop)
		flooders.Wait()
		*to = append(*to, took...)
	}
	for b.Loop() {
		measure(&alone, "")
		measure(&beside, flooded.Slug)
		measure(&besideLimited, limited.Slug)
	}
	reportP99(b, "alone", alone)
	reportP99(b, "flooded", beside)
	reportP99(b, "limited", besideLimited)
	b.ReportMetric(0, "ns/op")
}

// TestNeighbour floods capture URLs, one without a rate and one with, and has a normal sender beside them: it is answered 200 each
// time, and loses nothing. BenchmarkNeighbour has what it waits.
func TestNeighbour(t *testing.T) {
	t.Parallel()
	d := 3 * time.Second
	if long() {
		d = time.Minute
	}
	s := start(t)
	normal, flooded, limited := s.newURL(nil), s.newURL(nil), s.newURL(map[string]any{"rate_per_second": 100})
	stop := make(chan struct{})
	var flooders sync.WaitGroup
	for range 8 {
		for _, u := range []captureURL{flooded, limited} {
			flooders.Go(func() { floodOf(s.Addr, post("/in/"+u.Slug, s.Addr, 1024), stop) })
		}
	}
	_, ids := paced(t, s.Addr, post("/in/"+normal.Slug, s.Addr, 1024), 50, d)
	close(stop)
	flooders.Wait()
	s.mustHold(normal.ID, asSet(ids))
	if want := int(d.Seconds() * 50); len(ids) < want {
		t.Errorf("%d requests of the normal sender were acknowledged, want %d", len(ids), want)
	}
	if s.met(hook.LimitRate) == 0 {
		t.Error("there was no flood")
	}
}

// floodOf sends a request as often as it can, whatever the answer is.
func floodOf(addr string, request []byte, stop <-chan struct{}) {
	s, err := newSender(addr)
	if err != nil {
		return
	}
	defer s.conn.Close()
	for {
		select {
		case <-stop:
			return
		default:
		}
		if _, _, err := s.send(request); err != nil {
			return
		}
	}
}

// TestAssault does everything at once: endless bodies, slow senders, viewers. A normal sender goes on, loses nothing, and the
// server keeps its memory. HOOKKEEPER_TEST_LONG is fifty bodies of 1 GB, 2,000 slow connections and 10,000 viewers.
func TestAssault(t *testing.T) {
	bodies, slow, viewers, d := 10, 200, 200, 6*time.Second
	size := int64(64 << 20)
	if long() {
		bodies, slow, viewers, d = 50, 2000, 10_000, 30*time.Second
		size = 1 << 30
	}
	s := start(t)
	normal, attacked, watched := s.newURL(nil), s.newURL(nil), s.newURL(nil)
	s.watchers(watched.ID, viewers)
	most := s.watchMemory()
	order, err := json.Marshal(attackOrder{s.Addr, attacked.Slug, bodies, size, slow})
	if err != nil {
		t.Fatal(err)
	}
	attackers := exec.Command(os.Args[0])
	attackers.Env = append(cleanEnviron(), "HOOKKEEPER_E2E_ATTACK="+string(order))
	var statuses bytes.Buffer
	attackers.Stdout = &statuses
	orders, err := attackers.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := attackers.Start(); err != nil {
		t.Fatal(err)
	}
	took, ids := paced(t, s.Addr, post("/in/"+normal.Slug, s.Addr, 1024), 50, d)
	_ = orders.Close() // the attackers stop
	if err := attackers.Wait(); err != nil {
		t.Error(err)
	}
	for _, status := range strings.Fields(statuses.String()) {
		if status != "0" && status != "413" && status != "503" {
			t.Errorf("an endless body was answered %s", status)
		}
	}
	if n := len(strings.Fields(statuses.String())); n != bodies {
		t.Errorf("%d of %d attackers have come to an end", n, bodies)
	}
	s.mustHold(normal.ID, asSet(ids))
	p99, memory := percentile(took, 0.99), most()
	t.Logf("%d endless bodies, %d slow connections, %d viewers: p99 of a normal sender %v, at most %d MB", bodies, slow, viewers, p99, memory>>20)
	if memory > 512<<20 {
		t.Errorf("the server took %d MB", memory>>20)
	}
	if p99 > 2*time.Second { // README has the figure; here a busy machine is forgiven a lot
		t.Errorf("a normal sender waits %v", p99)
	}
}

func asSet(ids []string) map[string]bool {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// attackOrder is what a process of attackers does: they would take the time of the normal sender's process, too.
type attackOrder struct {
	Addr, Slug string
	Bodies     int
	Size       int64
	Slow       int
}

// attack runs the attackers until standard input ends, and prints how the endless bodies were answered.
func attack(order string) {
	var o attackOrder
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		os.Exit(1)
	}
	stop := make(chan struct{})
	var attackers sync.WaitGroup
	for range o.Bodies {
		attackers.Go(func() { fmt.Println(endlessBody(o.Addr, o.Slug, o.Size)) })
	}
	for i := range o.Slow {
		attackers.Go(func() { slowSender(o.Addr, o.Slug, i, stop) })
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(stop)
	attackers.Wait()
}

// endlessBody sends a chunked body as fast as it is taken and returns the status of the answer, 0 when the connection is closed.
func endlessBody(addr, slug string, size int64) int {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0
	}
	defer conn.Close()
	answer := make(chan int, 1)
	go func() {
		head := make([]byte, 64)
		n, _ := conn.Read(head)
		var status int
		_, _ = fmt.Sscanf(string(head[:n]), "HTTP/1.1 %d", &status)
		answer <- status
	}()
	_, _ = io.WriteString(conn, "POST /in/"+slug+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
	for sent := int64(0); sent < size; sent += 0x10000 {
		if _, err := io.WriteString(conn, chunk); err != nil {
			break
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(startWait))
	return <-answer
}

// slowSender sends a head or a body byte by byte, again and again, until stop.
func slowSender(addr, slug string, i int, stop <-chan struct{}) {
	head := "POST /in/" + slug + " HTTP/1.1\r\nHost: x\r\n"
	if i%2 == 0 {
		head += "Content-Length: 100000\r\n\r\n"
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_, err = io.WriteString(conn, head)
		for err == nil {
			select {
			case <-stop:
				_ = conn.Close()
				return
			case <-tick.C:
				_, err = io.WriteString(conn, "x")
			}
		}
		_ = conn.Close()
	}
}

// BenchmarkWAL measures the write-ahead log and the longest wait of a sender while captures come as fast as they can, pages are
// read, and another process reads the whole database again and again: 10 s, or 10 minutes with HOOKKEEPER_TEST_LONG.
func BenchmarkWAL(b *testing.B) {
	d := 10 * time.Second
	if long() {
		d = 10 * time.Minute
	}
	s := start(b)
	u := s.newURL(nil)
	session := s.login()
	var largest int64
	var longest time.Duration
	for b.Loop() {
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() { repeatUntil(stop, func() { runCommand(b, s, "check") }) })
		others.Go(func() { repeatUntil(stop, func() { s.get("/urls/"+u.ID, session) }) })
		others.Go(func() {
			repeatUntil(stop, func() {
				if info, err := os.Stat(filepath.Join(s.DataDir, "hookkeeper.db-wal")); err == nil {
					largest = max(largest, info.Size())
				}
				pace(20 * time.Millisecond)
			})
		})
		for range 8 {
			others.Go(func() { floodOf(s.Addr, post("/in/"+u.Slug, s.Addr, 1024), stop) })
		}
		took, _ := paced(b, s.Addr, post("/in/"+u.Slug, s.Addr, 1024), 100, d)
		close(stop)
		others.Wait()
		longest = max(longest, percentile(took, 1))
		reportP99(b, "capture", took)
	}
	b.ReportMetric(float64(largest)/(1<<20), "wal-MB")
	b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
	b.ReportMetric(0, "ns/op")
}

func repeatUntil(stop <-chan struct{}, f func()) {
	for {
		select {
		case <-stop:
			return
		default:
			f()
		}
	}
}
