package delivery

import (
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// load is what is under way, or might be.
type load struct {
	sending int
	bytes   int64 // of the bodies
}

func (l load) plus(m load) load      { return load{l.sending + m.sending, l.bytes + m.bytes} }
func (l load) minus(m load) load     { return load{l.sending - m.sending, l.bytes - m.bytes} }
func (l load) fitsIn(free load) bool { return l.sending <= free.sending && l.bytes <= free.bytes }

const (
	quickBody    = 1 << 20                      // a body up to this size does not stand back for a large one,
	quickBytes   = hook.MaxSendingBytes / 4     // as long as those under way are not more than this
	largestShare = hook.MaxSendingBytes * 3 / 4 // what can be kept for a large body beside them; a larger one counts as this
)

// room is what may be under way, and who has taken how much of it. A user takes no more than is left free: half of it alone, a third
// each when there are two. A capture URL takes no more of that than it leaves to its user. However slow the targets of some are, others
// always find a place: for a large body too, because what becomes free is kept for the first one that it was refused to.
type room struct {
	load
	quick  int64            // bytes under way of quick bodies
	owners map[hook.ID]load // by user; those that have nothing under way are not there
	urls   map[hook.ID]load // by capture URL; likewise
	next   *queue           // whose first delivery the bytes that become free are kept for; nil = nobody's
	served map[*queue]bool  // those that have just had their turn: nothing is kept for them before the others have had theirs
}

// place is what one delivery takes of the room.
type place struct {
	owner, captureURL hook.ID
	bytes             int64
}

func placeOf(q *queue, c *store.Claim) place {
	return place{q.owner, c.CaptureURLID, min(max(c.BodySize, 0), largestShare)}
}

func (p place) load() load    { return load{1, p.bytes} }
func (p place) isQuick() bool { return p.bytes <= quickBody }

// lets reports whether the first delivery of a queue can be sent now.
func (r *room) lets(q *queue) bool {
	if r.next != nil && (!r.next.wants() || !r.isLarge(r.first(r.next))) {
		r.next = nil
	}
	first := r.first(q)
	needed, free := r.needs(first), r.free()
	if needed.fitsIn(free) {
		if r.next == q {
			r.next = nil
		}
		return r.next == nil || r.passes(first)
	}
	if r.next == nil && !r.served[q] && needed.bytes > free.bytes && r.isLarge(first) {
		r.next = q
	}
	return false
}

// hasServed notes that a queue has had its turn.
func (r *room) hasServed(q *queue) {
	if r.served == nil {
		r.served = map[*queue]bool{}
	}
	r.served[q] = true
}

func (r *room) first(q *queue) place { return placeOf(q, &q.ready[0]) }

func (r *room) free() load { return load{hook.MaxSending, hook.MaxSendingBytes}.minus(r.load) }

// needs returns what has to be free for a delivery: its own place, and as much as its user and its capture URL have already.
func (r *room) needs(p place) load {
	return p.load().plus(r.owners[p.owner]).plus(r.urls[p.captureURL])
}

// isLarge reports whether room is kept for a delivery: where its user has more of the same size under way, it waits for one of those.
func (r *room) isLarge(p place) bool {
	own := r.owners[p.owner]
	return p.bytes > hook.SmallBody && (own.sending == 0 || p.bytes > 2*own.bytes/int64(own.sending))
}

// passes reports whether a delivery goes before the one that room is kept for: it is quick, or leaves enough. It does not when only
// what their user has under way stands in the way of that one.
func (r *room) passes(p place) bool {
	kept, free := r.first(r.next), r.free().bytes
	if p.owner == kept.owner && kept.bytes <= free {
		return false
	}
	return p.isQuick() && r.quick+p.bytes <= quickBytes || kept.bytes <= free-p.bytes
}

// full reports whether nobody can start anything.
func (r *room) full() bool { return r.sending >= hook.MaxSending }

func (r *room) take(p place) {
	if r.owners == nil {
		r.owners, r.urls = map[hook.ID]load{}, map[hook.ID]load{}
	}
	r.load = r.plus(p.load())
	r.owners[p.owner] = r.owners[p.owner].plus(p.load())
	r.urls[p.captureURL] = r.urls[p.captureURL].plus(p.load())
	if p.isQuick() {
		r.quick += p.bytes
	}
}

func (r *room) giveBack(p place) {
	r.load = r.minus(p.load())
	forget(r.owners, p.owner, p.load())
	forget(r.urls, p.captureURL, p.load())
	if p.isQuick() {
		r.quick -= p.bytes
	}
}

func forget(shares map[hook.ID]load, id hook.ID, gone load) {
	if left := shares[id].minus(gone); left.sending > 0 {
		shares[id] = left
	} else {
		delete(shares, id)
	}
}
