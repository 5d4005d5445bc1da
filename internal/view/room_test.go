package view

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestRoom: what a page shows is bounded in segments and in bytes, whatever shows it, and what is left out is told.
func TestRoom(t *testing.T) {
	const hostile = "a\x01"
	for name, piece := range map[string]string{"segments": strings.Repeat(hostile, 5000), "bytes": strings.Repeat("a", 10_000)} {
		room, segments, bytes, told := NewRoom(), 0, 0, 0
		for range 100 {
			for _, s := range room.Inline(piece) {
				if strings.HasPrefix(s.Text, "… ") {
					told++
					continue
				}
				segments++
				bytes += len(s.Text)
			}
			text := room.Text([]byte(piece), TextLimit)
			segments += len(text.Segments)
			bytes += text.Shown
			if text.Truncated() {
				told++
			}
		}
		if !room.Spent() || told == 0 {
			t.Errorf("%s: spent %v, told %d times", name, room.Spent(), told)
		}
		if segments > hook.MaxPageSegments+2 || bytes > 4*hook.MaxPageText {
			t.Errorf("%s: %d segments of %d bytes", name, segments, bytes)
		}
		if _, err := room.JSON([]byte(`"` + "\x7f" + `"`)); (err == nil) != (name == "bytes") {
			t.Errorf("%s: JSON on a full page: %v", name, err)
		}
	}
}

// TestShort: each row of a list has its own.
func TestShort(t *testing.T) {
	want := []Segment{{Text: strings.Repeat("x", shortBytes)}, {Text: "… 100 bytes more", Special: true}}
	if diff := cmp.Diff(want, Short(strings.Repeat("x", shortBytes+100))); diff != "" {
		t.Error(diff)
	}
	if n := len(Short(strings.Repeat("a\x01", 1000))); n > shortSegments+1 {
		t.Errorf("%d segments", n)
	}
}
