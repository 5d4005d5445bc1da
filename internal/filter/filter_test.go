package filter

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

func order() *hook.Request {
	return &hook.Request{
		Summary: hook.Summary{
			Method: "POST", Path: "/in/shop/orders/created", Query: "topic=a+b&topic=c%2Fd&bad=%zz&empty=",
			ContentType: "Application/JSON; charset=utf-8",
		},
		Headers: []hook.Header{{Name: "X-Topic", Value: "orders/create"}, {Name: "X-Topic", Value: "second"}, {Name: "X-Empty"}},
		Body:    []byte(`{"amount":42,"note":"café"}`),
	}
}

func TestConditions(t *testing.T) {
	for _, tc := range []struct {
		field string
		op    hook.Op
		value string
		want  bool
	}{
		{"method", hook.OpIs, "POST", true},
		{"method", hook.OpIs, "post", false},
		{"method", hook.OpIsNot, "PUT", true},
		{"path", hook.OpIs, "/orders/created", true},
		{"path", hook.OpGlob, "/orders/*", true},
		{"path", hook.OpGlob, "/orders", false},
		{"path", hook.OpContains, "der", true},
		{"header.X-Topic", hook.OpIs, "second", true},
		{"header.X-Topic", hook.OpIs, "third", false},
		{"header.X-Topic", hook.OpIsNot, "second", false},
		{"header.X-Topic", hook.OpIsNot, "third", true},
		{"header.X-Topic", hook.OpGlob, "orders/*", true},
		{"header.X-Topic", hook.OpExists, "", true},
		{"header.X-Empty", hook.OpExists, "", true},
		{"header.X-None", hook.OpExists, "", false},
		{"header.X-None", hook.OpIsNot, "a", true},
		{"header.X-None", hook.OpContains, "a", false},
		{"query.topic", hook.OpIs, "a b", true},
		{"query.topic", hook.OpIs, "c/d", true},
		{"query.topic", hook.OpIsNot, "c/d", false},
		{"query.bad", hook.OpIs, "%zz", true},
		{"query.empty", hook.OpExists, "", true},
		{"query.none", hook.OpExists, "", false},
		{"content_type", hook.OpIs, "application/json", true},
		{"content_type", hook.OpIsNot, "application/json", false},
		{"content_type", hook.OpContains, "charset=utf-8", true},
		{"content_type", hook.OpExists, "", true},
		{"body", hook.OpContains, `"amount":42`, true},
		{"body", hook.OpGlob, `{*caf?*}`, true},
		{"body", hook.OpIs, "", false},
		{"body", hook.OpIsNot, "", true},
		{"body", hook.OpExists, "", true},
	} {
		f := hook.Filter{Conditions: []hook.Condition{{Field: tc.field, Op: tc.op, Value: tc.value}}}
		want := hook.Delivered
		if !tc.want {
			want = 0
		}
		if got := NewFacts(order(), math.MaxInt).Match(&f); got != want {
			t.Errorf("%s: rule %d, want %d", f.Conditions[0], got, want)
		}
	}
	empty := &hook.Request{Summary: hook.Summary{Path: "/in/shop"}}
	for _, field := range []string{"path", "content_type", "body"} {
		f := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: hook.OpExists}}}
		if got := NewFacts(empty, math.MaxInt).Match(&f); got != 0 {
			t.Errorf("%s exists in an empty request", field)
		}
	}
}

// TestAllAndAny: of all conditions the first that fails is named, of any all of them together.
func TestAllAndAny(t *testing.T) {
	yes, no := hook.Condition{Field: "method", Op: hook.OpIs, Value: "POST"}, hook.Condition{Field: "method", Op: hook.OpIs, Value: "PUT"}
	for _, tc := range []struct {
		filter hook.Filter
		want   int
	}{
		{hook.Filter{}, hook.Delivered},
		{hook.Filter{Any: true}, hook.Delivered},
		{hook.Filter{Conditions: []hook.Condition{yes, yes}}, hook.Delivered},
		{hook.Filter{Conditions: []hook.Condition{yes, no}}, 1},
		{hook.Filter{Any: true, Conditions: []hook.Condition{no, yes}}, hook.Delivered},
		{hook.Filter{Any: true, Conditions: []hook.Condition{no, no}}, 0},
		{hook.Filter{Any: true, Conditions: []hook.Condition{no}}, 0},
	} {
		got := NewFacts(order(), math.MaxInt).Match(&tc.filter)
		if got != tc.want {
			t.Errorf("%+v: rule %d, want %d", tc.filter, got, tc.want)
		}
		if rules := tc.filter.Rules(); got >= len(rules) {
			t.Errorf("%+v: rule %d of %d", tc.filter, got, len(rules))
		}
	}
}

// TestGlobIsLinear: patterns that fit nearly everywhere. Looking again from each byte takes 1.5 s for each of these on one
// body, looking on where the last look ended takes a millisecond, sixteen with long pieces of question marks.
func TestGlobIsLinear(t *testing.T) {
	body := []byte(strings.Repeat("a", globBody))
	start := time.Now()
	for _, pattern := range []string{
		"*" + strings.Repeat("a", 1000) + "b", "*" + strings.Repeat("a", 1000) + "b*", "*b" + strings.Repeat("a", 1000) + "*",
		strings.Repeat("*a", 500) + "*b", "*" + strings.Repeat("a?", 500) + "b*", strings.Repeat("*a?", 300) + "*b?*",
		"*" + strings.Repeat("?", 500) + "b" + strings.Repeat("?", 500) + "*",
	} {
		for range 3 {
			if glob(pattern, body) {
				t.Fatalf("%.20s…: there is no b", pattern)
			}
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("21 patterns took %v", took)
	}
	body = append(bytes.Repeat([]byte("x"), globBody), "needle"...)
	f := hook.Filter{Conditions: []hook.Condition{{Field: "body", Op: hook.OpGlob, Value: "*needle"}}}
	if got := NewFacts(&hook.Request{Body: body}, math.MaxInt).Match(&f); got != 0 {
		t.Error("a glob looks at more than its part of the body")
	}
}

// TestFindAny: pieces of one word, of several, and of just as many as fit.
func TestFindAny(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(n int, from string) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = from[random.IntN(len(from))]
		}
		return string(b)
	}
	for size := 1; size < 200; size++ {
		text, piece := pick(1000, "aaab"), "?"+pick(size-1, "aaaaaaaaaaa???????")
		want := 0
		for want <= len(text)-size && !fits(piece, text[want:]) {
			want++
		}
		if want > len(text)-size {
			want = -1
		}
		if got := findAny(piece, text); got != want {
			t.Errorf("%q is found at %d, want %d", piece, got, want)
		}
		if got := findAny(piece, []byte(text)); got != want {
			t.Errorf("%q is found at %d of bytes, want %d", piece, got, want)
		}
	}
}

// TestWorkIsBounded: what conditions look at is counted, and what there is no work left for is decided by those that cost
// nothing, or not at all.
func TestWorkIsBounded(t *testing.T) {
	r := order()
	r.Body = []byte(strings.Repeat("a", 1000))
	long := hook.Condition{Field: "body", Op: hook.OpContains, Value: "b"}
	cheap := hook.Condition{Field: "method", Op: hook.OpIs, Value: "POST"}
	wrong := hook.Condition{Field: "method", Op: hook.OpIs, Value: "PUT"}
	question := hook.Condition{Field: "body", Op: hook.OpGlob, Value: "*?" + strings.Repeat("a", 63) + "b*"} // two words a byte, and 1,024 to begin
	for _, tc := range []struct {
		any        bool
		conditions []hook.Condition
		work, want int
	}{
		{false, []hook.Condition{long}, 1000, 0},
		{false, []hook.Condition{long}, 999, hook.Undecided},
		{false, []hook.Condition{question}, 3024, 0},
		{false, []hook.Condition{question}, 3023, hook.Undecided},
		{false, []hook.Condition{cheap, long}, 0, hook.Undecided},
		{false, []hook.Condition{long, wrong}, 0, 1},
		{true, []hook.Condition{long, long, wrong}, 2000, 0},
		{true, []hook.Condition{long, long, wrong}, 1999, hook.Undecided},
		{true, []hook.Condition{long, cheap}, 0, hook.Delivered},
		{false, []hook.Condition{{Field: "path", Op: hook.OpContains, Value: "orders"}}, 14, hook.Undecided},
		{false, []hook.Condition{{Field: "header.X-Topic", Op: hook.OpGlob, Value: "z*"}}, 18, hook.Undecided},
		{false, []hook.Condition{{Field: "query.topic", Op: hook.OpIs, Value: "z"}}, 3, hook.Undecided},
		{false, []hook.Condition{{Field: "header.X-Topic", Op: hook.OpIs, Value: "z"}}, len(r.Headers), 0},
		{false, []hook.Condition{{Field: "header.X-Topic", Op: hook.OpIs, Value: "z"}}, len(r.Headers) - 1, hook.Undecided},
		{false, []hook.Condition{{Field: "body", Op: hook.OpIs, Value: strings.Repeat("b", 1000)}}, 1000, 0},
		{false, []hook.Condition{{Field: "body", Op: hook.OpIsNot, Value: strings.Repeat("b", 1000)}}, 999, hook.Undecided},
	} {
		f := hook.Filter{Any: tc.any, Conditions: tc.conditions}
		if got := NewFacts(r, tc.work).Match(&f); got != tc.want {
			t.Errorf("%s with work for %d bytes: rule %d, want %d", f.Rules(), tc.work, got, tc.want)
		}
	}
}

// TestMatchMakesNothing: a condition that refuses costs no allocation, whatever it looks at.
func TestMatchMakesNothing(t *testing.T) {
	x := NewFacts(order(), math.MaxInt)
	for _, field := range []string{"method", "path", "content_type", "body", "header.X-Topic", "query.topic"} {
		for _, op := range hook.Ops {
			f := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: op, Value: "*st?r*zz*"}}}
			x.Match(&f) // may read the query, once
			if n := testing.AllocsPerRun(10, func() { x.Match(&f) }); n > 0 {
				t.Errorf("%s %s: %v allocations", field, op, n)
			}
		}
	}
}

// FuzzGlob compares with a matcher that is plainly right, and slow.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("**", "")
	f.Add("a?*?b*c?", "axxbcxcy")
	f.Add("*?a?b*?", "aaabb")
	f.Add("*a*a*a", "aaaaaaab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern)*len(text) > 1<<16 {
			return
		}
		if got := glob(pattern, []byte(text)); got != glob(pattern, text) {
			t.Errorf("glob(%q, %q) of bytes = %v", pattern, text, got)
		}
		if got, want := glob(pattern, text), slowGlob(pattern, text); got != want {
			t.Errorf("glob(%q, %q) = %v, want %v", pattern, text, got, want)
		}
	})
}

// slowGlob goes through the pattern with the beginnings of the text that match what was read of it.
func slowGlob(pattern, text string) bool {
	matches := make([]bool, len(text)+1)
	matches[0] = true
	for _, p := range []byte(pattern) {
		next := make([]bool, len(text)+1)
		for i := range next {
			if p == '*' {
				next[i] = matches[i] || i > 0 && next[i-1]
			} else {
				next[i] = i > 0 && matches[i-1] && (p == '?' || p == text[i-1])
			}
		}
		matches = next
	}
	return matches[len(text)]
}

// FuzzFacts: nothing that a stranger sends makes a condition fall over, and is_not is the opposite of is where there is
// one value.
func FuzzFacts(f *testing.F) {
	f.Add("POST", "/in/a/b", "a=%4", "text/plain; a=\"", "x")
	f.Fuzz(func(t *testing.T, method, path, query, contentType, value string) {
		r := &hook.Request{Summary: hook.Summary{Method: method, Path: path, Query: query, ContentType: contentType}, Body: []byte(query)}
		for _, field := range []string{"method", "path", "content_type", "body", "query.a", "header.A"} {
			for _, op := range hook.Ops {
				is := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: op, Value: value}}}
				got := NewFacts(r, math.MaxInt).Match(&is)
				if op != hook.OpIs {
					continue
				}
				not := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: hook.OpIsNot, Value: value}}}
				if (got == hook.Delivered) == (NewFacts(r, math.MaxInt).Match(&not) == hook.Delivered) && field != "query.a" {
					t.Errorf("%s of %+v: is and is_not %q agree", field, r.Summary, value)
				}
			}
		}
	})
}

// BenchmarkMatch100 is what a capture URL with a hundred subscriptions pays for each request that none of them wants.
func BenchmarkMatch100(b *testing.B) {
	filters := make([]hook.Filter, 100)
	for i := range filters {
		filters[i].Conditions = []hook.Condition{{Field: "header.X-Topic", Op: hook.OpIs, Value: fmt.Sprintf("topic/%d", i)}}
	}
	r := order()
	b.ReportAllocs()
	for b.Loop() {
		x := NewFacts(r, hook.FilterWork)
		for i := range filters {
			if x.Match(&filters[i]) == hook.Delivered {
				b.Fatal("it matches")
			}
		}
	}
}
