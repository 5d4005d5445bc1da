package view

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of a text view.
const (
	TextLimit = 256 << 10 // bytes of a body shown as text, unless the caller wants fewer

	maxLines    = 5_000
	maxSegments = 15_000 // of one text, so that a page has room for what stands beside it
	maxInline   = 64 << 10

	shortSegments = 50 // of a value in a row of a list
	shortBytes    = 500
)

// Segment is a stretch of text that can be shown as it is. A special segment stands for bytes that cannot: \xE9 for a
// byte that is no UTF-8, \x00 for a control character, ⟨U+202E⟩ for a character that is invisible or changes the
// direction of text. Pages set special segments apart, so that a sender who types ⟨U+202E⟩ fools nobody.
type Segment struct {
	Text    string
	Special bool
}

// TextView is the beginning of a body as text.
type TextView struct {
	Segments []Segment
	Shown    int // bytes of the body that the segments stand for
	Total    int // bytes of the body
}

// Truncated reports whether the body goes on where the segments end.
func (v TextView) Truncated() bool { return v.Shown < v.Total }

// Text is Room.Text on an empty page.
func Text(body []byte, limit int) TextView { return NewRoom().Text(body, limit) }

// Inline is Room.Inline on an empty page.
func Inline(s string) []Segment { return NewRoom().Inline(s) }

// isPlain reports whether s is short and nothing but printable ASCII, as nearly all headers and paths are.
func isPlain(s string) bool {
	if len(s) > maxInline {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut returns the first limit bytes of s, less the bytes of a character that would be cut in two.
func cut[T string | []byte](s T, limit int) T {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > max(0, limit-utf8.UTFMax+1) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// mark splits s into plain and special segments, neighbours of one sort in one segment. It stops behind the given
// number of lines, where with 0 lines a line feed is a control character like the others, and at about the given number of
// segments. The second result is how many bytes of s the segments stand for.
func mark(s string, lines, most int) (segments []Segment, shown int) {
	oneLine := lines == 0
	start, i := 0, 0 // s[start:i] is plain
	for i < len(s) {
		if c := s[i]; ' ' <= c && c <= '~' || c == '\t' {
			i++
			continue
		}
		if s[i] == '\n' && !oneLine {
			i++
			if lines--; lines == 0 {
				break
			}
			continue
		}
		text, size := markRun(s[i:], oneLine, s[start:i])
		if size > 0 {
			segments = appendPlain(segments, s[start:i])
			segments = append(segments, Segment{Text: text, Special: true})
			i += size
			start = i
			if len(segments) >= most-1 { // room for the plain one that may follow
				break
			}
			continue
		}
		_, size = utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return appendPlain(segments, s[start:i]), i
}

func appendPlain(segments []Segment, s string) []Segment {
	if s == "" {
		return segments
	}
	return append(segments, Segment{Text: s})
}

// markRun returns the marks of the special characters that s starts with and how many bytes of s they stand for.
func markRun(s string, oneLine bool, before string) (string, int) {
	var b []byte
	i := 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && (r != '\n' || oneLine), r == 0x7f:
			b = fmt.Appendf(b, `\x%02X`, s[i])
		case isInvisible(r) && (i > 0 || !isEmojiSelector(r, before)):
			b = fmt.Appendf(b, "⟨U+%04X⟩", r)
		default:
			return string(b), i
		}
		i += size
	}
	return string(b), i
}

// invisible are the characters that draw nothing of their own: formatting and bidirectional controls, zero-width
// characters, fillers and variation selectors, line and paragraph separators, C1 controls.
var invisible = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
}

func isInvisible(r rune) bool {
	if r < 0x80 {
		return false // a printable one, or one that is marked as a byte
	}
	return unicode.In(r, invisible...) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// isEmojiSelector reports whether r, standing behind the plain text before, only asks for the colourful form of the
// character in front of it. A second one in a row does nothing, so it may hide something and is marked.
func isEmojiSelector(r rune, before string) bool {
	const selector = '\uFE0F'
	last, _ := utf8.DecodeLastRuneInString(before)
	return r == selector && last != selector && last != utf8.RuneError && !unicode.IsSpace(last)
}
