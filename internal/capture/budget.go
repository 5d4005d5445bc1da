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
	share        int64 // of one capture URL or one address, beyond small bodies

	used atomic.Int64

	mu        sync.Mutex
	usedLarge int64
	shares    map[any]int64 // by hook.ID of a capture URL and netip.Addr
}

func newBudget(total, reserve int64) *budget {
	return &budget{total: total, large: total - reserve, share: total / 2, shares: map[any]int64{}}
}

// charge is what one request holds of the budget.
type charge struct {
	b          *budget
	n          int64
	large      bool // counted in usedLarge and shares
	url, owner any
}

func (b *budget) open(url, addr any) charge { return charge{b: b, url: url, owner: addr} }

// grow takes n more bytes and reports whether they were there to take.
func (c *charge) grow(n int64) bool {
	if c.n+n > hook.SmallBody && !c.growLarge(n) {
		return false
	}
	if c.b.used.Add(n) > c.b.total {
		c.b.used.Add(-n)
		if c.large {
			c.shrinkLarge(n)
		}
		return false
	}
	c.n += n
	return true
}

func (c *charge) growLarge(n int64) bool {
	if !c.large {
		n += c.n // what was small until now
	}
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.usedLarge+n > b.large || b.shares[c.url]+n > b.share || b.shares[c.owner]+n > b.share {
		return false
	}
	c.large = true
	b.usedLarge += n
	b.shares[c.url] += n
	b.shares[c.owner] += n
	return true
}

func (c *charge) shrinkLarge(n int64) {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usedLarge -= n
	for _, key := range []any{c.url, c.owner} {
		if b.shares[key] -= n; b.shares[key] <= 0 {
			delete(b.shares, key)
		}
	}
}

// release gives everything back.
func (c *charge) release() {
	c.b.used.Add(-c.n)
	if c.large {
		c.shrinkLarge(c.n)
	}
	c.n, c.large = 0, false
}
