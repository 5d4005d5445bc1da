package web

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// heads bounds the bytes of request lines and headers that are in memory, from the moment when they are read until their
// request is answered. The first few of each are free, which is all of nearly every request. One address takes half at most.
type heads struct {
	mu   sync.Mutex
	used int64
	of   map[netip.Addr]int64
}

// grow takes n bytes for a connection of an address, the zero Addr for one without a limit, and reports whether they were
// there to take.
func (h *heads) grow(addr netip.Addr, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.used+n > hook.HeadsInFlight || addr.IsValid() && h.of[addr]+n > hook.HeadsInFlight/2 {
		return false
	}
	if h.of == nil {
		h.of = map[netip.Addr]int64{}
	}
	h.used += n
	h.of[addr] += n
	return true
}

func (h *heads) giveBack(addr netip.Addr, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used -= n
	if h.of[addr] -= n; h.of[addr] == 0 {
		delete(h.of, addr)
	}
}

// mostOfHead is where net/http stops reading a head: it allows itself a little more than was asked for.
const mostOfHead = hook.MaxHeaderBytes + 4096

// head is what a connection has read of the head of a request. It is used by the goroutine that serves the connection, and
// by those that it starts and waits for.
type head struct {
	over    bool // the head was read: what comes is its body
	n       int64
	charged int64
	again   bool // the connection has had a request before
	late    bool // it was counted that the time was over; net/http asks more than once
}

// Read reads. While it is a head that is read, the bytes count; one for which there is no room is turned away.
//
// net/http tells when a head was read, but not of one that came with the request before, all of it: then some of a body
// counts as well, as if the head were longer, and never more than mostOfHead.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.head.over {
		return n, err
	}
	h := &c.head
	h.n += int64(n)
	if want := min(h.n, mostOfHead) - hook.SmallHead; want > h.charged {
		if !c.conns.heads.grow(c.addr, want-h.charged) {
			c.conns.Tally.Count(hook.LimitHeadsInFlight)
			turnAway(c.Conn)
			return 0, io.EOF // for which net/http answers nothing more
		}
		h.charged = want
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !h.late && h.n > 0 { // browsers open some that they then do not need
		h.late = true
		c.conns.Tally.Count(hook.LimitHeadTime)
	}
	return n, err
}

// tooLongHead is what net/http answers to a head that is too long, without telling anybody else.
var tooLongHead = []byte("HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write writes, and notes when it is net/http that refuses a head.
func (c *conn) Write(p []byte) (int, error) {
	if c.head.n >= hook.MaxHeaderBytes && bytes.HasPrefix(p, tooLongHead) {
		c.conns.Tally.Count(hook.LimitHeadSize)
	}
	return c.Conn.Write(p)
}

// answered is called when the request has been answered and another may come.
func (c *conn) answered() {
	c.wasAnswered()
	c.forgetHead()
	c.head = head{again: true}
}

// wasAnswered notes that the first request of the connection has been answered, or that there is none.
func (c *conn) wasAnswered() {
	if !c.head.again {
		c.head.again = true
		c.conns.fresh.Add(-1)
	}
}

func (c *conn) forgetHead() {
	if c.head.charged > 0 {
		c.conns.heads.giveBack(c.addr, c.head.charged)
		c.head.charged = 0
	}
}
