package web

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// Conns bounds the open connections of an http.Server, in all and from one address. This machine and trusted proxies
// have no limit of their own. A WebSocket is counted with the sockets instead.
type Conns struct {
	Max     int // in all; hook.MaxConns when it is 0
	PerAddr int
	Trusted []netip.Prefix
	Tally   *tally.Tally // may be nil

	mu     sync.Mutex
	open   map[net.Conn]netip.Addr
	byAddr map[netip.Addr]int
}

// StateChanged is the http.Server's ConnState. A connection above a limit is closed before anything is read from it.
func (c *Conns) StateChanged(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if !c.add(conn) {
			c.Tally.Count(tally.Connections, 0)
			_ = conn.Close()
		}
	case http.StateHijacked, http.StateClosed:
		c.remove(conn)
	}
}

func (c *Conns) add(conn net.Conn) bool {
	addr := c.counted(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open, c.byAddr = map[net.Conn]netip.Addr{}, map[netip.Addr]int{}
	}
	if len(c.open) >= cmp.Or(c.Max, hook.MaxConns) || addr.IsValid() && c.byAddr[addr] >= c.PerAddr {
		return false
	}
	c.open[conn] = addr
	c.byAddr[addr]++
	return true
}

func (c *Conns) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.open[conn]
	if !ok {
		return
	}
	delete(c.open, conn)
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
