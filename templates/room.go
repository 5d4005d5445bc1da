package templates

import (
	"context"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

type roomKey struct{}

// WithRoom makes everything that is rendered with the context one page, which shows only so much of what strangers sent.
// It is in the context so that no component can forget it. What is rendered without it is a page of its own.
func WithRoom(ctx context.Context) context.Context {
	return context.WithValue(ctx, roomKey{}, view.NewRoom())
}

// room returns what the page can still show.
func room(ctx context.Context) *view.Room {
	if r, ok := ctx.Value(roomKey{}).(*view.Room); ok {
		return r
	}
	return view.NewRoom()
}

// pairRow is a row of a table of names and values.
type pairRow struct {
	Name, Value []view.Segment
	Notes       []string
}

// longer values than these are shown in part, so that what comes below them is not pushed away: bytes of text.
const (
	longValueBytes = 400
	longTarget     = 200
)

// isLong reports whether a value has more text than a reader wants to scroll over.
func isLong(value []view.Segment) bool {
	n := 0
	for _, s := range value {
		n += len(s.Text)
	}
	return n > longValueBytes
}

// headerRows returns as many headers as the page has room for.
func headerRows(ctx context.Context, headers []hook.Header) (rows []pairRow) {
	room := room(ctx)
	for _, h := range headers {
		if room.Spent() {
			break
		}
		rows = append(rows, pairRow{Name: room.Inline(h.Name), Value: room.Inline(h.Value)})
	}
	return rows
}

// fieldRows returns as many fields of a form as the page has room for.
func fieldRows(ctx context.Context, fields []view.Field) (rows []pairRow) {
	room := room(ctx)
	for _, f := range fields {
		if room.Spent() {
			break
		}
		row := pairRow{Name: room.Inline(f.Name), Value: room.Inline(f.Value)}
		if f.Undecoded {
			row.Notes = append(row.Notes, "not decoded")
		}
		if f.Cut > 0 {
			row.Notes = append(row.Notes, "… "+view.Count(int64(f.Cut))+" bytes more")
		}
		rows = append(rows, row)
	}
	return rows
}
