package e2e

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// acked collects the requests that senders were told are stored: the marker of each by its id.
type acked struct {
	mu  sync.Mutex
	ids map[string]string
}

func (a *acked) add(id, marker string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[id] = marker
}

func (a *acked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

// sendMarked sends requests with a marker of their own each until the server is gone, and notes what was acknowledged.
func sendMarked(addr, path, name string, acks *acked, progress chan<- struct{}) {
	s, err := newSender(addr)
	if err != nil {
		return
	}
	defer s.conn.Close()
	for i := 0; ; i++ {
		marker := fmt.Sprintf("%s-%d", name, i)
		body := marker + strings.Repeat(".", rand.IntN(3000))
		request := fmt.Appendf(nil, "POST %s?m=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, marker, len(body), body)
		status, id, err := s.send(request)
		if err != nil {
			return
		}
		if status == 200 {
			acks.add(id, marker)
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}
}

// TestKill9 kills the server under captures and deliveries, again and again: what was acknowledged is there, whole, and delivered;
// what is recorded as delivered is not delivered again.
func TestKill9(t *testing.T) {
	t.Parallel()
	cycles := 10
	if long() {
		cycles = 200
	}
	s := start(t, "HOOKKEEPER_KEEP_REQUESTS=10000000", allowLoopback)
	u := s.newURL(nil)
	g := newReceiver(t)
	s.subscribe(u, g.URL, nil)
	done := map[string]int{} // requests that are recorded as delivered, and how often they had come by then
	acks := &acked{ids: map[string]string{}}
	for cycle := range cycles {
		var wg sync.WaitGroup
		progress := make(chan struct{}, 1)
		for i := range 16 {
			wg.Go(func() { sendMarked(s.Addr, "/in/"+u.Slug, fmt.Sprintf("c%ds%d", cycle, i), acks, progress) })
		}
		before := acks.count()
		for acks.count() < before+200+rand.IntN(400) { // the moment of the cut is as random as the load
			<-progress
		}
		s.kill()
		wg.Wait()
		g.stopped(t, done, recordedIn(t, s.DataDir))
		s.restart()
	}
	eventually(t, "all acknowledged requests are delivered", func() bool {
		return g.missing(slices.Collect(maps.Keys(acks.ids))) == 0
	})
	g.wantNoMore(t, done)
	t.Logf("%d were recorded as delivered when the server was killed", len(done))
	stored := map[string]string{}
	for _, r := range s.requests(u.ID) {
		marker := strings.TrimPrefix(r.Query, "m=")
		stored[r.ID] = marker
	}
	lost := maps.Clone(acks.ids)
	maps.DeleteFunc(lost, func(id, marker string) bool { return stored[id] == marker })
	t.Logf("%d cycles, %d acknowledged, %d stored, %d lost", cycles, len(acks.ids), len(stored), len(lost))
	if len(lost) > 0 {
		t.Errorf("acknowledged and lost: %v", lost)
	}
	s.checkWhole(stored)
	if problems := runCommand(t, s, "check"); !strings.Contains(problems, "The database is sound.") {
		t.Errorf("check says %q", problems)
	}
}

// recordedIn returns the requests whose delivery is recorded as succeeded by a server that was killed. It reads a copy, because
// the next start has to find what the kill left.
func recordedIn(t *testing.T, dataDir string) (requests []string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "hookkeeper.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(dataDir, "hookkeeper.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(image+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", "file:"+image)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = db.Close()
		_ = os.Remove(image)
	}()
	rows, err := db.Query("SELECT request_id FROM deliveries WHERE state = $1", int(hook.Succeeded))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id hook.ID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		requests = append(requests, id.Text(hook.RequestPrefix))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return requests
}

// checkWhole reads a sample of the stored requests: the body starts with its marker.
func (s *server) checkWhole(stored map[string]string) {
	s.t.Helper()
	left := 300
	for id, marker := range stored {
		r := s.request(id)
		if r.Body == nil || !strings.HasPrefix(*r.Body, marker) || int64(len(*r.Body)) != r.BodySize {
			s.t.Errorf("request %s is not whole", id)
		}
		if left--; left == 0 {
			return
		}
	}
}

// TestCutOff cuts requests off at a random byte: none is answered 2xx and none is stored.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(nil)
	cuts := 2000
	if long() {
		cuts = 20_000
	}
	whole := post("/in/"+u.Slug, s.Addr, 700)
	chunked := []byte("POST /in/" + u.Slug + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"a\r\n0123456789\r\n14\r\n01234567890123456789\r\n0\r\nX-Trailer: 1\r\n\r\n")
	var wg sync.WaitGroup
	rounds := make(chan int)
	for range 32 {
		wg.Go(func() {
			for i := range rounds {
				request := whole
				if i%2 == 1 {
					request = chunked
				}
				cut := 1 + rand.IntN(len(request)-1)
				if answer := cutOff(t, s.Addr, request[:cut]); strings.HasPrefix(answer, "HTTP/1.1 2") {
					t.Errorf("a request cut off after %d of %d bytes was answered %q", cut, len(request), answer)
				}
			}
		})
	}
	for i := range cuts {
		rounds <- i
	}
	close(rounds)
	wg.Wait()
	if stored := s.requests(u.ID); len(stored) != 0 {
		t.Errorf("%d of %d requests that were cut off are stored", len(stored), cuts)
	}
	if id := s.sendOne(whole); len(s.requests(u.ID)) != 1 {
		t.Errorf("the whole request %s is not stored", id)
	}
}

// cutOff sends the beginning of a request, then ends the connection: half of the time with a reset.
func cutOff(t *testing.T, addr string, start []byte) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(startWait))
	if _, err := conn.Write(start); err != nil {
		t.Error(err)
		return ""
	}
	tcp := conn.(*net.TCPConn)
	if rand.IntN(2) == 0 {
		_ = tcp.SetLinger(0) // Close sends a reset
		return ""
	}
	_ = tcp.CloseWrite()
	answer := make([]byte, 64)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}

// sendOne sends one request and returns its id; another answer than 200 fails the test.
func (s *server) sendOne(request []byte) string {
	s.t.Helper()
	sender, err := newSender(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sender.conn.Close()
	status, id, err := sender.send(request)
	if err != nil || status != 200 {
		s.t.Fatalf("status %d, %v", status, err)
	}
	return id
}

// errStopping is that the server has said that it is stopping: senders go elsewhere.
var errStopping = errors.New("the server is stopping")

// drained is what became of the requests that were sent while the server was stopped.
type drained struct {
	acked
	refused atomic.Int64 // 503
	late    atomic.Int64 // reset on a new connection when nobody listens any more: the kernel had taken it, the server had not
	unheard atomic.Int64 // no byte of an answer on a connection that had been used: HTTP has senders try again (RFC 9112 section 9.3.1)
}

// sendThrough sends requests with a marker of their own, on one connection for as long as it lasts or a new one for each, until
// nobody listens any more. A request on a new connection has to be answered, and an answer that has begun is whole.
func (d *drained) sendThrough(t *testing.T, addr, path, name string, reuse bool, progress chan<- struct{}) {
	for i := 0; ; {
		s, err := newSender(addr)
		if err != nil {
			return // nobody listens
		}
		for used := false; err == nil && !s.last && (reuse || !used); used = true {
			i++
			marker := fmt.Sprintf("%s-%d", name, i)
			err = d.sendOne(t, s, path, marker, used)
			select {
			case progress <- struct{}{}:
			default:
			}
		}
		_ = s.conn.Close()
		if errors.Is(err, errStopping) {
			return
		}
	}
}

// sendOne sends one request, the first of its connection or not, and notes what became of it.
func (d *drained) sendOne(t *testing.T, s *sender, path, marker string, used bool) error {
	_, err := fmt.Fprintf(s.conn, "POST %s?m=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhi!", path, marker)
	if err == nil {
		_, err = s.reader.Peek(1)
	}
	if err != nil {
		switch {
		case used:
			d.unheard.Add(1)
		case errors.Is(err, syscall.ECONNRESET) && !listens(s.conn.RemoteAddr().String()):
			d.late.Add(1)
		default:
			t.Errorf("request %s on a new connection: %v", marker, err)
		}
		return err
	}
	status, id, err := s.receive()
	switch {
	case err != nil:
		t.Errorf("request %s: the answer was cut off: %v", marker, err)
	case status == http.StatusOK:
		d.add(id, marker)
	case status == http.StatusServiceUnavailable:
		d.refused.Add(1)
		return errStopping
	default:
		t.Errorf("request %s: status %d", marker, status)
	}
	return err
}

func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// TestDrain stops the server by SIGTERM under captures and deliveries: who opens a connection is answered, every answer that was
// begun is finished, what was acknowledged is there, and nothing is delivered twice.
func TestDrain(t *testing.T) {
	t.Parallel()
	rounds := 3
	if long() {
		rounds = 100
	}
	s := start(t, allowLoopback, "HOOKKEEPER_KEEP_REQUESTS=1000000")
	u := s.newURL(nil)
	g := newReceiver(t)
	s.subscribe(u, g.URL, nil)
	d := &drained{acked: acked{ids: map[string]string{}}}
	for round := range rounds {
		var wg sync.WaitGroup
		progress := make(chan struct{}, 1)
		for i := range 8 {
			wg.Go(func() { d.sendThrough(t, s.Addr, "/in/"+u.Slug, fmt.Sprintf("r%ds%d", round, i), i%2 == 0, progress) })
		}
		before := d.count()
		for d.count() < before+300 {
			<-progress
		}
		if err := s.terminate(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		s.restart()
	}
	t.Logf("%d rounds: %d acknowledged, %d refused, %d too late, %d without an answer on a used connection", rounds, d.count(), d.refused.Load(),
		d.late.Load(), d.unheard.Load())
	if n := d.late.Load(); n > int64(rounds) {
		t.Errorf("%d connections were made and never accepted", n)
	}
	stored := map[string]bool{}
	for _, r := range s.requests(u.ID) {
		stored[r.ID] = true
	}
	for id := range d.ids {
		if !stored[id] {
			t.Errorf("request %s was acknowledged and is lost", id)
		}
	}
	if len(stored) != len(d.ids) {
		t.Errorf("%d stored, %d acknowledged: a drain leaves nothing in between", len(stored), len(d.ids))
	}
	eventually(t, "all are delivered", func() bool { return g.missing(slices.Collect(maps.Keys(stored))) == 0 })
	if requests, deliveries := g.received(); requests != deliveries {
		t.Errorf("%d requests came in %d deliveries: a drain ends none in the middle", requests, deliveries)
	}
}

// TestDrainEndsDelay stops the server while a sender waits for a delayed answer: it gets the answer, at once.
func TestDrainEndsDelay(t *testing.T) {
	t.Parallel()
	s := start(t)
	u := s.newURL(map[string]any{"response": map[string]any{
		"status": 202, "headers": []any{}, "body": base64.StdEncoding.EncodeToString([]byte("later")), "delay_ms": 25000,
	}})
	sender, err := newSender(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	type answer struct {
		status int
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		status, _, err := sender.send(post("/in/"+u.Slug, s.Addr, 10))
		answered <- answer{status, err}
	}()
	for len(s.requests(u.ID)) == 0 { // stored before the delay begins
	}
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.err != nil || a.status != 202 {
		t.Errorf("the answer was %d, %v; want 202", a.status, a.err)
	}
}
