package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const onLoopback = "127.0.0.0/8,[::1]"

// evil is a target that answers with what script writes, whatever it is asked. The request's head has been read before.
func evil(t testing.TB, script func(net.Conn)) (target string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if readHead(conn) == nil {
					script(conn)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/"
}

func readHead(conn net.Conn) error {
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := conn.Read(one); err != nil {
			return err
		}
		head = append(head, one[0])
	}
	return nil
}

// says is a script that writes text and closes the connection.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// endless is a script that writes text and then more, every pause, until the connection is gone.
func endless(text, more string, pause time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, text)
		tick := time.NewTicker(max(pause, 1))
		defer tick.Stop()
		for err == nil {
			if pause > 0 {
				<-tick.C
			}
			_, err = io.WriteString(conn, more)
		}
	}
}

func bomb(t testing.TB) string {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", packed.Len(), packed.String())
}

// TestBadAnswers is row F13: each attempt ends in time, holds little, and says what happened without the target's bytes in it
// as they are.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	const ok = "HTTP/1.1 200 OK\r\n"
	guard := New(Options{Allow: allowing(t, onLoopback)})
	t.Cleanup(guard.Close)
	for _, row := range []struct {
		name   string
		script func(net.Conn)
		phase  Phase // "" when the answer counts
		text   string
		check  func(Answer) bool // of those that count
	}{
		{"no bytes", says(""), PhaseAnswer, "the connection was closed before an answer came", nil},
		{"silence", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, PhaseAnswer, "no answer within 2 s", nil},
		{"status line a byte a time", endless("H", "T", 100*time.Millisecond), PhaseAnswer, "no answer within 2 s", nil},
		{"headers a byte a time", endless(ok+"X: ", "a", 100*time.Millisecond), PhaseAnswer, "no answer within 2 s", nil},
		{"endless headers", endless(ok, "X-More: yes\r\n", 0), PhaseAnswer, "headers are larger than 64 KiB", nil},
		{"a header of 1 MB", says(ok + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), PhaseAnswer, "headers are larger than 64 KiB", nil},
		{"body a byte a time", endless(ok+"\r\n", "a", 100*time.Millisecond), PhaseBody, "the answer's body did not end within 2 s", nil},
		{"body never", func(conn net.Conn) {
			says(ok + "Content-Length: 5\r\n\r\n")(conn)
			_, _ = io.Copy(io.Discard, conn)
		}, PhaseBody, "the answer's body did not end within 2 s", nil},
		{"body cut off", says(ok + "Content-Length: 5\r\n\r\nhal"), PhaseBody, "the answer's body broke off", nil},
		{"chunk of nonsense", says(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), PhaseBody, "the answer's body broke off", nil},
		{"reset in the body", func(conn net.Conn) {
			says(ok + "Content-Length: 50\r\n\r\nhal")(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, PhaseBody, "the answer's body broke off", nil},
		{"endless body", endless(ok+"\r\n", strings.Repeat("a", 4096), 0), "", "", func(a Answer) bool {
			return a.Status == 200 && a.Truncated && len(a.Body) == hook.MaxResponseKept
		}},
		{"endless chunks", endless(ok+"Transfer-Encoding: chunked\r\n\r\n", "2\r\nab\r\n", 0), "", "", func(a Answer) bool {
			return a.Status == 200 && a.Truncated && len(a.Body) == hook.MaxResponseKept
		}},
		{"gzip bomb", says(bomb(t)), "", "", func(a Answer) bool {
			return a.Status == 200 && len(a.Body) <= hook.MaxResponseKept && bytes.HasPrefix(a.Body, []byte{0x1f, 0x8b})
		}},
		{"status 999", says("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), "", "", func(a Answer) bool { return a.Status == 999 }},
		{"status 099", says("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"), PhaseAnswer, "no number from 100 to 999", nil},
		{"status 2000", says("HTTP/1.1 2000 Odd\r\n\r\n"), PhaseAnswer, "the answer is not valid HTTP", nil},
		{"status -20", says("HTTP/1.1 -20 Odd\r\n\r\n"), PhaseAnswer, "", nil},
		{"flood of 1xx", endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0), PhaseAnswer, "", nil},
		{"101", endless("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "a", 0), "", "", func(a Answer) bool {
			return a.Status == 101 && len(a.Body) == 0
		}},
		{"not HTTP", says("SSH-2.0-OpenSSH_9.6\x1b[2J\r\n<script>\x00"), PhaseAnswer, "the answer is not valid HTTP", nil},
		{"two lengths", says(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na"), PhaseAnswer, "the answer is not valid HTTP", nil},
	} {
		t.Run("F13 "+row.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			answer, err := guard.Do(t.Context(), Request{Method: "POST", URL: evil(t, row.script), Body: []byte("{}"), Timeout: timeout})
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if row.phase == "" {
				if err != nil || !row.check(answer) {
					t.Errorf("%v: status %d, %d bytes, truncated %t", err, answer.Status, len(answer.Body), answer.Truncated)
				}
				return
			}
			failed, ok := errors.AsType[*Error](err)
			if !ok || failed.Phase != row.phase || !strings.Contains(failed.Message, row.text) {
				t.Fatalf("%#v, want %q in phase %s", err, row.text, row.phase)
			}
			if strings.ContainsFunc(failed.Message, func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) || len(failed.Message) > 400 {
				t.Errorf("the text is not fit to be shown: %q", failed.Message)
			}
			if len(answer.Body) > hook.MaxResponseKept {
				t.Errorf("%d bytes are kept", len(answer.Body))
			}
		})
	}
}

// TestBadAnswersLeaveNothing is what T7 asks of many of them: goroutines and connections return to where they were.
func TestBadAnswersLeaveNothing(t *testing.T) {
	guard := New(Options{Allow: allowing(t, onLoopback)})
	t.Cleanup(guard.Close)
	var open atomic.Int64
	target := evil(t, func(conn net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		endless("HTTP/1.1 200 OK\r\n\r\n", "a", 10*time.Millisecond)(conn)
	})
	before := runtime.NumGoroutine()
	done := make(chan error)
	for range 100 {
		go func() {
			_, err := guard.Do(context.Background(), Request{Method: "POST", URL: target, Timeout: 200 * time.Millisecond})
			done <- err
		}()
	}
	for range 100 {
		if err := <-done; err == nil {
			t.Error("an endless answer counts")
		}
	}
	guard.Close()
	for deadline := time.Now().Add(10 * time.Second); open.Load() > 0 || runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, %d goroutines of %d", open.Load(), runtime.NumGoroutine(), before)
		}
	}
}

// TestRedirects is row F11: none is followed, and what it points to gets neither the body nor a connection.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(canary.Close)
	guard := New(Options{Allow: allowing(t, onLoopback)})
	t.Cleanup(guard.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{canary.URL, "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "/", "//" + canary.Listener.Addr().String()} {
			target := evil(t, says(fmt.Sprintf("HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, location)))
			answer, err := guard.Do(t.Context(), Request{Method: "POST", URL: target, Body: []byte("{}"), Header: []hook.Header{{Name: "Webhook-Signature", Value: "v1,x"}}})
			if err != nil || answer.Status != status || valueOf(answer.Headers, "Location") != location || target != "http://"+answer.RemoteAddr+"/" {
				t.Errorf("%d to %s: %v, %+v", status, location, err, answer)
			}
		}
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("redirects were followed %d times", n)
	}
}

func valueOf(headers []hook.Header, name string) string {
	for _, h := range headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// TestTargetThatStopsReading is row F18: an answer that comes before the body was sent counts, and a target that closes in the
// middle of it is one failure.
func TestTargetThatStopsReading(t *testing.T) {
	t.Parallel()
	guard := New(Options{Allow: allowing(t, onLoopback)})
	t.Cleanup(guard.Close)
	body := make([]byte, 10<<20)
	some := func(conn net.Conn) { _, _ = io.CopyN(io.Discard, conn, 1<<10) }
	var tries atomic.Int64
	closing := evil(t, func(conn net.Conn) {
		tries.Add(1)
		some(conn)
	})
	answer, err := guard.Do(t.Context(), Request{Method: "POST", URL: closing, Body: body})
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Phase != PhaseAnswer || answer.Status != 0 || tries.Load() != 1 {
		t.Errorf("F18: %v, status %d, %d tries", err, answer.Status, tries.Load())
	}
	early := evil(t, func(conn net.Conn) {
		some(conn)
		says("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")(conn)
		_, _ = io.Copy(io.Discard, conn) // a close with bytes unread would reset the answer away
	})
	if answer, err := guard.Do(t.Context(), Request{Method: "POST", URL: early, Body: body}); err != nil || answer.Status != 413 {
		t.Errorf("an early answer: %v, status %d", err, answer.Status)
	}
}

// TestTLS has each way in which a handshake fails told apart, and nothing sent to such a target.
func TestTLS(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	good := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(good.Close)
	old := httptest.NewUnstartedServer(good.Config.Handler)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // what is to be refused
	old.StartTLS()
	t.Cleanup(old.Close)
	plain := httptest.NewServer(good.Config.Handler)
	t.Cleanup(plain.Close)
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })

	pool := x509.NewCertPool()
	pool.AddCert(good.Certificate())
	trusting := New(Options{Allow: allowing(t, onLoopback+",localhost"), RootCAs: pool})
	trusting.handshakeTimeout = 300 * time.Millisecond
	suspicious := New(Options{Allow: allowing(t, onLoopback), RootCAs: x509.NewCertPool()})
	t.Cleanup(trusting.Close)
	t.Cleanup(suspicious.Close)
	_, port, _ := net.SplitHostPort(good.Listener.Addr().String())
	for _, row := range []struct {
		name, url string
		guard     *Guard
		text      string
	}{
		{"untrusted", good.URL, suspicious, "an authority that is not trusted here"},
		{"wrong host", "https://localhost:" + port, trusting, "the certificate is for example.com"},
		{"too old", old.URL, trusting, "TLS handshake failed"},
		{"plain", "https://" + plain.Listener.Addr().String(), trusting, "does not speak TLS"},
		{"silent", "https://" + silent.Addr().String(), trusting, "no TLS handshake within 0.3 s"},
	} {
		answer, err := row.guard.Do(t.Context(), Request{Method: "POST", URL: row.url, Body: []byte("secret")})
		if failed, ok := errors.AsType[*Error](err); !ok || failed.Phase != PhaseTLS || !strings.Contains(failed.Message, row.text) || answer.Status != 0 {
			t.Errorf("%s: %v, want %q", row.name, err, row.text)
		}
	}
	if visits.Load() != 0 {
		t.Error("something was sent without a proper handshake")
	}
	answer, err := trusting.Do(t.Context(), Request{Method: "POST", URL: good.URL})
	if err != nil || answer.Status != 200 || answer.TLS != "TLS 1.3" || answer.Timing.TLS <= 0 {
		t.Errorf("a good handshake: %v, %+v", err, answer)
	}
}
