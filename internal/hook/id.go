package hook

import (
	"strings"
	"sync"
	"time"
)

// ID identifies a row: 43 bits of milliseconds since 2020, 10 bits of node, 10 bits of counter. IDs of one node are in
// the order in which they were made, so that a page of rows can be cut by id alone.
type ID int64

// Prefixes of the textual form, one for each noun.
const (
	CaptureURLPrefix = "url_"
	RequestPrefix    = "req_"
	UserPrefix       = "usr_"
	TokenPrefix      = "tok_"

	SubscriptionPrefix = "sub_"
	DeliveryPrefix     = "dlv_"
	ReplayPrefix       = "rpl_"
)

const (
	idCounterBits = 10
	idNodeBits    = 10
	idTextLen     = 13 // 65 bits of base32 for 63 bits of id
	// crockford is the base32 alphabet of Douglas Crockford, in lower case: no i, l, o or u.
	crockford = "0123456789abcdefghjkmnpqrstvwxyz"
)

var (
	idEpoch      = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	crockfordVal = func() (t [256]int8) {
		for i := range t {
			t[i] = -1
		}
		for i := range len(crockford) {
			t[crockford[i]] = int8(i)
		}
		return t
	}()
)

// Text returns the form that people and scripts see: the prefix and 13 characters of base32.
func (id ID) Text(prefix string) string {
	b := make([]byte, len(prefix)+idTextLen)
	copy(b, prefix)
	v := uint64(id)
	for i := len(b) - 1; i >= len(prefix); i-- {
		b[i] = crockford[v&31]
		v >>= 5
	}
	return string(b)
}

// ParseID reads the textual form of an id. Only the exact form that Text writes is taken; ok is false otherwise.
func ParseID(prefix, text string) (id ID, ok bool) {
	digits, found := strings.CutPrefix(text, prefix)
	if !found || len(digits) != idTextLen {
		return 0, false
	}
	var v uint64
	for i := range len(digits) {
		d := crockfordVal[digits[i]]
		if d < 0 || v>>59 != 0 {
			return 0, false
		}
		v = v<<5 | uint64(d)
	}
	if v == 0 || v>>63 != 0 {
		return 0, false
	}
	return ID(v), true
}

// Time returns when the id was made, to the millisecond. A clock that was set back makes it run ahead of the wall.
func (id ID) Time() time.Time {
	return idEpoch.Add(time.Duration(id>>(idCounterBits+idNodeBits)) * time.Millisecond)
}

// FirstIDAt returns the smallest id that can be made at t or later.
func FirstIDAt(t time.Time) ID {
	return ID(t.Sub(idEpoch).Milliseconds()) << (idCounterBits + idNodeBits)
}

// IDs makes ids in rising order, never one below those it made or was told of, whatever the clock does. The zero value
// is ready to use; it is safe for concurrent use.
type IDs struct {
	mu   sync.Mutex
	last ID
}

// Next returns a new id for the time now.
func (g *IDs) Next(now time.Time) ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := FirstIDAt(now)
	if next <= g.last {
		next = g.last + 1
		const counterMask = 1<<idCounterBits - 1
		if next&counterMask == 0 { // the counter is full: go on in the next millisecond, not in the next node
			next = (g.last>>(idCounterBits+idNodeBits) + 1) << (idCounterBits + idNodeBits)
		}
	}
	g.last = next
	return next
}

// Advance tells the generator of an id that exists already; later ids are above it.
func (g *IDs) Advance(id ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = max(g.last, id)
}

// Last returns the highest id that the generator made or was told of.
func (g *IDs) Last() ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}
