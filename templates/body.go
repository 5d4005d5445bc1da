package templates

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/view"
)

// Components of this file write text in which every space counts, and many small pieces of it. They are written by
// hand for that: templ puts spaces between elements as they stand in the source.

// inline shows a value of a stranger that stands on one line.
func inline(s string) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return segments(room(ctx).Inline(s)).Render(ctx, w)
	})
}

// short is inline in a row of a list.
func short(s string) templ.Component { return segments(view.Short(s)) }

// segments shows text with what is special in it set apart.
func segments(list []view.Segment) templ.Component {
	return written(func(b *strings.Builder) { writeSegments(b, list) })
}

// textLines shows text at the beginning of a <pre>. Browsers drop a line feed that stands there: one is put in its place.
func textLines(list []view.Segment) templ.Component {
	return written(func(b *strings.Builder) {
		b.WriteByte('\n')
		writeSegments(b, list)
	})
}

// jsonLines shows lines of JSON with colours.
func jsonLines(lines [][]view.Token) templ.Component {
	return written(func(b *strings.Builder) {
		for _, line := range lines {
			for _, t := range line {
				writeToken(b, t)
			}
			b.WriteByte('\n')
		}
	})
}

// hexRows shows the rows of a dump: offset, bytes, text.
func hexRows(rows []view.HexRow) templ.Component {
	return written(func(b *strings.Builder) {
		for _, r := range rows {
			b.WriteString(`<span class="at">`)
			b.WriteString(r.Offset)
			b.WriteString("</span>  ")
			b.WriteString(r.Hex)
			b.WriteString(strings.Repeat(" ", max(0, fullHexWidth-len(r.Hex))+2))
			b.WriteString(templ.EscapeString(r.ASCII))
			b.WriteByte('\n')
		}
	})
}

// fullHexWidth is the width of the bytes of a full row: two digits each, 14 gaps and a wider one in the middle.
const fullHexWidth = 16*2 + 14 + 2

// tokenClasses colour JSON; what has none is plain text.
var tokenClasses = [...]string{view.Punct: "", view.Key: "k", view.String: "s", view.Number: "n", view.Literal: "l", view.Space: ""}

func writeToken(b *strings.Builder, t view.Token) {
	class := tokenClasses[t.Kind]
	if class == "" {
		writeSegments(b, view.Inline(t.Text))
		return
	}
	b.WriteString(`<span class="` + class + `">`)
	writeSegments(b, view.Inline(t.Text))
	b.WriteString("</span>")
}

func writeSegments(b *strings.Builder, list []view.Segment) {
	for _, s := range list {
		if s.Special {
			b.WriteString(`<span class="esc">`)
			b.WriteString(templ.EscapeString(s.Text))
			b.WriteString("</span>")
			continue
		}
		b.WriteString(templ.EscapeString(s.Text))
	}
}

// written is a component from a function that writes HTML; whatever it did not make itself it escapes.
func written(write func(*strings.Builder)) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		write(&b)
		_, err := io.WriteString(w, b.String())
		return err
	})
}
