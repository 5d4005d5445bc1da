package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

// met returns how often the operator is told that a limit was met, under Settings → Server.
func (s *server) met(limit hook.Limit) int64 {
	s.t.Helper()
	return s.metAs(s.login(), limit)
}

// metAs is met for who is logged in already.
func (s *server) metAs(session *http.Cookie, limit hook.Limit) int64 {
	s.t.Helper()
	page := htmltest.Parse(s.t, s.fetch("/settings/server", session).body)
	cells := page.Texts("tbody td")
	for row := range slices.Chunk(cells, 4) {
		if row[0] != limit.Met().Where || row[2] != limit.Met().Why {
			continue
		}
		n, err := strconv.ParseInt(strings.ReplaceAll(row[3], ",", ""), 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	return 0
}

// TestTrailerLimit: a sender may put 50 lines behind the chunks, and not one more.
func TestTrailerLimit(t *testing.T) {
	t.Parallel()
	s := start(t)
	for lines, want := range map[int]int{hook.MaxTrailerLines: 200, hook.MaxTrailerLines + 1: 431} {
		u := s.newURL(nil)
		last := "0\r\n" + head(numbered("X-T: ", lines)...)
		a := s.trade(strings.ReplaceAll(chunked("2\r\nhi\r\n"+last), "SLUG", u.Slug), "POST")
		if a.status != want {
			t.Errorf("%d lines: %+v, want %d", lines, a, want)
		}
		if n := len(s.requests(u.ID)); (n == 1) != (want == 200) {
			t.Errorf("%d lines: %d requests are stored", lines, n)
		}
	}
}

// largePost is a body on its way that never ends.
type largePost struct {
	conn     net.Conn
	answered chan answer // closed without one when the connection ends
}

// beginLarge announces a body, sends some of it and leaves it there. The answer, if the server refuses it, is in answered.
func (s *server) beginLarge(slug string, announce, send int) *largePost {
	s.t.Helper()
	p := &largePost{s.dial(), make(chan answer, 1)}
	s.t.Cleanup(func() { p.conn.Close() })
	go func() {
		if a := readAnswer(bufio.NewReader(p.conn), "POST"); a.status != 0 {
			p.answered <- a
		}
		close(p.answered)
	}()
	_, err := io.WriteString(p.conn, head("POST /in/"+slug+" HTTP/1.1", "Host: cap", fmt.Sprintf("Content-Length: %d", announce)))
	part := strings.Repeat("x", 1<<20)
	for sent := 0; err == nil && sent < send; sent += len(part) { // an error is the server's refusal
		_, err = io.WriteString(p.conn, part)
	}
	return p
}

// TestBytesInFlight: large bodies that are sent to one capture URL, and then stall, take half of what is there for bodies
// on their way. More of them are refused for now, and small requests to another one go on as if nothing were.
func TestBytesInFlight(t *testing.T) {
	t.Parallel()
	s := start(t, "HOOKKEEPER_MAX_BODY=64MiB")
	attacked, neighbour := s.newURL(nil), s.newURL(nil)
	const announced, sent = 60 << 20, 48 << 20 // 64 MB are charged by then
	var stalled []*largePost
	for range hook.BytesInFlight / 2 / (64 << 20) {
		stalled = append(stalled, s.beginLarge(attacked.Slug, announced, sent))
	}
	a := <-s.beginLarge(attacked.Slug, announced, sent).answered
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one more large body: %+v", a)
	}
	sender, err := newSender(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	var took []time.Duration
	for _, u := range []captureURL{neighbour, attacked} {
		for range 100 {
			start := time.Now()
			status, _, err := sender.send(post("/in/"+u.Slug, s.Addr, 1024))
			if err != nil || status != http.StatusOK {
				t.Fatalf("a small request: status %d, %v", status, err)
			}
			took = append(took, time.Since(start))
		}
	}
	if slow := percentile(took, 0.99); slow > time.Second {
		t.Errorf("small requests took %s", slow)
	}
	for _, p := range stalled {
		select {
		case a := <-p.answered:
			t.Errorf("a body on its way was answered %+v", a)
		default:
		}
		p.conn.Close()
	}
	// The server gives back what they held when it finds them gone.
	deadline := time.Now().Add(startWait)
	for status := 0; status != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatalf("a large body is still answered %d", status)
		}
		status = s.exchange(s.newPost("/in/"+attacked.Slug, strings.Repeat("x", 48<<20))).status
	}
	if n := len(s.requests(attacked.ID)); n != 101 {
		t.Errorf("%d requests are stored, want 101", n)
	}
}
