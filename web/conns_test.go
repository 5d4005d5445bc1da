package web

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// fakeConn is a connection from any address, of which only that and its end matter.
type fakeConn struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return c.from }

func (c *fakeConn) Close() error {
	c.closed = true
	return nil
}

// accept opens a connection as http.Server does.
func accept(c *Conns, from string) *fakeConn {
	conn := &fakeConn{from: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))}
	c.StateChanged(conn, http.StateNew)
	return conn
}

// leave ends a connection as http.Server does.
func leave(c *Conns, conn *fakeConn) { c.StateChanged(conn, http.StateClosed) }

func TestConnsPerAddress(t *testing.T) {
	c := &Conns{PerAddr: 3, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	const from = "192.0.2.1"
	var open []*fakeConn
	for range 3 {
		open = append(open, accept(c, from))
	}
	refused := accept(c, from)
	if !refused.closed {
		t.Error("one more than the limit is open")
	}
	leave(c, refused) // as http.Server tells when it finds the connection closed
	if accept(c, from).closed == false {
		t.Error("a refused connection made room for another")
	}
	if accept(c, "::ffff:"+from).closed == false {
		t.Error("the mapped form of an address has a limit of its own")
	}
	if accept(c, "192.0.2.2").closed {
		t.Error("another address is refused")
	}
	leave(c, open[0])
	again := accept(c, from)
	if again.closed {
		t.Error("a connection that ended still counts")
	}
	c.StateChanged(open[1], http.StateActive)
	c.StateChanged(open[1], http.StateIdle)
	c.StateChanged(open[1], http.StateHijacked) // sockets are counted elsewhere
	if accept(c, from).closed {
		t.Error("a hijacked connection still counts")
	}
	for _, from := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"} {
		for range 10 {
			if accept(c, from).closed {
				t.Fatalf("%s has a limit", from)
			}
		}
	}
	for conn := range c.open {
		c.StateChanged(conn, http.StateClosed)
	}
	if len(c.open)+len(c.byAddr) != 0 {
		t.Errorf("left over: %d, %v", len(c.open), c.byAddr)
	}
}

func TestConnsInAll(t *testing.T) {
	for about, c := range map[string]*Conns{
		"as many as there may be": {PerAddr: hook.MaxConns}, "as many as there are descriptors for": {Max: 100, PerAddr: hook.MaxConns},
	} {
		t.Run(about, func(t *testing.T) { wantFull(t, c, cmp.Or(c.Max, hook.MaxConns)) })
	}
}

func wantFull(t *testing.T, c *Conns, most int) {
	t.Helper()
	var last *fakeConn
	for range most {
		if last = accept(c, "127.0.0.1"); last.closed {
			t.Fatal("refused below the limit")
		}
	}
	if !accept(c, "127.0.0.1").closed {
		t.Error("one more than the limit is open")
	}
	leave(c, last)
	if accept(c, "192.0.2.1").closed {
		t.Error("a connection that ended still counts")
	}
}
