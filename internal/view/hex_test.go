package view

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHex(t *testing.T) {
	got := Hex([]byte("GIF89a\x01\x00<script>\x7f\xff~"))
	want := []HexRow{
		{"00000000", "47 49 46 38 39 61 01 00  3c 73 63 72 69 70 74 3e", "GIF89a..<script>"},
		{"00000010", "7f ff 7e", "..~"},
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got.Truncated() || got.Total != 19 {
		t.Errorf("Shown = %d, Total = %d, want 19", got.Shown, got.Total)
	}
	if rows := Hex(nil).Rows; len(rows) != 0 {
		t.Errorf("%d rows of nothing", len(rows))
	}
}

func TestHexLimit(t *testing.T) {
	for size, truncated := range map[int]bool{hexLimit: false, hexLimit + 1: true} {
		got := Hex(make([]byte, size))
		if len(got.Rows) != hexLimit/rowBytes || got.Shown != hexLimit || got.Total != size || got.Truncated() != truncated {
			t.Errorf("%d bytes: %d rows, %d of %d shown", size, len(got.Rows), got.Shown, got.Total)
		}
	}
	if last := Hex(make([]byte, hexLimit)).Rows[hexLimit/rowBytes-1]; last.Offset != "0000fff0" {
		t.Errorf("last row at %s", last.Offset)
	}
}

func FuzzHex(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var back []byte
		for i, row := range Hex(body).Rows {
			b, err := hex.DecodeString(strings.ReplaceAll(row.Hex, " ", ""))
			if err != nil || len(b) != len(row.ASCII) || row.Offset != fmt.Sprintf("%08x", 16*i) {
				t.Fatalf("row %d: %v, %v", i, row, err)
			}
			back = append(back, b...)
		}
		if !bytes.Equal(back, body[:min(len(body), hexLimit)]) {
			t.Fatal("other bytes")
		}
	})
}

func BenchmarkHex(b *testing.B) {
	body := bytes.Repeat([]byte("some bytes\x00\xff"), hexLimit/12+1)
	b.SetBytes(hexLimit)
	b.ReportAllocs()
	for b.Loop() {
		Hex(body)
	}
}
