package store

import (
	"encoding/binary"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// hour counts attempts by the minute in a ring of 60. What is older than an hour is forgotten when the ring is read or
// written.
type hour struct {
	minute  int64 // Unix minutes of the newest count
	minutes [60]hook.Minute
}

// turn moves the ring on to a minute. One that is older than the newest stays in its place.
func (h *hour) turn(minute int64) {
	for range min(max(minute-h.minute, 0), 60) {
		h.minute++
		h.minutes[h.minute%60] = hook.Minute{}
	}
	if minute > h.minute {
		h.minute = minute
		h.minutes = [60]hook.Minute{}
	}
}

func (h *hour) add(at time.Time, ok bool) {
	minute := at.Unix() / 60
	h.turn(minute)
	if minute <= h.minute-60 {
		return
	}
	if ok {
		h.minutes[minute%60].OK++
	} else {
		h.minutes[minute%60].Failed++
	}
}

// at returns the last 60 minutes, that of now last.
func (h hour) at(now time.Time) (minutes [60]hook.Minute) {
	h.turn(now.Unix() / 60)
	for i := range minutes {
		minutes[i] = h.minutes[(h.minute+1+int64(i))%60]
	}
	return minutes
}

// encode writes the ring as varints: the minute, then both counts of each minute.
func (h *hour) encode() []byte {
	b := binary.AppendVarint(make([]byte, 0, 160), h.minute)
	for _, m := range h.minutes {
		b = binary.AppendUvarint(b, uint64(m.OK))     //nolint:gosec // counts are not negative
		b = binary.AppendUvarint(b, uint64(m.Failed)) //nolint:gosec // as above
	}
	return b
}

// decodeHour reads what encode wrote; anything else is an empty hour, which is only a chart.
func decodeHour(b []byte) (h hour) {
	minute, n := binary.Varint(b)
	if n <= 0 {
		return hour{}
	}
	h.minute, b = minute, b[n:]
	for i := range h.minutes {
		for _, count := range []*int64{&h.minutes[i].OK, &h.minutes[i].Failed} {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return hour{}
			}
			*count, b = int64(v), b[n:] //nolint:gosec // encode wrote it from an int64
		}
	}
	return h
}
