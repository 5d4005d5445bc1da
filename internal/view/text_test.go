package view

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func plain(s string) Segment   { return Segment{Text: s} }
func special(s string) Segment { return Segment{Text: s, Special: true} }

func TestTextMarks(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []Segment
	}{
		{"empty", "", nil},
		{"plain", "a\tb\nc <script>alert(1)</script>", []Segment{plain("a\tb\nc <script>alert(1)</script>")}},
		{"unicode", "Grüße 日本 العربية 👍", []Segment{plain("Grüße 日本 العربية 👍")}},
		{"latin-1", "caf\xe9!", []Segment{plain("caf"), special(`\xE9`), plain("!")}},
		{"neighbours", "\xe9\xff\x00", []Segment{special(`\xE9\xFF\x00`)}},
		{"controls", "a\x00b\x1b[2Jc\x7f", []Segment{plain("a"), special(`\x00`), plain("b"), special(`\x1B`), plain("[2Jc"), special(`\x7F`)}},
		{"carriage return", "safe\rEVIL\r\n", []Segment{plain("safe"), special(`\x0D`), plain("EVIL"), special(`\x0D`), plain("\n")}},
		{"bidi", "a\u202eb\u2066\u200f", []Segment{plain("a"), special("⟨U+202E⟩"), plain("b"), special("⟨U+2066⟩⟨U+200F⟩")}},
		{"typed mark", "⟨U+202E⟩", []Segment{plain("⟨U+202E⟩")}},
		{"zero width", "a\u200bb\u2060", []Segment{plain("a"), special("⟨U+200B⟩"), plain("b"), special("⟨U+2060⟩")}},
		{"separators", "\u2028\u2029", []Segment{special("⟨U+2028⟩⟨U+2029⟩")}},
		{"byte order mark", "\ufeff<html>", []Segment{special("⟨U+FEFF⟩"), plain("<html>")}},
		{"C1 control", "\u0085x", []Segment{special("⟨U+0085⟩"), plain("x")}},
		{"tag characters", "a\U000e0041\U000e007f", []Segment{plain("a"), special("⟨U+E0041⟩⟨U+E007F⟩")}},
		{"fillers", "\u3164\u115f\u034f", []Segment{special("⟨U+3164⟩⟨U+115F⟩⟨U+034F⟩")}},
		{"lone surrogate", "\xed\xa0\x80", []Segment{special(`\xED\xA0\x80`)}},
		{"overlong", "\xc0\xaf", []Segment{special(`\xC0\xAF`)}},
		{"sent replacement character", "a\ufffd", []Segment{plain("a\ufffd")}},
		{"arabic number sign is visible", "\u0600", []Segment{plain("\u0600")}},
		{"emoji selector", "❤\ufe0f", []Segment{plain("❤\ufe0f")}},
		{"hidden selectors", "❤\ufe0f\ufe0f \ufe0f", []Segment{plain("❤\ufe0f"), special("⟨U+FE0F⟩"), plain(" "), special("⟨U+FE0F⟩")}},
		{"selector behind nothing", "\ufe0f", []Segment{special("⟨U+FE0F⟩")}},
		{"other selectors", "a\ufe01\U000e0100", []Segment{plain("a"), special("⟨U+FE01⟩⟨U+E0100⟩")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Text([]byte(tc.in), TextLimit)
			if diff := cmp.Diff(tc.want, got.Segments); diff != "" {
				t.Errorf("segments (-want +got):\n%s", diff)
			}
			if got.Truncated() || got.Total != len(tc.in) {
				t.Errorf("Shown = %d, Total = %d, want %d of both", got.Shown, got.Total, len(tc.in))
			}
		})
	}
}

func TestTextLimits(t *testing.T) {
	for _, tc := range []struct {
		name  string
		in    string
		limit int
		shown int
	}{
		{"fits", "abc", 3, 3},
		{"bytes", "abcd", 3, 3},
		{"not through a character", "aé", 2, 1},
		{"not through a long character", "a👍", 4, 1},
		{"through bytes that are none", "\x80\x80\x80\x80\x80\x80\x80\x80", 6, 3},
		{"one line of 1 MB", strings.Repeat("x", 1<<20), TextLimit, TextLimit},
		{"100,000 lines", strings.Repeat("x\n", 100_000), TextLimit, 2 * maxLines},
		{"as many lines as there may be", strings.Repeat("\n", maxLines), TextLimit, maxLines},
		{"one line more", strings.Repeat("\n", maxLines+1), TextLimit, maxLines},
		{"segments", strings.Repeat("a\x00", maxSegments), TextLimit, maxSegments},
		{"one segment of many marks", strings.Repeat("\x00", TextLimit), TextLimit, TextLimit},
		{"empty, no room", "", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Text([]byte(tc.in), tc.limit)
			if got.Shown != tc.shown || got.Total != len(tc.in) || got.Truncated() != (tc.shown < len(tc.in)) {
				t.Errorf("Shown %d, Total %d, Truncated %v; want %d of %d", got.Shown, got.Total, got.Truncated(), tc.shown, len(tc.in))
			}
			if len(got.Segments) > maxSegments {
				t.Errorf("%d segments", len(got.Segments))
			}
		})
	}
}

func TestInline(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []Segment
	}{
		{"ascii", "text/html; charset=utf-8", []Segment{plain("text/html; charset=utf-8")}},
		{"empty", "", []Segment{plain("")}},
		{"tab stays", "a\tb", []Segment{plain("a\tb")}},
		{"line feed is marked", "a\nb", []Segment{plain("a"), special(`\x0A`), plain("b")}},
		{"latin-1", "caf\xe9", []Segment{plain("caf"), special(`\xE9`)}},
		{"as long as may be", strings.Repeat("x", maxInline), []Segment{plain(strings.Repeat("x", maxInline))}},
		{"longer", strings.Repeat("x", maxInline+1234), []Segment{plain(strings.Repeat("x", maxInline)), special("… 1,234 bytes more")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Inline(tc.in)); diff != "" {
				t.Errorf("segments (-want +got):\n%s", diff)
			}
		})
	}
}

// hostile are bodies and values that have hurt viewers elsewhere; every fuzz target starts from them. They
// are short, because the fuzzer spends its time on making long ones shorter; limits have tests of their own.
var hostile = []string{
	`<script>__xss=1</script>`,
	`"><img src=x onerror=__xss=1>`,
	`' onmouseover='__xss=1`,
	`</textarea></pre></title></style></script><script>__xss=1</script>`,
	"JaVa\tScript:__xss=1", `data:text/html,<script>`,
	`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg onload="__xss=1">&e;</svg>`,
	"\xEF\xBB\xBF<html>", "\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00", "+ADw-script+AD4-",
	"%PDF-1.7 /JS (app.alert(1))", "GIF89a<script>__xss=1</script>", "PK\x03\x04",
	`{{7*7}} ${7*7} <%=1%>`, "{\"a\":\"\u2028\u2029\"}",
	`<base href=//evil>`, `<style>@import"//evil"</style>`,
	"\x1b[2J\rover\u202eevil\u2066\x00", strings.Repeat("l\r\n", 20),
	strings.Repeat("[", maxJSONDepth+1), strings.Repeat(`{"a":`, maxJSONDepth+1), `{"__proto__":{"":1},"__proto__":2}`,
	"\x1f\x8b\x08\x00\x00\x00\x00\x00", "\x28\xb5\x2f\xfd", strings.Repeat("\xff\x00a", 20),
}

// FuzzText checks that segments hide nothing: what is plain is safe to show, and put together again it is the input.
func FuzzText(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s), 1000)
	}
	f.Fuzz(func(t *testing.T, body []byte, limit int) {
		limit = max(0, min(limit, TextLimit))
		v := Text(body, limit)
		if v.Shown > limit || v.Total != len(body) || len(v.Segments) > maxSegments {
			t.Fatalf("shown %d of limit %d, total %d of %d, %d segments", v.Shown, limit, v.Total, len(body), len(v.Segments))
		}
		size := 0
		rest := string(body[:v.Shown])
		for i, s := range v.Segments {
			size += len(s.Text)
			if !utf8.ValidString(s.Text) || s.Text == "" {
				t.Fatalf("segment %q", s.Text)
			}
			if i > 0 && s.Special == v.Segments[i-1].Special {
				t.Fatalf("segments %d and %d are of one sort", i-1, i)
			}
			if s.Special {
				rest = rest[specialPrefix(rest):]
				continue
			}
			if n := strings.IndexFunc(s.Text, func(r rune) bool { return r != '\n' && r != '\t' && r < ' ' || isBidi(r) }); n >= 0 {
				t.Fatalf("plain segment %q", s.Text)
			}
			var ok bool
			if rest, ok = strings.CutPrefix(rest, s.Text); !ok {
				t.Fatalf("segment %q is not what comes next in %q", s.Text, rest)
			}
		}
		if rest != "" {
			t.Fatalf("%q is in no segment", rest)
		}
		if size > 8*v.Shown {
			t.Fatalf("%d bytes from %d", size, v.Shown)
		}
	})
}

// isBidi lists by hand what mark finds by tables.
func isBidi(r rune) bool {
	return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || 0x200b <= r && r <= 0x200f || r == 0x061c || r == 0xfeff
}

// specialPrefix returns the length of what a special segment stands for at the start of s.
func specialPrefix(s string) int {
	_, n := markRun(s, false, "")
	return n
}

func BenchmarkText(b *testing.B) {
	for name, body := range map[string]string{
		"ascii":   strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 6000)[:TextLimit],
		"chinese": strings.Repeat("敏捷的棕色狐狸跳过懒狗\n", 8000)[:TextLimit],
		"nul":     strings.Repeat("\x00", TextLimit),
		"mixed":   strings.Repeat("a\xff", TextLimit/2),
		"bidi":    strings.Repeat("\u202e\u200b", TextLimit/6),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				Text(in, TextLimit)
			}
		})
	}
}

func BenchmarkInline(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Inline("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	}
}
