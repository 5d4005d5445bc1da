package web

import (
	"cmp"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// Conns bounds the open connections of an http.Server, in all and from one address. This machine and trusted proxies
// have no limit of their own. A WebSocket is counted with the sockets instead.
//
// What is over a limit is told so: a bounded number of connections at a time is answered 503 without ever reaching the
// server. Beyond that they are closed. The heads of requests are bounded here as well, because only a connection sees them
// while they are read.
type Conns struct {
	Max     int // in all; hook.MaxConns when it is 0
	PerAddr int
	Trusted []netip.Prefix
	Tally   *tally.Tally // may be nil

	mu      sync.Mutex
	open    int
	byAddr  map[netip.Addr]int
	turning int // connections that are being turned away

	heads    heads
	fresh    atomic.Int64 // connections whose first request has not been answered
	listener *limited
}

// Listen returns a listener of connections within the limits, for a server whose ConnState is StateChanged.
func (c *Conns) Listen(l net.Listener) net.Listener {
	c.listener = &limited{Listener: l, conns: c, closed: make(chan struct{})}
	return c.listener
}

// StateChanged is the http.Server's ConnState.
func (c *Conns) StateChanged(accepted net.Conn, state http.ConnState) {
	conn, ok := accepted.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		conn.head.over = true
	case http.StateIdle:
		conn.answered()
	case http.StateHijacked:
		conn.head.over = true
		conn.wasAnswered()
		conn.release()
	case http.StateClosed:
		conn.wasAnswered()
		conn.release()
	}
}

type limited struct {
	net.Listener
	conns  *Conns
	last   atomic.Int64  // when it stops to accept, as Unix nanoseconds; 0 = not yet
	quiet  int           // how often nobody has come since it stops
	closed chan struct{} // nothing more is accepted
	close  sync.Once
}

// Close closes the listener once: Drain does, and so does whoever shuts the server down.
func (l *limited) Close() (err error) {
	l.close.Do(func() { err = l.Listener.Close() })
	return err
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		switch last := l.last.Load(); {
		case last != 0 && !l.goOn(time.Unix(0, last), err):
			return nil, net.ErrClosed
		case last != 0 && err != nil:
			continue
		case err != nil:
			return nil, err
		}
		addr := l.conns.counted(accepted)
		limit := l.conns.add(addr)
		if limit == 0 {
			l.conns.fresh.Add(1)
			return &conn{Conn: accepted, conns: l.conns, addr: addr}, nil
		}
		l.conns.refuse(accepted, limit)
	}
}

// add counts a connection, or returns the limit that it is over.
func (c *Conns) add(addr netip.Addr) hook.Limit {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open >= cmp.Or(c.Max, hook.MaxConns):
		return hook.LimitConns
	case addr.IsValid() && c.byAddr[addr] >= c.PerAddr:
		return hook.LimitConnsAddr
	}
	if c.byAddr == nil {
		c.byAddr = map[netip.Addr]int{}
	}
	c.open++
	c.byAddr[addr]++
	return 0
}

func (c *Conns) remove(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	decrement(c.byAddr, addr)
}

// counted returns the address that a connection counts for, the zero Addr for one without a limit.
func (c *Conns) counted(conn net.Conn) netip.Addr {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	addr := peer.Addr().Unmap().WithZone("")
	if err != nil || addr.IsLoopback() {
		return netip.Addr{}
	}
	for _, prefix := range c.Trusted {
		if prefix.Contains(addr) {
			return netip.Addr{}
		}
	}
	return netid.Network(addr)
}

const (
	// turnAwayTime is how long a connection may take to send something, and again to read what it is told.
	turnAwayTime  = time.Second
	turnAwayBytes = 1 << 20 // that are read meanwhile
)

// busy is what a connection is told that is turned away.
var busy = []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\nContent-Length: 69\r\n\r\n" +
	"The server has too much to do right now. Try again in a few seconds.\n")

// refuse turns a connection away, or closes it when there are too many to be told why.
func (c *Conns) refuse(conn net.Conn, limit hook.Limit) {
	c.Tally.Count(limit)
	if !c.beginTurning() {
		c.Tally.Count(hook.LimitTurnedAway)
		_ = conn.Close()
		return
	}
	go func() {
		defer c.endTurning()
		defer conn.Close()
		// An answer before the request would be a fault to clients that keep connections.
		_ = conn.SetReadDeadline(time.Now().Add(turnAwayTime))
		_, _ = conn.Read(make([]byte, 1))
		turnAway(conn)
	}()
}

func (c *Conns) beginTurning() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turning >= hook.MaxTurnedAway {
		return false
	}
	c.turning++
	return true
}

func (c *Conns) endTurning() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turning--
}

// turnAway tells a connection to come again and lets it hang up: were it closed with something unread, it would be reset,
// and the answer might be lost.
func turnAway(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(turnAwayTime))
	_, _ = conn.Write(busy)
	closeWrite(conn)
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, turnAwayBytes))
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// conn is a connection that counts.
type conn struct {
	net.Conn
	conns    *Conns
	addr     netip.Addr // that it counts for
	head     head
	released sync.Once
}

// CloseWrite is for http.Server, and for sockets.
func (c *conn) CloseWrite() error {
	closeWrite(c.Conn)
	return nil
}

func (c *conn) release() {
	c.released.Do(func() {
		c.forgetHead()
		c.conns.remove(c.addr)
	})
}
