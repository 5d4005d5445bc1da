package templates

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// ConditionRow is one line of a filter as it was typed. The n-th condition of a filter, and the mistakes in it, is the n-th line
// that is not blank: lines keep their places.
type ConditionRow struct {
	Field string // method, path, content_type, body, header or query; "" = none was chosen
	Name  string // of the header or the parameter
	Op    string
	Value string
}

// RowOf returns a condition as a line of the form.
func RowOf(c hook.Condition) ConditionRow {
	row := ConditionRow{Field: c.Field, Op: string(c.Op), Value: c.Value}
	for _, prefix := range []string{hook.HeaderField, hook.QueryField} {
		if name, ok := strings.CutPrefix(c.Field, prefix); ok {
			row.Field, row.Name = strings.TrimSuffix(prefix, "."), name
		}
	}
	return row
}

// Blank reports whether nothing was typed in a line, whatever its operator.
func (c ConditionRow) Blank() bool { return c.Field == "" && c.Name == "" && c.Value == "" }

// Condition returns what a line that is not blank asks for. What cannot be one has a field that no condition has.
func (c ConditionRow) Condition() hook.Condition {
	field := c.Field
	if c.named() || c.Name != "" {
		field += "." + c.Name
	}
	return hook.Condition{Field: field, Op: hook.Op(c.Op), Value: c.Value}
}

func (c ConditionRow) named() bool { return c.Field == "header" || c.Field == "query" }

// rowProblem is what is wrong with one line of a filter.
type rowProblem struct {
	id    string // of its message
	parts []string
	text  string // "" = nothing
}

// mark ties the message to a part of the line that it is about.
func (p rowProblem) mark(part string) templ.Attributes {
	if !slices.Contains(p.parts, part) {
		return nil
	}
	return templ.Attributes{"aria-invalid": "true", "aria-describedby": p.id}
}

// problemOf returns the mistakes in a line of the filter.
func (f SubscriptionForm) problemOf(row int) rowProblem {
	p := rowProblem{id: "condition-" + strconv.Itoa(row) + "-problem"}
	if f.Conditions[row].Blank() {
		return p
	}
	n := 0
	for _, c := range f.Conditions[:row] {
		if !c.Blank() {
			n++
		}
		if n == hook.MaxConditions { // no filter has more, however many lines were typed
			return p
		}
	}
	at := "[" + strconv.Itoa(n) + "]."
	var found []string
	for _, e := range f.Errors {
		list, part, inside := strings.Cut(e.Location, at)
		if !inside || list != "filter.all" && list != "filter.any" {
			continue
		}
		part, message := f.Conditions[row].explain(part, e.Message)
		p.parts, found = append(p.parts, part), append(found, message)
	}
	if len(found) > 0 {
		p.text = "condition " + strconv.Itoa(row+1) + " " + strings.Join(found, "; ")
	}
	return p
}

// explain says which part of a line a mistake is in. What the API has in one field, form and name, are two here.
func (c ConditionRow) explain(part, message string) (string, string) {
	switch {
	case part != "field":
		return part, message
	case c.Field == "":
		return "field", "has no field: choose one, or empty the line"
	case !c.named() && c.Name != "":
		return "name", "has a name, which only a header or a query parameter has: choose one of them, or empty the name"
	case c.named():
		return "name", strings.TrimSuffix(message, " behind "+c.Field+".")
	}
	return "field", message
}

func (f SubscriptionForm) filterOpen() bool {
	return f.JQ != "" || f.DryRun != nil || f.Added > 0 || f.opened("filter", "filter.all", "filter.any", "filter.jq") ||
		slices.ContainsFunc(f.Conditions, func(c ConditionRow) bool { return !c.Blank() })
}

// conditionFields are offered in the form; header and query take a name.
var conditionFields = []struct{ Value, Label string }{
	{"", "–"}, {"method", "method"}, {"path", "path"}, {"content_type", "content type"}, {"body", "body"}, {"header", "header"}, {"query", "query"},
}

func opLabel(op hook.Op) string { return strings.ReplaceAll(string(op), "_", " ") }
