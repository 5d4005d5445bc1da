package delivery

import (
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// load is what is under way.
type load struct {
	sending int
	bytes   int64 // of the bodies
}

// room is what may be under way, and who has taken how much of it. A capture URL takes no more than it leaves free: half of it
// alone, a third each when there are two. However slow the targets of some are, others always find a place: for a large body
// too, because what becomes free is kept for the first one of a capture URL that it was refused to.
type room struct {
	load
	shares map[hook.ID]*load // by capture URL; those that have nothing under way are not there
	next   *queue            // whose first delivery the bytes that become free are kept for; nil = nobody's
}

// lets reports whether the first delivery of a queue can be sent now.
func (r *room) lets(q *queue) bool {
	c := &q.ready[0]
	if r.next != nil && (!r.next.wants() || !r.firstOf(&r.next.ready[0])) {
		r.next = nil
	}
	if !r.has(c) {
		if r.next == nil && r.firstOf(c) && c.BodySize > hook.MaxSendingBytes-r.bytes {
			r.next = q
		}
		return false
	}
	if r.next == q {
		r.next = nil
	}
	return r.next == nil || r.leaves(c, r.next.ready[0].BodySize)
}

// firstOf reports whether the capture URL of a delivery has nothing under way.
func (r *room) firstOf(c *store.Claim) bool { return r.shares[c.CaptureURLID] == nil }

// leaves reports whether there are some bytes left when a delivery is sent. The first one of a capture URL goes all the same when
// it is small.
func (r *room) leaves(c *store.Claim, bytes int64) bool {
	return r.firstOf(c) && c.BodySize <= hook.SmallBody || hook.MaxSendingBytes-r.bytes-c.BodySize >= min(bytes, hook.MaxSendingBytes)
}

// full reports whether nobody can start anything.
func (r *room) full() bool { return r.sending >= hook.MaxSending }

// has reports whether a delivery can be sent now. The first one of a capture URL needs only to fit in what is free, and a
// body that is larger than all there is goes alone.
func (r *room) has(c *store.Claim) bool {
	slots, bytes := hook.MaxSending-r.sending, hook.MaxSendingBytes-r.bytes
	if slots <= 0 || c.BodySize > bytes {
		return r.sending == 0
	}
	own := r.shares[c.CaptureURLID]
	return own == nil || own.sending < slots && own.bytes+c.BodySize <= bytes
}

func (r *room) take(c *store.Claim) {
	if r.shares == nil {
		r.shares = map[hook.ID]*load{}
	}
	own := r.shares[c.CaptureURLID]
	if own == nil {
		own = &load{}
		r.shares[c.CaptureURLID] = own
	}
	for _, l := range []*load{&r.load, own} {
		l.sending++
		l.bytes += c.BodySize
	}
}

func (r *room) giveBack(c *store.Claim) {
	own := r.shares[c.CaptureURLID]
	for _, l := range []*load{&r.load, own} {
		l.sending--
		l.bytes -= c.BodySize
	}
	if own.sending == 0 {
		delete(r.shares, c.CaptureURLID)
	}
}
