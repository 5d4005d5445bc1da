package delivery

import (
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// waiting is a queue of a capture URL with one delivery of a size, which has not begun.
func waiting(owner, captureURL hook.ID, size int64) *queue {
	q := newQueue(-captureURL)
	q.owner = owner
	q.add(store.Claim{Delivery: hook.Delivery{ID: 1, CaptureURLID: captureURL}, BodySize: size})
	return q
}

// fill starts as many of the same delivery as a queue may have under way.
func (r *room) fill(q *queue) (started []place) {
	for r.lets(q) {
		p := r.first(q)
		r.take(p)
		started = append(started, p)
	}
	return started
}

// flood is the queues of so many users, each with deliveries of a size.
func flood(first, n hook.ID, size int64) (queues []*queue) {
	for id := first; id < first+n; id++ {
		queues = append(queues, waiting(id, id, size))
	}
	return queues
}

func (r *room) fillAll(queues []*queue) (started []place) {
	for _, q := range queues {
		started = append(started, r.fill(q)...)
	}
	return started
}

// TestRoom: a user takes as much as is left free, and a capture URL as much of that as is left to its user, of the attempts and of
// the bytes of their bodies.
func TestRoom(t *testing.T) {
	const large = quickBody + 1 // 127 of them fit
	for what, test := range map[string]struct {
		size   int64
		owners [4]hook.ID // of four capture URLs, one after the other
		want   [4]int
	}{
		"small, of one user":             {0, [4]hook.ID{1, 1, 1, 1}, [4]int{683, 228, 76, 25}},
		"small, of four users":           {0, [4]hook.ID{1, 2, 3, 4}, [4]int{683, 455, 304, 202}},
		"small, of two users":            {0, [4]hook.ID{1, 1, 2, 2}, [4]int{683, 228, 379, 127}},
		"large, of one user":             {large, [4]hook.ID{1, 1, 1, 1}, [4]int{43, 14, 5, 1}},
		"large, of four users":           {large, [4]hook.ID{1, 2, 3, 4}, [4]int{43, 28, 19, 13}},
		"as large as a body is":          {hook.CeilingMaxBody, [4]hook.ID{1, 1, 2, 3}, [4]int{1, 0, 1, 0}},
		"larger than what can be kept":   {2 * hook.MaxSendingBytes, [4]hook.ID{1, 1, 2, 3}, [4]int{1, 0, 0, 0}},
		"of requests that are not there": {-1, [4]hook.ID{1, 2, 3, 4}, [4]int{683, 455, 304, 202}},
	} {
		var r room
		var all []place
		for i, want := range test.want {
			started := r.fill(waiting(test.owners[i], hook.ID(i+1), test.size))
			if len(started) != want {
				t.Errorf("%s: the capture URL number %d gets %d, want %d", what, i+1, len(started), want)
			}
			all = append(all, started...)
		}
		for _, p := range all {
			r.giveBack(p)
		}
		if r.load != (load{}) || r.quick != 0 || len(r.owners)+len(r.urls) != 0 {
			t.Errorf("%s: %+v is left", what, r)
		}
	}
}

// TestRoomForLargeBodies: a large body does not wait for ever behind smaller ones of others, which take what becomes free as soon as
// it does; also when its own capture URL has small ones under way all the time. Quick ones of others do not wait for it.
func TestRoomForLargeBodies(t *testing.T) {
	for what, ownFlow := range map[string]int64{"alone": -1, "beside small ones of the same capture URL": 100, "beside many of them": 1 << 20} {
		var r room
		var others, own []place // oldest first
		floods := flood(1, 40, quickBody+1)
		fill := func() { others = append(others, r.fillAll(floods)...) }
		flow := func() { // as many as 16 at a time, of which one ends
			for q := waiting(100, 100, ownFlow); ownFlow >= 0 && len(own) < 16 && r.lets(q); {
				own = append(own, r.first(q))
				r.take(r.first(q))
			}
			if len(own) > 0 {
				r.giveBack(own[0])
				own = own[1:]
			}
		}
		fill()
		for _, size := range []int64{hook.DefaultMaxBody, hook.CeilingMaxBody} {
			flow()
			large := waiting(100, 100, size)
			for turns := 0; !r.lets(large); turns++ {
				if turns > hook.MaxSendingBytes/quickBody {
					t.Fatalf("%s: %d bytes still wait when %d of the others have ended", what, size, turns)
				}
				if quick := waiting(200, 200, 100_000); r.next == large && !r.lets(quick) && r.first(quick).bytes <= r.free().bytes {
					t.Errorf("%s: a quick one of somebody else waits for %d bytes", what, size)
				}
				flow()
				r.giveBack(others[0])
				others = others[1:]
				fill()
			}
			p := r.first(large)
			r.take(p)
			fill()
			r.giveBack(p)
			fill()
			if r.next == large {
				t.Errorf("%s: room is kept after %d bytes were sent", what, size)
			}
		}
	}
}

// TestRoomIsKeptForOne: nothing is kept for a delivery that is not to be sent any more, and no flood of quick ones takes what is kept.
func TestRoomIsKeptForOne(t *testing.T) {
	var r room
	var others []place
	for id := hook.ID(1); id <= 12; id++ {
		others = append(others, place{id, id, hook.DefaultMaxBody})
		r.take(others[id-1])
	}
	large := waiting(100, 100, hook.DefaultMaxBody)
	if r.lets(large) {
		t.Fatal("there is room")
	}
	quick := flood(200, 100, quickBody) // users with a few quick ones each
	r.fillAll(quick)
	for range 4 {
		r.giveBack(others[0])
		others = others[1:]
		r.fillAll(quick)
	}
	if !r.lets(large) {
		t.Errorf("%d bytes of quick ones are under way, and the large one waits", r.quick)
	}
	r.take(r.first(large))
	another := waiting(101, 101, hook.CeilingMaxBody)
	if r.lets(another) || r.next != another {
		t.Fatal("no room is kept for another one")
	}
	another.ready = nil // it is paused
	r.giveBack(others[0])
	if len(r.fill(waiting(500, 500, 5<<20))) == 0 {
		t.Error("room is kept for a delivery that is not to be sent any more")
	}
}

// TestNothingIsKeptForTheServed: of one user, a queue of large bodies that has just started one does not have room kept for its next one
// before the small ones of other capture URLs have had their turn: they would not get one until it is empty.
func TestNothingIsKeptForTheServed(t *testing.T) {
	t.Parallel()
	var r room
	large, small := waiting(1, 1, 10<<20), waiting(1, 2, 1)
	for range 7 {
		r.take(place{1, 1, 9 << 20})
	}
	for range 60 {
		r.take(place{1, 1, 1})
	}
	r.hasServed(large)
	if r.lets(large) || !r.lets(small) {
		t.Error("room is kept for the queue that has just been served")
	}
	clear(r.served)
	if r.lets(large) || r.lets(small) {
		t.Error("no room is kept for the large one")
	}
}
