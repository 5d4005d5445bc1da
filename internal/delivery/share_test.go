package delivery

import (
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// fill starts as many deliveries of a size as a capture URL may have under way, and returns their number.
func (r *room) fill(captureURL hook.ID, size int64) (n int) {
	c := store.Claim{Delivery: hook.Delivery{CaptureURLID: captureURL}, BodySize: size}
	for ; r.has(&c); n++ {
		r.take(&c)
	}
	return n
}

// TestRoom: a capture URL takes as much as it leaves free, of the attempts and of the bytes of their bodies.
func TestRoom(t *testing.T) {
	for what, test := range map[string]struct {
		size int64
		want [3]int // of three capture URLs, one after the other
	}{
		"small":                  {0, [3]int{hook.MaxSending / 2, hook.MaxSending / 4, hook.MaxSending / 8}},
		"large":                  {1 << 20, [3]int{64, 32, 16}},
		"as large as a body is":  {hook.CeilingMaxBody, [3]int{1, 1, 0}},
		"larger than all of it":  {2 * hook.MaxSendingBytes, [3]int{1, 0, 0}},
		"of a request that left": {-1, [3]int{hook.MaxSending / 2, hook.MaxSending / 4, hook.MaxSending / 8}},
	} {
		var r room
		for i, want := range test.want {
			if got := r.fill(hook.ID(i+1), test.size); got != want {
				t.Errorf("%s: the capture URL number %d gets %d, want %d", what, i+1, got, want)
			}
		}
		for id, own := range r.shares {
			for range own.sending {
				r.giveBack(&store.Claim{Delivery: hook.Delivery{CaptureURLID: id}, BodySize: test.size})
			}
		}
		if r.load != (load{}) || len(r.shares) != 0 {
			t.Errorf("%s: %+v is left", what, r)
		}
	}
}

// TestRoomForLargeBodies: a large body of a capture URL that has nothing under way does not wait for ever behind small ones of others,
// which take what becomes free as soon as it does.
func TestRoomForLargeBodies(t *testing.T) {
	const small = 1 << 20
	waiting := func(captureURL hook.ID, size int64) *queue {
		q := newQueue(-captureURL)
		q.add(store.Claim{Delivery: hook.Delivery{ID: 1, CaptureURLID: captureURL}, BodySize: size})
		return q
	}
	var r room
	var under []store.Claim // of the others, oldest first
	fill := func() {
		for started := true; started; {
			started = false
			for id := hook.ID(1); id <= 40; id++ {
				if q := waiting(id, small); r.lets(q) {
					c := q.take()
					r.take(&c)
					under, started = append(under, c), true
				}
			}
		}
	}
	fill()
	for _, size := range []int64{hook.DefaultMaxBody, hook.CeilingMaxBody, 2 * hook.MaxSendingBytes} {
		large, tiny := waiting(100, size), waiting(200, 100)
		for turns := 0; !r.lets(large); turns++ {
			if len(under) == 0 || turns > hook.MaxSendingBytes/small {
				t.Fatalf("%d bytes wait when %d of the others have ended", size, turns)
			}
			if r.next == large && r.bytes < hook.MaxSendingBytes && !r.lets(tiny) {
				t.Error("a tiny one of somebody else waits for it")
			}
			r.giveBack(&under[0])
			under = under[1:]
			fill()
		}
		c := large.take()
		r.take(&c)
		fill()
		r.giveBack(&c)
		fill()
		if r.next != nil {
			t.Errorf("room is kept after %d bytes were sent", size)
		}
	}
	left := waiting(100, hook.DefaultMaxBody)
	for r.has(&left.ready[0]) {
		r.giveBack(&under[0])
		under = under[1:]
	}
	fill()
	if r.lets(left) {
		t.Fatal("there is room")
	}
	left.ready = nil // it is paused
	before := len(under)
	r.giveBack(&under[0])
	under = under[1:]
	if fill(); len(under) != before {
		t.Error("room is kept for a delivery that is not to be sent any more")
	}
}
