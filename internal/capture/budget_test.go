package capture

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const kib = 1 << 10

func TestBudgetKeepsAPartForSmallBodies(t *testing.T) {
	b := newBudget(1000*kib, 200*kib)
	var large [4]charge
	for i := range large {
		large[i] = b.open(i, 100+i)
		wantEqual(t, "a large one", large[i].grow(200*kib), true)
	}
	more := b.open(9, 109)
	wantEqual(t, "one more that begins small", more.grow(hook.SmallBody), true)
	wantEqual(t, "and becomes large", more.grow(1), false)
	more.release()
	small := b.open(8, 108)
	for range 200 / 4 {
		one := small
		wantEqual(t, "a small one", one.grow(4*kib), true)
	}
	last := b.open(7, 107)
	wantEqual(t, "over all", last.grow(1), false)
	wantEqual(t, "what is used then", b.used.Load(), b.total)
}

func TestBudgetSharesOut(t *testing.T) {
	b := newBudget(1000*kib, 100*kib)
	first := b.open("url", "addr 1")
	wantEqual(t, "half for one capture URL", first.grow(500*kib), true)
	sameURL, sameAddr, other := b.open("url", "addr 2"), b.open("url 2", "addr 1"), b.open("url 2", "addr 2")
	wantEqual(t, "the same capture URL", sameURL.grow(100*kib), false)
	wantEqual(t, "the same address", sameAddr.grow(100*kib), false)
	wantEqual(t, "the common size", sameURL.grow(firstRead), true)
	wantEqual(t, "others", other.grow(300*kib), true)
	first.release()
	wantEqual(t, "after that", sameURL.grow(100*kib), true)
}

// TestBudgetIsKept grows and releases at random: no bound is passed, and in the end everything is back.
func TestBudgetIsKept(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBudget(300*kib, 50*kib)
		var open []*charge
		any := func() *charge {
			if len(open) == 0 {
				rt.Skip("nothing is open")
			}
			return open[rapid.IntRange(0, len(open)-1).Draw(rt, "which")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(rt *rapid.T) {
				c := b.open(rapid.IntRange(0, 2).Draw(rt, "url"), string(rune('a'+rapid.IntRange(0, 2).Draw(rt, "addr"))))
				open = append(open, &c)
			},
			"grow": func(rt *rapid.T) {
				c, n := any(), rapid.Int64Range(1, 100*kib).Draw(rt, "n")
				if before := c.n; !c.grow(n) && c.n != before {
					rt.Fatalf("a refused growth took %d", c.n-before)
				}
			},
			"release": func(*rapid.T) { any().release() },
			"": func(rt *rapid.T) {
				var used, large int64
				for _, c := range open {
					used += c.n
					if c.n > hook.SmallBody {
						large += c.n
					}
				}
				if b.used.Load() != used || used > b.total || large > b.large {
					rt.Fatalf("%d of %d bytes are used, %d of %d by large bodies, and the budget says %d", used, b.total, large, b.large, b.used.Load())
				}
				for key, n := range b.shares {
					if n > b.perShare || n <= 0 {
						rt.Fatalf("the share of %v is %d of %d", key, n, b.perShare)
					}
				}
			},
		})
		for _, c := range open {
			c.release()
		}
		if b.used.Load() != 0 || b.usedLarge != 0 || len(b.shares) != 0 {
			rt.Fatalf("what is left: %d, %d, %v", b.used.Load(), b.usedLarge, b.shares)
		}
	})
}

func TestBudgetOfManyGoroutines(t *testing.T) {
	b := newBudget(1000*kib, 100*kib)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range int64(200) {
				c := b.open(i%3, i%5)
				for c.grow(n*100+1) && c.n < 200*kib {
				}
				c.release()
			}
		})
	}
	wg.Wait()
	if b.used.Load() != 0 || b.usedLarge != 0 || len(b.shares) != 0 {
		t.Errorf("what is left: %d, %d, %v", b.used.Load(), b.usedLarge, b.shares)
	}
}
