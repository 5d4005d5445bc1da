package view

const (
	hexLimit = 64 << 10 // bytes of a body that a dump shows: 4,096 rows
	rowBytes = 16
)

// HexRow is one row of a dump: 16 bytes, the last row maybe fewer.
type HexRow struct {
	Offset string // of the first byte, eight hexadecimal digits
	Hex    string // the bytes, two digits each, a wider gap in the middle
	ASCII  string // the bytes as text, a dot for everything but printable ASCII
}

// HexView is the beginning of a body as a dump.
type HexView struct {
	Rows  []HexRow
	Shown int // bytes in the rows
	Total int // bytes of the body
}

// Truncated reports whether the body goes on where the rows end.
func (v HexView) Truncated() bool { return v.Shown < v.Total }

// Hex dumps the first 64 KiB of body.
func Hex(body []byte) HexView {
	shown := body[:min(len(body), hexLimit)]
	v := HexView{Rows: make([]HexRow, 0, (len(shown)+rowBytes-1)/rowBytes), Shown: len(shown), Total: len(body)}
	for at := 0; at < len(shown); at += rowBytes {
		v.Rows = append(v.Rows, hexRow(at, shown[at:min(at+rowBytes, len(shown))]))
	}
	return v
}

func hexRow(offset int, row []byte) HexRow {
	const digits = "0123456789abcdef"
	var buf [8 + 3*rowBytes + rowBytes]byte
	b := buf[:0]
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[offset>>shift&15])
	}
	for i, c := range row {
		switch i {
		case 0:
		case rowBytes / 2:
			b = append(b, ' ', ' ')
		default:
			b = append(b, ' ')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	hexEnd := len(b)
	for _, c := range row {
		if c < ' ' || c > '~' {
			c = '.'
		}
		b = append(b, c)
	}
	s := string(b) // one allocation for the three
	return HexRow{Offset: s[:8], Hex: s[8:hexEnd], ASCII: s[hexEnd:]}
}
