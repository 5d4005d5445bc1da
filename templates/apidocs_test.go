package templates

import (
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

// TestAPIText: the description of the API is Markdown, whose marks are no text of the page.
func TestAPIText(t *testing.T) {
	for text, want := range map[string]string{
		"No code.":                      "No code.",
		"A rule; `errors` says which.":  "A rule; <code>errors</code> says which.",
		"`original`, or (`a`: `b`) <i>": "<code>original</code>, or (<code>a</code>: <code>b</code>) &lt;i&gt;",
	} {
		if got := strings.TrimSpace(render(t, apiText(text))); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	ref := sampleReference()
	create := &ref.Groups[0].Operations[0]
	create.Description, create.Parameters[0].Description, create.Statuses[1].Description = "`a`", "`b`", "`c`"
	if page := render(t, APIDocs(sub(), "", ref)); strings.Contains(page, "`") {
		t.Error("a mark of Markdown is shown")
	}
}

// TestAPIFields: a field says what it can be, and leads to what it is described by.
func TestAPIFields(t *testing.T) {
	page := parse(t, APIDocs(sub(), "https://hooks.example", sampleReference()))
	text := func(e htmltest.Element) string { return strings.Join(strings.Fields(e.Text()), " ") }
	var got []string
	for _, row := range page.All("#create .fields tbody tr") {
		got = append(got, text(row))
	}
	want := []string{"limit query, integer requiredHow many.1 to 9.Default 5", "filter Filter", "op string One of is, is_not"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	page.One("#create .fields a[href=#object-filter]")
	page.One("#create .statuses a[href=#object-capture-url]")
	page.One("#object-capture-url")
	if got := page.One("#create .snippet button").Attr("data-copy"); got != "curl -d '{}' \\\n  'https://hooks.example/api/v1/capture-urls'" {
		t.Errorf("the command is %q", got)
	}
}
