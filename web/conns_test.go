package web

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// fakeNet is a listener whose connections come from any address and stay within the process.
type fakeNet struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (f *fakeNet) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

func (f *fakeNet) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *fakeNet) Addr() net.Addr { return &net.TCPAddr{} }

// fakeConn is the server's end of a connection from an address.
type fakeConn struct {
	net.Conn
	from net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.from }

// connsSite is an http.Server with limits of connections.
type connsSite struct {
	*Conns
	t   *testing.T
	net *fakeNet
}

// serveConns serves a handler in a bubble, as the product does.
func serveConns(t *testing.T, c *Conns, handler http.HandlerFunc) *connsSite {
	t.Helper()
	c.Tally = &tally.Tally{}
	s := &connsSite{c, t, &fakeNet{conns: make(chan net.Conn), closed: make(chan struct{})}}
	server := &http.Server{
		Handler: handler, ConnState: c.StateChanged, ReadHeaderTimeout: hook.HeaderTimeout, MaxHeaderBytes: hook.MaxHeaderBytes,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	served := make(chan error)
	go func() { served <- server.Serve(c.Listen(s.net)) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// dial opens a connection from an address, and ends it with the test.
func (s *connsSite) dial(from string) net.Conn {
	s.t.Helper()
	client, end := net.Pipe()
	s.t.Cleanup(func() { _ = client.Close() })
	s.net.conns <- fakeConn{end, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))}
	return client
}

// ask sends a request on a connection and returns the answer, nil when there is none.
func (s *connsSite) ask(conn net.Conn) *http.Response {
	s.t.Helper()
	go func() { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// want asks on a new connection from an address and compares the status of the answer.
func (s *connsSite) want(about, from string, status int) net.Conn {
	s.t.Helper()
	conn := s.dial(from)
	resp := s.ask(conn)
	if resp == nil || resp.StatusCode != status {
		s.t.Errorf("%s: %+v, want %d", about, resp, status)
	}
	return conn
}

func (s *connsSite) wantMet(rows ...tally.Row) {
	s.t.Helper()
	if diff := cmp.Diff(rows, s.Tally.Rows()); diff != "" {
		s.t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestConnsPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: 3, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, hello)
		const from = "192.0.2.1"
		var open []net.Conn
		for range 3 {
			open = append(open, s.want("below the limit", from, 200))
		}
		s.want("one more", from, 503)
		s.want("the mapped form of the address", "::ffff:"+from, 503)
		s.want("another address", "192.0.2.2", 200)
		s.wantMet(tally.Row{Limit: hook.LimitConnsAddr, Count: 2})
		_ = open[0].Close()
		synctest.Wait()
		s.want("when one has ended", from, 200)
		s.want("one more again", from, 503)
		for _, from := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"} {
			for range 10 {
				s.want(from, from, 200)
			}
		}
	})
}

// TestConnsInAll: who comes to a full server is told to come again, without a place being taken; too many of those are closed.
func TestConnsInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: hook.MaxConns}, hello)
		var last net.Conn
		for range hook.MaxConns {
			last = s.dial("127.0.0.1")
		}
		synctest.Wait()
		conn := s.dial("192.0.2.1")
		resp := s.ask(conn)
		if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "5" || !resp.Close {
			t.Fatalf("one more: %+v", resp)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || string(text) != "The server has too much to do right now. Try again in a few seconds.\n" {
			t.Errorf("one more is told %q, %v", text, err)
		}
		_ = conn.Close()
		synctest.Wait()
		var silent []net.Conn
		for range hook.MaxTurnedAway {
			silent = append(silent, s.dial("192.0.2.1"))
		}
		if resp := s.ask(s.dial("192.0.2.1")); resp != nil {
			t.Errorf("one of too many is answered %+v", resp)
		}
		s.wantMet(tally.Row{Limit: hook.LimitConns, Count: hook.MaxTurnedAway + 2}, tally.Row{Limit: hook.LimitTurnedAway, Count: 1})
		if text, err := io.ReadAll(silent[0]); err != nil || string(text) != string(busy) {
			t.Errorf("one that says nothing is told %q, %v", text, err)
		}
		synctest.Wait()
		s.want("when those are gone", "192.0.2.1", 503)
		_ = last.Close()
		synctest.Wait()
		s.want("when one has ended", "192.0.2.1", 200)
	})
}

// TestConnsForget: what has ended, whoever ended it, is not counted any more.
func TestConnsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveConns(t, &Conns{PerAddr: 1}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				t.Cleanup(func() { _ = conn.Close() })
			}
		})
		s.want("a socket", "192.0.2.1", 101)
		s.want("beside a socket, which is counted elsewhere", "192.0.2.1", 101)
		silent := s.dial("192.0.2.1")
		s.want("beside a silent one", "192.0.2.1", 503)
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("a silent one is told something")
		}
		synctest.Wait()
		if s.open+len(s.byAddr)+s.turning != 0 {
			t.Errorf("left over: %d, %v, %d", s.open, s.byAddr, s.turning)
		}
	})
}

// TestDrainedListenerCloses: draining closes the listener, and shutting the server down closes it again, before or after the
// server has noticed the first: that is no error, or the process would end with one.
func TestDrainedListenerCloses(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var c Conns
	l := c.Listen(tcp)
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	c.Drain()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepting ended with %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
