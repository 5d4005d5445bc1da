package capture

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// answering sets what the capture URL of a site answers.
func (s *site) answering(t *testing.T, response hook.Response) {
	t.Helper()
	_, err := s.Store.UpdateCaptureURL(t.Context(), hook.System, s.url.ID, func(u *hook.CaptureURL) error {
		u.Response = response
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) open(t *testing.T) net.Conn {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// heads are of the three ways in which a body is read, for a body of n bytes.
var heads = map[string]func(n int) (head, body string){
	"small": func(int) (string, string) {
		return "POST /in/orders HTTP/1.1\nHost: cap\nContent-Length: 2\n\n", "hi"
	},
	"large": func(n int) (string, string) {
		return fmt.Sprintf("POST /in/orders HTTP/1.1\nHost: cap\nContent-Length: %d\n\n", n), strings.Repeat("x", n)
	},
	"chunked": func(n int) (string, string) {
		return "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\n",
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("x", n))
	},
}

// TestDelayIsKept whatever time limits were set for reading the request.
func TestDelayIsKept(t *testing.T) {
	for about, head := range heads {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := startInBubble(t, nil)
				s.answering(t, hook.Response{Status: 201, Delay: hook.MaxResponseDelay})
				begin := time.Now()
				h, b := head(testMaxBody)
				wantEqual(t, "status", s.send(t, h, b).status, 201)
				wantEqual(t, "delay", time.Since(begin), hook.MaxResponseDelay)
				s.wantStored(t, "after the delay", 1)
			})
		})
	}
}

// TestDelayComesAfterTheCommit, so that nobody waits for a request that is there.
func TestDelayComesAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := startInBubble(t, nil)
		s.answering(t, hook.Response{Status: 200, Delay: time.Second})
		conn := s.open(t)
		write(t, conn, "GET /in/orders HTTP/1.1\r\nHost: cap\r\n\r\n")
		synctest.Wait()
		s.wantStored(t, "during the delay", 1)
		wantEqual(t, "answered", len(done), 0)
	})
}

// TestDelayEndsEarly when the server stops, and when the sender has left.
func TestDelayEndsEarly(t *testing.T) {
	for about, end := range map[string]func(*site, net.Conn){
		"drain": func(s *site, _ net.Conn) { s.Drain() },
		"leave": func(_ *site, conn net.Conn) { _ = conn.Close() },
	} {
		for framing, head := range heads {
			t.Run(about+"/"+framing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, done := startInBubble(t, nil)
					s.answering(t, hook.Response{Status: 201, Delay: hook.MaxResponseDelay})
					conn := s.open(t)
					h, b := head(testMaxBody)
					write(t, conn, strings.ReplaceAll(h, "\n", "\r\n")+b)
					synctest.Wait()
					begin := time.Now()
					end(s, conn)
					if about == "drain" {
						wantEqual(t, "status", receive(t, conn, "POST").status, 201)
					}
					<-done
					wantEqual(t, "time that passed", time.Since(begin), 0)
					s.wantStored(t, "all the same", 1)
				})
			})
		}
	}
}

// TestSlowBody has a sender just fast enough for a large body, for longer than an answer may take: it is stored and
// answered, whatever the answer is.
func TestSlowBody(t *testing.T) {
	for about, test := range map[string]struct {
		size, want int
	}{
		"stored": {9 << 20, 200}, "too large": {10<<20 + 1, 413},
	} {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := startInBubble(t, func(s *site) { s.MaxBody = 10 << 20 })
				conn := s.open(t)
				begin := time.Now()
				write(t, conn, "POST /in/orders HTTP/1.1\r\nHost: cap\r\nTransfer-Encoding: chunked\r\n\r\n")
				chunk := fmt.Sprintf("%x\r\n%s\r\n", hook.BodyRate, strings.Repeat("x", hook.BodyRate))
				answered := make(chan answer)
				go func() { answered <- receive(t, conn, "POST") }()
				for n := 0; n < test.size; n += hook.BodyRate {
					time.Sleep(time.Second)
					_, _ = io.WriteString(conn, chunk) // of one that is too large nobody reads the rest
				}
				if test.want == 200 {
					write(t, conn, "0\r\n\r\n")
				}
				wantEqual(t, "status", (<-answered).status, test.want)
				if d := time.Since(begin); d < 2*time.Minute {
					t.Errorf("it took only %s", d)
				}
				s.wantStored(t, "slowly", 1)
			})
		})
	}
}

// TestTooSlowBody sends a byte a second: the connection is closed in time, nothing is stored, and never is the answer 2xx.
func TestTooSlowBody(t *testing.T) {
	for about, head := range map[string]string{
		"small":   "POST /in/orders HTTP/1.1\r\nHost: cap\r\nContent-Length: 1000\r\n\r\n",
		"large":   "POST /in/orders HTTP/1.1\r\nHost: cap\r\nContent-Length: 90000\r\n\r\n",
		"chunked": "POST /in/orders HTTP/1.1\r\nHost: cap\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
	} {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, done := startInBubble(t, nil)
				conn := s.open(t)
				begin := time.Now()
				write(t, conn, head)
				answered := make(chan answer)
				go func() { answered <- receive(t, conn, "POST") }()
				for len(done) == 0 {
					_, _ = io.WriteString(conn, "x")
					time.Sleep(time.Second)
				}
				if status := (<-answered).status; status != 400 && status != 0 {
					t.Errorf("status %d", status)
				}
				if d := time.Since(begin); d > hook.HeaderTimeout+hook.BodyTimeout+2*time.Second {
					t.Errorf("it took %s", d)
				}
				s.wantStored(t, "a body that was cut off", 0)
				wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: hook.LimitBodyTime, Count: 1}})
				wantEqual(t, "bytes in flight", s.budget.used.Load(), 0)
			})
		})
	}
}
