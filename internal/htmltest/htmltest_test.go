package htmltest

import (
	"slices"
	"testing"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	d := Parse(t, `<main id="m"><p class="a b">one <b>two</b></p><p class="b" data-x="1">three</p></main><p>four</p>`)
	for selector, want := range map[string][]string{
		"p":              {"one two", "three", "four"},
		"main p":         {"one two", "three"},
		".b":             {"one two", "three"},
		"p.a.b":          {"one two"},
		"#m [data-x]":    {"three"},
		"p[data-x=1]":    {"three"},
		"p[data-x=2]":    nil,
		"main#m p.a b":   {"two"},
		"main main":      nil,
		"body main p b ": {"two"},
	} {
		if got := d.Texts(selector); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", selector, got, want)
		}
	}
}
