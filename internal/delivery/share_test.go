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
