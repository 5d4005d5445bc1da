package capture

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// framed returns a request with a body of n bytes, of known length or in chunks.
func framed(n int, chunked bool) (head, body string) {
	if !chunked {
		return fmt.Sprintf("POST /in/orders HTTP/1.1\nHost: cap\nContent-Length: %d\n\n", n), strings.Repeat("x", n)
	}
	body = "0\r\n\r\n"
	if n > 0 {
		body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("x", n))
	}
	return "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\n", body
}

// TestBodySizes goes over every size at which something changes.
func TestBodySizes(t *testing.T) {
	s := start(t, nil)
	for _, n := range []int{
		0, 1, firstRead - 1, firstRead, firstRead + 1, 3 * firstRead, hook.SmallBody - 1, hook.SmallBody, hook.SmallBody + 1,
		testMaxBody - 1, testMaxBody,
	} {
		for _, chunked := range []bool{false, true} {
			about := fmt.Sprintf("%d bytes, chunked = %t", n, chunked)
			head, body := framed(n, chunked)
			wantEqual(t, about, s.send(t, head, body).status, 200)
			got := s.last(t)
			wantEqual(t, about, []any{got.BodySize, got.Chunked, got.Truncated, got.ResponseStatus}, []any{int64(n), chunked, false, 200})
			if !bytes.Equal(got.Body, bytes.Repeat([]byte("x"), n)) {
				t.Errorf("%s: %d other bytes are stored", about, len(got.Body))
			}
		}
	}
	wantEqual(t, "bytes in flight", s.budget.used.Load(), 0)
}

// TestBodyOverTheLimit keeps everything but the body.
func TestBodyOverTheLimit(t *testing.T) {
	s := start(t, nil)
	for _, chunked := range []bool{false, true} {
		for _, n := range []int{testMaxBody + 1, 10 * testMaxBody} {
			about := fmt.Sprintf("%d bytes, chunked = %t", n, chunked)
			head, body := framed(n, chunked)
			a := s.send(t, head, body)
			wantEqual(t, about, []any{a.status, a.closed}, []any{413, true})
			wantPublic(t, about, a)
			got := s.last(t)
			announced := int64(n)
			if chunked {
				announced = 0
			}
			wantEqual(t, about, []any{got.BodySize, len(got.Body), got.Truncated, got.ResponseStatus}, []any{announced, 0, true, 413})
			wantEqual(t, about+": the id", a.header.Get("Hookkeeper-Request-Id"), got.ID.Text(hook.RequestPrefix))
			wantEqual(t, about+": a header", got.Header("Host"), "cap")
		}
	}
	s.wantStored(t, "all", 4)
}

// TestExpectContinue asks for a body only where it will be read.
func TestExpectContinue(t *testing.T) {
	s := start(t, nil)
	head := func(n int) string {
		return fmt.Sprintf("POST /in/orders HTTP/1.1\nHost: cap\nExpect: 100-continue\nContent-Length: %d\n\n", n)
	}
	wantEqual(t, "the first answer to a body that fits", s.first(t, head(2)), "HTTP/1.1 100 Continue")
	wantEqual(t, "and to one that does not", s.first(t, head(testMaxBody+1)), "HTTP/1.1 413 Request Entity Too Large")
	wantEqual(t, "status", s.send(t, strings.Replace(head(2), "Expect: 100-continue\n", "", 1), "hi").status, 200)
}

// first returns the first line of what the server says to a head.
func (s *site) first(t *testing.T, head string) string {
	t.Helper()
	conn := s.open(t)
	write(t, conn, strings.ReplaceAll(head, "\n", "\r\n"))
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(buf[:n]), "\r\n")
	return line
}

// TestCutBodyIsNeverStored cuts valid requests at any place: not 2xx, and not stored.
func TestCutBodyIsNeverStored(t *testing.T) {
	s := start(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		head, body := framed(rapid.IntRange(1, testMaxBody).Draw(rt, "size"), rapid.Bool().Draw(rt, "chunked"))
		whole := strings.ReplaceAll(head, "\n", "\r\n") + body
		cut := rapid.IntRange(1, len(whole)-1).Draw(rt, "cut")
		conn, err := s.dial()
		if err != nil {
			rt.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(whole[:cut])); err != nil {
			rt.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			rt.Fatal(err)
		}
		if a := receive(t, conn, "POST"); a.status/100 == 2 {
			rt.Fatalf("status %d", a.status)
		}
	})
	s.wantStored(t, "of what was cut off", 0)
	wantEqual(t, "bytes in flight", s.budget.used.Load(), 0)
}

// TestBadFraming: what net/http only finds while the body is read.
func TestBadFraming(t *testing.T) {
	s := start(t, nil)
	for _, body := range []string{
		"zz\r\nhi\r\n0\r\n\r\n", "-1\r\nhi\r\n0\r\n\r\n", strings.Repeat("f", 17) + "\r\nhi\r\n0\r\n\r\n", "2\nhi\n0\n\n", "2\r\nhixx0\r\n\r\n",
		"2\r\nhi\r\n0\r\nno colon\r\n\r\n",
	} {
		a := s.send(t, "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\n", body)
		wantEqual(t, fmt.Sprintf("%.20q", body), []any{a.status, a.closed}, []any{400, true})
		wantPublic(t, body, a)
	}
	s.wantStored(t, "of bad framing", 0)
}

// TestTooManyBytesInFlight fills a small budget with bodies that do not end: who comes then is told to come again, small
// requests go on, and what was held comes back.
func TestTooManyBytesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := startInBubble(t, func(s *site) { s.budget = newBudget(400_000, 100_000) })
		var held []net.Conn
		for len(held) < 2 { // of the 200,000 bytes of a capture URL
			conn := s.open(t)
			write(t, conn, "POST /in/orders HTTP/1.1\r\nHost: cap\r\nTransfer-Encoding: chunked\r\n\r\n15f90\r\n"+strings.Repeat("x", 90_000))
			held = append(held, conn)
		}
		synctest.Wait()
		head, body := framed(90_000, false)
		conn := s.open(t)
		answered := make(chan answer)
		go func() { answered <- receive(t, conn, head) }()
		_, _ = conn.Write([]byte(strings.ReplaceAll(head, "\n", "\r\n") + body))
		refused := <-answered
		wantEqual(t, "status", refused.status, 503)
		wantEqual(t, "counted", s.Tally.Rows()[0].Limit, hook.LimitBytesInFlight)
		wantPublic(t, "refused", refused)
		wantEqual(t, "come again", refused.header["Retry-After"], []string{"5"})
		wantEqual(t, "who may read it", refused.header["Access-Control-Allow-Origin"], []string{"*"})
		wantEqual(t, "a small one", s.post(t, "/in/orders", "", "hi").status, 200)
		write(t, held[0], "\r\n0\r\n\r\n")
		wantEqual(t, "one that was held", receive(t, held[0], "POST").status, 200)
		_ = held[1].Close()
		for range 4 {
			<-done
		}
		synctest.Wait()
		wantEqual(t, "bytes in flight", s.budget.used.Load(), 0)
		wantEqual(t, "again", s.send(t, head, body).status, 200)
		s.wantStored(t, "of all", 3)
	})
}
