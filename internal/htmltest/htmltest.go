// Package htmltest reads HTML in tests, so that they ask for elements by selector and never search pages for pieces of
// text. It is test code only.
package htmltest

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Document is parsed HTML.
type Document struct {
	t    testing.TB
	root *html.Node
}

// Element is an element of a document.
type Element struct{ node *html.Node }

// Parse reads a page or a piece of one, as a browser does.
func Parse(t testing.TB, text string) Document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("html: %v", err)
	}
	return Document{t, root}
}

// All returns the elements that match a selector, in their order. A selector is one or more steps with spaces between
// them, each inside the one before: a name, "#id", ".class", "[attribute]", "[attribute=value]", or several of these
// together, like `a.link[href=/x]`. A value has no spaces.
func (d Document) All(selector string) []Element {
	found := []*html.Node{d.root}
	for _, step := range strings.Fields(selector) {
		match := parseStep(d.t, step)
		var next []*html.Node
		for _, outer := range found {
			for n := range outer.Descendants() {
				if n.Type == html.ElementNode && match(n) && !slices.Contains(next, n) {
					next = append(next, n)
				}
			}
		}
		found = next
	}
	elements := make([]Element, len(found))
	for i, n := range found {
		elements[i] = Element{n}
	}
	return elements
}

// One returns the only element that matches a selector; another number of them fails the test.
func (d Document) One(selector string) Element {
	d.t.Helper()
	found := d.All(selector)
	if len(found) != 1 {
		d.t.Fatalf("%d elements match %q, want 1", len(found), selector)
	}
	return found[0]
}

// Texts returns the texts of all elements that match a selector.
func (d Document) Texts(selector string) []string {
	var texts []string
	for _, e := range d.All(selector) {
		texts = append(texts, e.Text())
	}
	return texts
}

// Elements returns every element of the document.
func (d Document) Elements() []Element {
	var all []Element
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, Element{n})
		}
	}
	return all
}

// Name returns the name of the element in small letters.
func (e Element) Name() string { return e.node.Data }

// Text returns the text inside, with every run of white space as one space.
func (e Element) Text() string { return strings.Join(strings.Fields(e.RawText()), " ") }

// RawText returns the text inside as it is.
func (e Element) RawText() string {
	var b strings.Builder
	for n := range e.node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// Attr returns the value of an attribute, "" when the element does not have it.
func (e Element) Attr(name string) string {
	value, _ := attribute(e.node, name)
	return value
}

// Has reports whether the element has an attribute.
func (e Element) Has(name string) bool {
	_, found := attribute(e.node, name)
	return found
}

// Attributes returns the names of the element's attributes.
func (e Element) Attributes() []string {
	var names []string
	for _, a := range e.node.Attr {
		names = append(names, a.Key)
	}
	return names
}

func attribute(n *html.Node, name string) (value string, found bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// parseStep returns what a step of a selector asks of an element.
func parseStep(t testing.TB, step string) func(*html.Node) bool {
	var conditions []func(*html.Node) bool
	for rest := step; rest != ""; {
		var condition func(*html.Node) bool
		condition, rest = parseCondition(t, rest)
		conditions = append(conditions, condition)
	}
	return func(n *html.Node) bool {
		return !slices.ContainsFunc(conditions, func(c func(*html.Node) bool) bool { return !c(n) })
	}
}

func parseCondition(t testing.TB, text string) (condition func(*html.Node) bool, rest string) {
	if text[0] == '[' {
		inside, rest, closed := strings.Cut(text[1:], "]")
		if !closed {
			t.Fatalf("selector: no ] in %q", text)
		}
		name, want, valued := strings.Cut(inside, "=")
		return func(n *html.Node) bool {
			got, found := attribute(n, name)
			return found && (!valued || got == want)
		}, rest
	}
	end := strings.IndexAny(text[1:], ".#[") + 1
	if end == 0 {
		end = len(text)
	}
	word, rest := text[:end], text[end:]
	switch word[0] {
	case '#':
		return func(n *html.Node) bool { id, _ := attribute(n, "id"); return id == word[1:] }, rest
	case '.':
		return func(n *html.Node) bool {
			class, _ := attribute(n, "class")
			return slices.Contains(strings.Fields(class), word[1:])
		}, rest
	}
	return func(n *html.Node) bool { return n.Data == word }, rest
}
