package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// text puts lines together again.
func text(lines [][]Token) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, token := range line {
			b.WriteString(token.Text)
		}
	}
	return b.String()
}

func TestJSONLayout(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []string // lines
	}{
		{"scalar", ` 1 `, []string{"1"}},
		{
			"object", `{"a":1,"b":[true,false,null]}`,
			[]string{"{", `  "a": 1,`, `  "b": [`, "    true,", "    false,", "    null", "  ]", "}"},
		},
		{"empty ones", `{ "a" : { } , "b" : [ ] }`, []string{"{", `  "a": {},`, `  "b": []`, "}"}},
		{
			"numbers stay", `[1.0,12345678901234567890,1E400,-0,0.10e+05]`,
			[]string{"[", "  1.0,", "  12345678901234567890,", "  1E400,", "  -0,", "  0.10e+05", "]"},
		},
		{
			"strings stay", `["\u00e9","é","\/","\ud800","a\"b\\"]`,
			[]string{"[", `  "\u00e9",`, `  "é",`, `  "\/",`, `  "\ud800",`, `  "a\"b\\"`, "]"},
		},
		{
			"doubles and order stay", `{"b":1,"a":2,"b":3,"":4,"__proto__":5}`,
			[]string{"{", `  "b": 1,`, `  "a": 2,`, `  "b": 3,`, `  "": 4,`, `  "__proto__": 5`, "}"},
		},
		{"bytes that are no UTF-8", "[\"\xe9\"]", []string{"[", "  \"\xe9\"", "]"}},
		{"byte order mark", "\ufeff[]", []string{"\ufeff[]"}},
		{"lines", "{\"a\":1}\n\n[2]\r\n3\n", []string{"{", `  "a": 1`, "}", "[", "  2", "]", "3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines, err := JSON([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, strings.Split(text(lines), "\n")); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONTokens(t *testing.T) {
	lines, err := JSON([]byte(`{"a":["b",-1.5,true]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]Token{
		{{Punct, "{"}},
		{{Space, "  "}, {Key, `"a"`}, {Punct, ": "}, {Punct, "["}},
		{{Space, "    "}, {String, `"b"`}, {Punct, ","}},
		{{Space, "    "}, {Number, "-1.5"}, {Punct, ","}},
		{{Space, "    "}, {Literal, "true"}},
		{{Space, "  "}, {Punct, "]"}},
		{{Punct, "}"}},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestJSONErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "line 1, column 1: the text ends where a value was expected",
		" \n ":                 "line 2, column 2: the text ends where a value was expected",
		"<html>":               "line 1, column 1: a value was expected",
		"{\n\"é\": 1,\n}":      "line 3, column 1: a name in double quotes was expected",
		"{\"a\":\n\"é\" 1}":    "line 2, column 5: a comma or } was expected",
		"[1 2]":                "line 1, column 4: a comma or ] was expected",
		"[1,]":                 "line 1, column 4: a value was expected",
		"[1":                   "line 1, column 3: the text ends where a comma or ] was expected",
		`{"a" 1}`:              "line 1, column 6: a colon was expected",
		`{a:1}`:                "line 1, column 2: a name in double quotes was expected",
		`['a']`:                "line 1, column 2: a value was expected",
		`["a`:                  "line 1, column 4: the text ends where a closing quote was expected",
		"[\"a\nb\"]":           "line 1, column 4: a control character stands in a string",
		"[\"a\x00b\"]":         "line 1, column 4: a control character stands in a string",
		`["\x41"]`:             "line 1, column 4: one of \"\\/bfnrtu was expected after a backslash",
		`["\`:                  "line 1, column 4: the text ends where one of \"\\/bfnrtu was expected after a backslash",
		`["\u12g4"]`:           `line 1, column 7: four hexadecimal digits were expected after \u`,
		"01":                   "line 1, column 2: nothing more was expected",
		"-":                    "line 1, column 2: the text ends where a digit was expected",
		"1.":                   "line 1, column 3: the text ends where a digit was expected",
		".5":                   "line 1, column 1: a value was expected",
		"1e+":                  "line 1, column 4: the text ends where a digit was expected",
		"+1":                   "line 1, column 1: a value was expected",
		"NaN":                  "line 1, column 1: a value was expected",
		"nulls":                "line 1, column 5: nothing more was expected",
		`{"a":1}{"a":2}`:       "line 1, column 8: nothing more was expected",
		"{\"a\":1}\ngarbage":   "line 2, column 1: a value was expected",
		"[1,\u00a02]":          "line 1, column 4: a value was expected",
		"// comment\n{}":       "line 1, column 1: a value was expected",
		"{\"a\":1}\x00":        "line 1, column 8: nothing more was expected",
		"[\x00]":               "line 1, column 2: a value was expected",
		"\ufeff\ufeff{}":       "line 1, column 2: a value was expected",
		"{\"a\": tru}":         "line 1, column 7: a value was expected",
		"--boundary\r\nfoo: b": "line 1, column 2: a digit was expected",
	} {
		_, err := JSON([]byte(in))
		if err == nil || err.Error() != "not JSON: "+want {
			t.Errorf("JSON(%q): %v\nwant not JSON: %s", in, err, want)
		}
	}
}

func TestJSONLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	numbers := func(n int) string { return "[" + strings.Repeat("1,", n-1) + "1]" }
	for _, tc := range []struct {
		name, in, want string
	}{
		{"as deep as may be", nested(maxJSONDepth), ""},
		{"one deeper", nested(maxJSONDepth + 1), "deeper than 128 levels: shown as text"},
		{"10,000 deep and without end", strings.Repeat("[", 10_000), "deeper than 128 levels: shown as text"},
		{"10,000 objects deep", strings.Repeat(`{"a":`, 10_000), "deeper than 128 levels: shown as text"},
		{"as many values as may be", numbers(maxJSONNodes - 1), ""},
		{"one more", numbers(maxJSONNodes), "more than 20,000 values: shown as text"},
		{"lines of them", strings.Repeat("1\n", maxJSONNodes+1), "more than 20,000 values: shown as text"},
		{"a million members", "{" + strings.Repeat(`"a":1,`, 150_000) + `"a":1}`, "more than 20,000 values: shown as text"},
		{"as large as may be", `"` + strings.Repeat("x", maxJSON-2) + `"`, ""},
		{"one byte more", `"` + strings.Repeat("x", maxJSON-1) + `"`, "larger than 1.0 MiB: shown as text"},
		{
			"mostly indentation", strings.Repeat("[", 120) + numbers(5000) + strings.Repeat("]", 120),
			"more than 8 times its size when indented: shown as text",
		},
		{
			"all marks", `"` + strings.Repeat("a\x7f", maxSegments) + `"`,
			"too many characters that cannot be shown as they are: shown as text",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Now()
			lines, err := JSON([]byte(tc.in))
			if got := errorText(err); got != tc.want {
				t.Errorf("error %q, want %q", got, tc.want)
			}
			if (lines == nil) != (tc.want != "") {
				t.Errorf("%d lines", len(lines))
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzViewJSON compares with encoding/json: both take and refuse the same documents, and the lines say what was sent.
func FuzzViewJSON(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"a":[1.50,-0,1e9,"\u00e9\n",true,false,null,{},[]],"a":{"":""}}`))
	f.Add([]byte("{\"a\":1}\n[2]\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		start := time.Now()
		lines, err := JSON(body)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("took %v for %d bytes", took, len(body))
		}
		if err != nil {
			if json.Valid(body) && strings.HasPrefix(err.Error(), "not JSON") {
				t.Fatalf("%v, and encoding/json takes it", err)
			}
			return
		}
		got := text(lines)
		if len(got) > max(maxJSONGrowth*len(body), minJSONOutput) {
			t.Fatalf("%d bytes from %d", len(got), len(body))
		}
		if _, documents, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n")); len(documents) == 0 && body[0] != 0xEF && !json.Valid(body) {
			t.Fatal("encoding/json refuses it")
		}
		if squeeze(got) != squeeze(string(body)) {
			t.Fatalf("lines say\n%q\nof\n%q", got, body)
		}
	})
}

// squeeze removes the white space that stands between tokens.
func squeeze(s string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inString && c == '\\':
			b.WriteByte(c)
			i++
		case c == '"':
			inString = !inString
		case !inString && strings.IndexByte(jsonSpace, c) >= 0:
			continue
		}
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func BenchmarkJSON(b *testing.B) {
	record := `{"id":"evt_1Q8xY2LkdIwHu7ix0gPQ","type":"invoice.payment_failed","created":1795427526,"data":{"object":{"amount":12900,"paid":false}}},`
	for name, body := range map[string]string{
		"2KB":    "[" + strings.Repeat(record, 14) + "0]",
		"300KB":  "[" + strings.Repeat(record, 2200) + "0]",
		"string": `"` + strings.Repeat("x", maxJSON-2) + `"`,
		"deep":   strings.Repeat("[", 10_000),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = JSON(in)
			}
		})
	}
}
