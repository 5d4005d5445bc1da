package filter

import (
	"fmt"
	"strings"
	"testing"

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
		if got := NewFacts(order()).Match(&f); got != want {
			t.Errorf("%s: rule %d, want %d", f.Conditions[0], got, want)
		}
	}
	empty := &hook.Request{Summary: hook.Summary{Path: "/in/shop"}}
	for _, field := range []string{"path", "content_type", "body"} {
		f := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: hook.OpExists}}}
		if got := NewFacts(empty).Match(&f); got != 0 {
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
		got := NewFacts(order()).Match(&tc.filter)
		if got != tc.want {
			t.Errorf("%+v: rule %d, want %d", tc.filter, got, tc.want)
		}
		if rules := tc.filter.Rules(); got >= len(rules) {
			t.Errorf("%+v: rule %d of %d", tc.filter, got, len(rules))
		}
	}
}

// TestGlobIsBounded: patterns that make other matchers go back and forth for ever.
func TestGlobIsBounded(t *testing.T) {
	pattern := strings.Repeat("*a", 500) + "*b"
	if glob(pattern, strings.Repeat("a", 100_000)) {
		t.Error("it does not end in b")
	}
	body := []byte(strings.Repeat("x", globBody) + "needle")
	f := hook.Filter{Conditions: []hook.Condition{{Field: "body", Op: hook.OpGlob, Value: "*needle"}}}
	if got := NewFacts(&hook.Request{Body: body}).Match(&f); got != 0 {
		t.Error("a glob looks at more than its part of the body")
	}
}

// FuzzGlob compares with a matcher that is plainly right, and slow.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("**", "")
	f.Add("*a*a*a", "aaaaaaab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 24 {
			return
		}
		if got, want := glob(pattern, text), slowGlob(pattern, text); got != want {
			t.Errorf("glob(%q, %q) = %v, want %v", pattern, text, got, want)
		}
	})
}

func slowGlob(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], text) || text != "" && slowGlob(pattern, text[1:])
	}
	return text != "" && (pattern[0] == '?' || pattern[0] == text[0]) && slowGlob(pattern[1:], text[1:])
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
				got := NewFacts(r).Match(&is)
				if op != hook.OpIs {
					continue
				}
				not := hook.Filter{Conditions: []hook.Condition{{Field: field, Op: hook.OpIsNot, Value: value}}}
				if (got == hook.Delivered) == (NewFacts(r).Match(&not) == hook.Delivered) && field != "query.a" {
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
		x := NewFacts(r)
		for i := range filters {
			if x.Match(&filters[i]) == hook.Delivered {
				b.Fatal("it matches")
			}
		}
	}
}
