package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Rows that one request and its answer do not tell enough of.

var specialRows = []hostileRow{
	{id: "A32", input: "a million chunks", run: manyChunks},
	{id: "A44", input: "X-Forwarded-For of a trusted proxy", run: forwardedFor},
	{id: "A72", input: "1 GB in chunks", run: endlessChunks},
	{id: "A76", input: "TLS handshake", run: handshake},
	{id: "A77", input: "two requests at once", run: pipelined},
	{id: "A80", input: "no capture URL", run: unknownSlugs},
}

// trade sends bytes on a connection and reads the first answer.
func (s *server) trade(send, method string) answer {
	s.t.Helper()
	conn := s.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, send); err != nil {
		s.t.Fatal(err)
	}
	return readAnswer(bufio.NewReader(conn), method)
}

// onlyRequest returns the one request of a capture URL.
func (s *server) onlyRequest(t *testing.T, u captureURL) apiRequest {
	t.Helper()
	requests := s.requests(u.ID)
	if len(requests) != 1 {
		t.Fatalf("%d requests are stored, want 1", len(requests))
	}
	return s.request(requests[0].ID)
}

// neverEchoed: TRACE is captured like any method, and its answer says nothing of the request (ASVS 13.4.4).
func neverEchoed(t *testing.T, s *server) {
	u := s.newURL(nil)
	a := s.trade(strings.ReplaceAll(withMethod("TRACE"), "SLUG", u.Slug), "TRACE")
	if a.status != 200 || strings.Contains(fmt.Sprint(a.header, a.body), "echo me") {
		t.Errorf("answer %+v", a)
	}
	if r := s.onlyRequest(t, u); r.Method != http.MethodTrace {
		t.Errorf("stored as %q", r.Method)
	}
}

// manyChunks: a million chunks of a byte are one small body to us. What they cost is bounded by what net/http spends on
// a chunk.
func manyChunks(t *testing.T, _ *server) {
	chunks := 1_000_000
	if slices.Contains(buildFlags, "-race") {
		chunks /= 10
	}
	s := start(t)
	u := s.newURL(nil)
	before := s.processorTime()
	a := s.trade(strings.ReplaceAll(chunked(strings.Repeat("1\r\nx\r\n", chunks)+"0\r\n\r\n"), "SLUG", u.Slug), "POST")
	used := s.processorTime() - before
	if a.status != 200 {
		t.Errorf("answer %+v", a)
	}
	if r := s.onlyRequest(t, u); r.BodySize != int64(chunks) {
		t.Errorf("%d bytes are stored, want %d", r.BodySize, chunks)
	}
	if used > 2*time.Second {
		t.Errorf("it took %s of a processor", used)
	}
}

// processorTime returns what the server has used of the processors: fields 14 and 15 of proc_pid_stat(5), in ticks of
// 10 ms.
func (s *server) processorTime() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(stat), ") ") // the name before it may hold anything
	fields := strings.Fields(behind)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		s.t.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// endlessChunks: a body without an announced length is read to the limit and not further, and takes no more memory.
func endlessChunks(t *testing.T, _ *server) {
	s := start(t)
	u := s.newURL(nil)
	before := s.memory()
	conn := s.dial()
	defer conn.Close()
	sent := make(chan int64, 1)
	go func() {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
		_, err := io.WriteString(conn, strings.ReplaceAll(chunked(""), "SLUG", u.Slug))
		n := int64(0)
		for ; err == nil && n < 1<<30; n += 1 << 20 {
			_, err = io.WriteString(conn, chunk)
		}
		sent <- n
	}()
	a := readAnswer(bufio.NewReader(conn), "POST")
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("answer %+v", a)
	}
	if n := <-sent; n > 4*hook.DefaultMaxBody {
		t.Errorf("%d bytes were taken", n)
	}
	if more := s.memory() - before; more > 8*hook.DefaultMaxBody {
		t.Errorf("it took %d bytes of memory", more)
	}
	if r := s.onlyRequest(t, u); !r.Truncated || r.BodySize != 0 {
		t.Errorf("stored with %d bytes, truncated %t", r.BodySize, r.Truncated)
	}
}

// forwardedFor: a proxy is believed when its address is a trusted one, and so is what it tells of the proxy before it.
func forwardedFor(t *testing.T, _ *server) {
	for _, c := range []struct{ trusted, client string }{
		{"127.0.0.1/32", "10.0.0.9"},
		{"127.0.0.1/32,10.0.0.0/8", "6.6.6.6"},
		{"10.0.0.0/8", "127.0.0.1"},
	} {
		s := start(t, "HOOKKEEPER_TRUSTED_PROXIES="+c.trusted)
		u := s.newURL(nil)
		a := s.trade(strings.ReplaceAll(hi("Content-Length: 2", "X-Forwarded-For: 6.6.6.6, 10.0.0.9"), "SLUG", u.Slug), "POST")
		r := s.onlyRequest(t, u)
		if a.status != 200 || r.ClientAddr != c.client || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
			t.Errorf("trusted %s: status %d, client %s at %s; want %s", c.trusted, a.status, r.ClientAddr, r.RemoteAddr, c.client)
		}
		s.kill()
	}
}

// expectContinue: the sender is asked for the body, and the answer comes behind it.
func expectContinue(t *testing.T, s *server) {
	u := s.newURL(nil)
	conn := s.dial()
	defer conn.Close()
	reader := bufio.NewReader(conn)
	asking := head("POST /in/"+u.Slug+" HTTP/1.1", "Host: cap", "Expect: 100-continue", "Content-Length: 2")
	if _, err := io.WriteString(conn, asking); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(reader, "POST"); a.status != http.StatusContinue {
		t.Fatalf("answer %+v", a)
	}
	if _, err := io.WriteString(conn, "hi"); err != nil {
		t.Fatal(err)
	}
	if a := readAnswer(reader, "POST"); a.status != 200 {
		t.Errorf("answer %+v", a)
	}
	if r := s.onlyRequest(t, u); r.bodyBytes() != "hi" {
		t.Errorf("stored is %q", r.bodyBytes())
	}
}

// expectTooLarge: a body that will not be taken is not asked for.
func expectTooLarge(t *testing.T, s *server) {
	u := s.newURL(nil)
	asking := head("POST /in/"+u.Slug+" HTTP/1.1", "Host: cap", "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", hook.DefaultMaxBody+1))
	if a := s.trade(asking, "POST"); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("answer %+v", a)
	}
	if r := s.onlyRequest(t, u); !r.Truncated {
		t.Error("stored as if it were whole")
	}
}

// handshake: a client that speaks TLS to the plain port gets no answer that it could take for one.
func handshake(t *testing.T, s *server) {
	conn := s.dial()
	defer conn.Close()
	start := time.Now()
	if err := tls.Client(conn, &tls.Config{ServerName: "cap", MinVersion: tls.VersionTLS12}).Handshake(); err == nil {
		t.Error("there is TLS on the plain port")
	}
	if took := time.Since(start); took > hook.HeaderTimeout+time.Second {
		t.Errorf("it took %s", took)
	}
}

// pipelined: requests that were sent without waiting are answered and stored in their order.
func pipelined(t *testing.T, s *server) {
	u := s.newURL(nil)
	conn := s.dial()
	defer conn.Close()
	first := head("POST /in/"+u.Slug+"/1 HTTP/1.1", "Host: cap", "Content-Length: 2") + "hi"
	second := head("POST /in/"+u.Slug+"/2 HTTP/1.1", "Host: cap", "Transfer-Encoding: chunked") + "2\r\nho\r\n0\r\n\r\n"
	if _, err := io.WriteString(conn, first+second); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	var answered, stored []string
	for range 2 {
		answered = append(answered, readAnswer(reader, "POST").header.Get("Hookkeeper-Request-Id"))
	}
	requests := s.requests(u.ID)
	for _, r := range requests {
		stored = append(stored, r.ID)
	}
	if !slices.Equal(answered, stored) || len(stored) != 2 || requests[0].SubPath != "/1" {
		t.Errorf("answered %q, stored %q: %+v", answered, stored, requests)
	}
}

// unknownSlugs: whatever is not a capture URL is answered alike, so that nobody finds out what once was one.
func unknownSlugs(t *testing.T, s *server) {
	u, deleted := s.newURL(nil), s.newURL(map[string]any{"slug": "deleted-once"})
	s.api("DELETE", "/api/v1/capture-urls/"+deleted.ID, nil, http.StatusNoContent, nil)
	swapped := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c ^ 0x20
		}
		return c
	}, u.Slug)
	var first answer
	for i, target := range []string{
		"/in/nothing-ever", "/in/" + deleted.Slug, "/in/" + swapped, "/in/" + strings.ToUpper(deleted.Slug), "/in/" + u.Slug[1:],
		"/in/" + u.Slug + "%00", "/in/" + u.Slug + "%2f", "/in/", "/in/?" + u.Slug, "/in//", "/in/" + deleted.Slug + "/deeper?and=more",
		"/in/" + strings.Repeat("a", 4000),
	} {
		a := s.trade(getOf(target), "GET")
		a.header.Del("Date")
		if i == 0 {
			first = a
		}
		if diff := cmp.Diff(first, a, cmp.AllowUnexported(answer{})); diff != "" || a.status != http.StatusNotFound {
			t.Errorf("%.60s: status %d\n%s", target, a.status, diff)
		}
	}
	if n := len(s.requests(u.ID)); n != 0 {
		t.Errorf("%d requests are stored", n)
	}
}
