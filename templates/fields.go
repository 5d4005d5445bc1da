package templates

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// field is an input of a form.
type field struct {
	ID           string // and its name
	Label        string
	Type         string // of the input, "" is text
	Value        string
	Hint         string
	Problem      string
	Autocomplete string
	Placeholder  string
	Required     bool
	Autofocus    bool
	Mono         bool
	MaxLength    string
	MinLength    string
	InputMode    string
}

func (f field) inputType() string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

// attributes returns what an input has besides name, type and value: only what is set, and the texts that describe it.
func (f field) attributes() templ.Attributes {
	a := describedBy(f.ID, f.Hint, f.Problem)
	for name, value := range map[string]string{
		"autocomplete": f.Autocomplete, "placeholder": f.Placeholder, "inputmode": f.InputMode,
		"maxlength": f.MaxLength, "minlength": f.MinLength,
	} {
		if value != "" {
			a[name] = value
		}
	}
	a["required"], a["autofocus"] = f.Required, f.Autofocus
	return a
}

// describedBy ties the hint and the problem of a control to its field.
func describedBy(id, hint, problem string) templ.Attributes {
	a := templ.Attributes{}
	described := ""
	if hint != "" {
		described = id + "-hint"
	}
	if problem != "" {
		described = id + "-problem " + described
		a["aria-invalid"] = "true"
	}
	if described != "" {
		a["aria-describedby"] = described
	}
	return a
}

// without returns the mistakes whose locations are not among those shown beside their fields.
func (e FieldErrors) without(shown []string) FieldErrors {
	return slices.DeleteFunc(slices.Clone(e), func(f hook.FieldError) bool {
		location, _, _ := strings.Cut(f.Location, "[")
		return location == "" || slices.Contains(shown, location)
	})
}

// headerProblems returns what is wrong with headers, which share one field: each with its name as it was typed, because nobody
// counts lines. Their locations begin with the one of the field.
func headerProblems(errors FieldErrors, location, typed string) string {
	var found []string
	for _, f := range errors {
		if f.Location == location {
			found = append(found, f.Message)
		}
		if i, ok := headerIndex(f.Location, location); ok {
			found = append(found, "header "+headerLabel(typed, i)+" "+f.Message)
		}
	}
	return strings.Join(found, "; ")
}

// headerIndex reads a location like headers[2].value.
func headerIndex(location, field string) (int, bool) {
	rest, found := strings.CutPrefix(location, field+"[")
	if !found {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "]")
	i, err := strconv.Atoi(digits)
	return i, err == nil
}

const maxLabel = 40 // bytes of a name in a sentence

// headerLabel returns the name of the i-th header of those typed one a line, its number when it has no name.
func headerLabel(typed string, i int) string {
	before := i
	for line := range strings.Lines(typed) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if before--; before >= 0 {
			continue
		}
		name, _, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); name != "" {
			return strconv.Quote(hook.Clip(name, maxLabel))
		}
		return "without a name"
	}
	return strconv.Itoa(i + 1)
}
