package capture

import (
	"sync"
	"sync/atomic"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// budget bounds the bytes of bodies that are being received or wait for their commit. They are charged as they arrive,
// so that announcing a large body costs nobody anything. A part is kept for small bodies, and one capture URL or one
// address takes at most half, so that a few large or slow senders do not shut out the others.
type budget struct {
	total, large int64 // of all bodies; of those that are not small
	perShare     int64 // of one capture URL or one address

	used atomic.Int64

	mu        sync.Mutex
	usedLarge int64
	shares    map[any]int64 // by hook.ID of a capture URL and netip.Addr
}

func newBudget(total, reserve int64) *budget {
	return &budget{total: total, large: total - reserve, perShare: total / 2, shares: map[any]int64{}}
}

// charge is what one request holds of the budget.
type charge struct {
	b         *budget
	n         int64
	shared    int64 // of n, counted in shares: all of it once it is more than firstRead
	large     int64 // of n, counted in usedLarge: all of it once the body is not small any more
	url, addr any
}

func (b *budget) open(url, addr any) charge { return charge{b: b, url: url, addr: addr} }

// grow takes n more bytes and reports whether they were there to take. The first few of a body are counted in all only:
// that is every capture of the common size, which need not wait for a lock.
func (c *charge) grow(n int64) bool {
	if c.n+n > firstRead && !c.share(n) {
		return false
	}
	if c.b.used.Add(n) > c.b.total {
		c.b.used.Add(-n)
		return false // what share took is given back by release
	}
	c.n += n
	return true
}

// share counts the charge, n bytes larger, for its capture URL and its address, and against the large bodies.
func (c *charge) share(n int64) bool {
	b := c.b
	want := c.n + n
	more, moreLarge := want-c.shared, int64(0)
	if want > hook.SmallBody {
		moreLarge = want - c.large
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.usedLarge+moreLarge > b.large || b.shares[c.url]+more > b.perShare || b.shares[c.addr]+more > b.perShare {
		return false
	}
	b.usedLarge += moreLarge
	b.shares[c.url] += more
	b.shares[c.addr] += more
	c.shared += more
	c.large += moreLarge
	return true
}

// release gives everything back.
func (c *charge) release() {
	b := c.b
	b.used.Add(-c.n)
	if c.shared > 0 {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.usedLarge -= c.large
		for _, key := range []any{c.url, c.addr} {
			if b.shares[key] -= c.shared; b.shares[key] <= 0 {
				delete(b.shares, key)
			}
		}
	}
	c.n, c.shared, c.large = 0, 0, 0
}
