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
		return slices.Contains(shown, location)
	})
}

// headers returns what is wrong with the headers of an answer, which share one field: each with its line.
func (e FieldErrors) headers() string {
	var found []string
	for _, f := range e {
		if f.Location == "response.headers" {
			found = append(found, f.Message)
		}
		if i, ok := headerIndex(f.Location); ok {
			found = append(found, "header "+strconv.Itoa(i+1)+" "+f.Message)
		}
	}
	return strings.Join(found, "; ")
}

// headerIndex reads a location like response.headers[2].value.
func headerIndex(location string) (int, bool) {
	rest, found := strings.CutPrefix(location, "response.headers[")
	if !found {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "]")
	i, err := strconv.Atoi(digits)
	return i, err == nil
}
