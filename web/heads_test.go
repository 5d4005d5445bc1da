package web

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// longHead is a head of n bytes, for a body of two.
func longHead(n int) string {
	const line, rest = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX: ", "\r\n\r\n"
	return line + strings.Repeat("x", n-len(line+rest)) + rest
}

// readAll answers when the body is there.
func readAll(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusNoContent)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// status reads the status of an answer, 0 when the connection ends without one.
func status(conn net.Conn) int {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestHeadsInFlight fills what there is for heads with requests whose body does not come, and with heads that do not end: one
// more is told to come again, small ones go on, and what was held comes back.
func TestHeadsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: hook.MaxConns}, readAll)
		const size = 60 << 10
		most := hook.HeadsInFlight / (size - hook.SmallHead)
		var open []net.Conn
		for i := range most {
			conn := s.dial("127.0.0.1")
			text := longHead(size)
			if i%2 == 0 {
				text = text[:size-4] + "x\r\n\r"
			}
			send(t, conn, text)
			open = append(open, conn)
		}
		synctest.Wait()
		more := s.dial("192.0.2.1")
		go func() { _, _ = io.WriteString(more, longHead(size)) }() // it may be answered before it has said everything
		if got := status(more); got != http.StatusServiceUnavailable {
			t.Errorf("one more: status %d", got)
		}
		_ = more.Close()
		s.wantMet(tally.Row{Limit: hook.LimitHeadsInFlight, Count: 1})
		small := s.dial("192.0.2.1")
		send(t, small, longHead(hook.SmallHead-2)+"hi")
		if got := status(small); got != http.StatusNoContent {
			t.Errorf("a small one: status %d", got)
		}
		for _, conn := range open[:len(open)-1] {
			_ = conn.Close()
		}
		send(t, open[len(open)-1], "hi")
		if got := status(open[len(open)-1]); got != http.StatusNoContent {
			t.Errorf("one whose body came: status %d", got)
		}
		synctest.Wait()
		if s.heads.used != 0 || len(s.heads.of) != 0 {
			t.Errorf("left over: %d, %v", s.heads.used, s.heads.of)
		}
	})
}

func TestHeadsOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: hook.MaxConns}, readAll)
		const size = 60 << 10
		for range hook.HeadsInFlight / 2 / (size - hook.SmallHead) {
			send(t, s.dial("192.0.2.1"), longHead(size))
		}
		synctest.Wait()
		for from, want := range map[string]int{"192.0.2.1": 503, "192.0.2.2": 204} {
			conn := s.dial(from)
			go func() { _, _ = io.WriteString(conn, longHead(size)+"hi") }()
			if got := status(conn); got != want {
				t.Errorf("%s: status %d, want %d", from, got, want)
			}
		}
	})
}

// TestHeadsAreForgotten: a connection that is used again owes nothing for what was answered.
func TestHeadsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: 1}, readAll)
		conn := s.dial("192.0.2.1")
		for range 3 {
			go func() { _, _ = io.WriteString(conn, longHead(hook.MaxHeaderBytes)+"hi") }()
			if got := status(conn); got != http.StatusNoContent {
				t.Fatalf("status %d", got)
			}
			synctest.Wait()
			if s.heads.used != 0 {
				t.Errorf("%d bytes are owed", s.heads.used)
			}
		}
	})
}

// TestHeadIsRefused: what net/http refuses by itself is counted, too.
func TestHeadIsRefused(t *testing.T) {
	for about, test := range map[string]struct {
		send   string
		status int
		met    []tally.Row
	}{
		"too long": {longHead(hook.MaxHeaderBytes + 8<<10), 431, []tally.Row{{Limit: hook.LimitHeadSize, Count: 1}}},
		"too slow": {"POST / HTTP/1.1\r\n", 0, []tally.Row{{Limit: hook.LimitHeadTime, Count: 1}}},
		"silent":   {"", 0, nil},
		"idle":     {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 204, nil},
	} {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serveConns(t, &Conns{PerAddr: 1}, readAll)
				conn := s.dial("192.0.2.1")
				go func() { _, _ = io.WriteString(conn, test.send) }()
				if got := status(conn); got != test.status {
					t.Errorf("status %d, want %d", got, test.status)
				}
				_, _ = io.Copy(io.Discard, conn) // until the server closes
				synctest.Wait()
				s.wantMet(test.met...)
			})
		})
	}
}
