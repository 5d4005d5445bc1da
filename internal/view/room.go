package view

import "github.com/hookkeeper/hookkeeper/internal/hook"

// Room is what a page can still take of what strangers sent. Everything on a page draws from the same Room, because limits
// of the pieces alone do not bound their sum: a hundred parts with hostile names, or fifty hostile answers, are more than a
// browser can lay out. It is for one goroutine.
type Room struct{ segments, bytes int }

// NewRoom returns the room of an empty page.
func NewRoom() *Room { return &Room{hook.MaxPageSegments, hook.MaxPageText} }

// Spent reports whether nothing more can be shown.
func (r *Room) Spent() bool { return r.segments <= 0 || r.bytes <= 0 }

// Text shows at most limit bytes of body, and no more than 5,000 lines or 15,000 segments. Tabs and line feeds stay
// what they are; a carriage return is a control character like the others, so that no line can overwrite itself.
func (r *Room) Text(body []byte, limit int) TextView {
	v := TextView{Total: len(body)}
	if !r.Spent() {
		v.Segments, v.Shown = mark(string(cut(body, min(limit, r.bytes))), maxLines, min(r.segments, maxSegments))
		r.take(v.Segments, v.Shown)
	}
	return v
}

// Inline shows a value that stands on one line, such as a header or a path: a line feed is marked too. It shows at most
// 64 KiB, and ends with a special segment that tells how many bytes are left out.
func (r *Room) Inline(s string) []Segment {
	if r.segments > 0 && len(s) <= r.bytes && isPlain(s) {
		segments := []Segment{{Text: s}}
		r.take(segments, len(s))
		return segments
	}
	var segments []Segment
	shown := 0
	if !r.Spent() {
		segments, shown = mark(cut(s, min(maxInline, r.bytes)), 0, r.segments)
		r.take(segments, shown)
	}
	if rest := len(s) - shown; rest > 0 {
		segments = append(segments, Segment{Text: "… " + Count(int64(rest)) + " bytes more", Special: true})
	}
	return segments
}

func (r *Room) take(segments []Segment, bytes int) {
	r.segments -= len(segments)
	r.bytes -= bytes
}

// Short is Inline for the rows of a list, each of which has a little room of its own: one hostile request must not take
// away that of its neighbours.
func Short(s string) []Segment {
	return (&Room{shortSegments, shortBytes}).Inline(s)
}
