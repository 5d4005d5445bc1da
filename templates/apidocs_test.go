package templates

import (
	"strings"
	"testing"
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
	operations := sampleOperations()
	operations[0].Description, operations[0].Parameters[0].Description, operations[0].Statuses[1].Description = "`a`", "`b`", "`c`"
	if page := render(t, APIDocs(sub(), operations)); strings.Contains(page, "`") {
		t.Error("a mark of Markdown is shown")
	}
}
