package store_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

func TestDamagedHeaderLists(t *testing.T) {
	for about, b := range map[string][]byte{
		"a length and nothing":           {1},
		"half of a name":                 {2, 'a'},
		"a name without a value":         {1, 'a'},
		"half of a value":                {1, 'a', 2, 'b'},
		"half of a length":               {0x80},
		"a length that fits nothing":     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"a length of more than 64 bits":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"a good pair and a damaged pair": {1, 'a', 1, 'b', 9},
	} {
		if headers, err := store.DecodeHeaders(b); err == nil {
			t.Errorf("%s: got %v", about, headers)
		}
	}
}

// FuzzHeaders reads lists that may be damaged: never a panic, never more than was there, and what was read can be
// stored and read again.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0})
	f.Add([]byte{0x80, 0x00, 1, 0xff})
	f.Add(store.AppendHeaders(nil, []hook.Header{{Name: "Host", Value: "a"}, {Name: "X-A", Value: string(make([]byte, 200))}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		headers, err := store.DecodeHeaders(b)
		if err != nil {
			return
		}
		size := 0
		for _, h := range headers {
			size += len(h.Name) + len(h.Value) + 2
		}
		if size > len(b) || !bytes.Equal(b, before) {
			t.Fatalf("%d bytes came out of %d", size, len(b))
		}
		again, err := store.DecodeHeaders(store.AppendHeaders(nil, headers))
		if err != nil || !cmp.Equal(again, headers) {
			t.Fatalf("read again: %v, %v", again, err)
		}
	})
}
