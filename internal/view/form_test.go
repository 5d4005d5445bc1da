package view

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForm(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []Field
	}{
		{"empty", "", nil},
		{"order and doubles", "b=1&a=2&b=3", []Field{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "3"}}},
		{"decoded", "a+b=c%20d%2B%c3%A9", []Field{{Name: "a b", Value: "c d+é"}}},
		{"no value, no name", "a&=b&c=", []Field{{Name: "a"}, {Value: "b"}, {Name: "c"}}},
		{"nothing between", "&&a=1&", []Field{{Name: "a", Value: "1"}}},
		{"more equal signs", "a=b=c", []Field{{Name: "a", Value: "b=c"}}},
		{"semicolon", "a=1;b=2", []Field{{Name: "a", Value: "1;b=2"}}},
		{"bad value", "a+b=%zz+%20", []Field{{Name: "a b", Value: "%zz+%20", Undecoded: true}}},
		{"bad name", "%=1%31", []Field{{Name: "%", Value: "11", Undecoded: true}}},
		{"cut escape", "a=%4", []Field{{Name: "a", Value: "%4", Undecoded: true}}},
		{"bytes", "a=%00%ff\xfe", []Field{{Name: "a", Value: "\x00\xff\xfe"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Query(tc.in)
			if diff := cmp.Diff(tc.want, got.Fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if got.Truncated() {
				t.Errorf("Total = %d, want %d", got.Total, len(tc.want))
			}
		})
	}
}

func TestFormLimits(t *testing.T) {
	big := strings.Repeat("x", maxFieldBytes)
	for _, tc := range []struct {
		name, in   string
		shown, all int
		cut        int // of the last field shown
	}{
		{"as many as may be", strings.Repeat("a=1&", maxFields), maxFields, maxFields, 0},
		{"20,000 fields", strings.Repeat("a=1&", 20_000), maxFields, 20_000, 0},
		{"as large as may be", "a=" + big[1:], 1, 1, 0},
		{"value cut", "a=" + big + "&b=1", 1, 2, 1},
		{"decoded value cut", "a=%78" + big + "%78", 1, 1, 3},
		{"undecoded value cut", "a=%zz" + big, 1, 1, 4},
		{"name cut", big + "yy=z&b=1", 1, 2, 3},
		{"second one cut", "a=" + big[4:] + "&b=12345&c=1", 2, 3, 3},
		{"not through a character", "a=" + big[2:] + "%c3%a9&b=1", 1, 2, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Form([]byte(tc.in))
			if len(got.Fields) != tc.shown || got.Total != tc.all || got.Truncated() != (tc.shown < tc.all) {
				t.Fatalf("%d of %d fields, want %d of %d", len(got.Fields), got.Total, tc.shown, tc.all)
			}
			last := got.Fields[tc.shown-1]
			if last.Cut != tc.cut {
				t.Errorf("last field cut by %d, want %d", last.Cut, tc.cut)
			}
			if size := fieldBytes(got); size > maxFieldBytes {
				t.Errorf("%d bytes", size)
			}
		})
	}
}

func fieldBytes(v FormView) (n int) {
	for _, f := range v.Fields {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// FuzzViewForm compares with net/url where that one takes the form.
func FuzzViewForm(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s))
		f.Add([]byte(url.Values{s: {s, ""}}.Encode()))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		start := time.Now()
		v := Form(body)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("took %v for %d bytes", took, len(body))
		}
		if len(v.Fields) > min(maxFields, v.Total) || fieldBytes(v) > min(len(body), maxFieldBytes) {
			t.Fatalf("%d of %d fields of %d bytes", len(v.Fields), v.Total, fieldBytes(v))
		}
		want, err := url.ParseQuery(string(body))
		if err != nil || v.Truncated() {
			return
		}
		got := url.Values{}
		for _, field := range v.Fields {
			if field.Cut > 0 {
				return
			}
			got.Add(field.Name, field.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("fields (-net/url +ours):\n%s", diff)
		}
	})
}

func BenchmarkForm(b *testing.B) {
	for name, body := range map[string]string{
		"20 fields": strings.Repeat("some_name=some+value%21&", 20),
		"10 MB":     strings.Repeat("a=%31&", 10<<20/6),
		"one 10 MB": "payload=" + strings.Repeat("%7B%22", 10<<20/6),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				Form(in)
			}
		})
	}
}
