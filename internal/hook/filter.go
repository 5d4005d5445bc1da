package hook

import (
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Filter says which requests of a capture URL a subscription wants. The zero Filter wants them all.
type Filter struct {
	Any        bool        // one condition is enough; otherwise all have to hold
	Conditions []Condition // decided when the request is captured
	JQ         string      // a jq program whose output decides on a JSON body, when it is delivered; "" = none
}

// Condition is one line of a filter.
type Condition struct {
	Field string // method, path (the sub-path), content_type, body, header.NAME or query.NAME
	Op    Op
	Value string // nothing for OpExists
}

// Op compares a field with a value.
type Op string

// The operators of a condition.
const (
	OpIs       Op = "is"
	OpIsNot    Op = "is_not"
	OpContains Op = "contains"
	OpGlob     Op = "glob" // * stands for any text, ? for any one character
	OpExists   Op = "exists"
)

// Ops lists the operators in the order in which forms offer them.
var Ops = []Op{OpIs, OpIsNot, OpContains, OpGlob, OpExists}

// The prefixes of fields that carry a name.
const (
	HeaderField = "header."
	QueryField  = "query."
)

// IsZero reports whether the filter wants every request.
func (f Filter) IsZero() bool { return len(f.Conditions) == 0 && f.JQ == "" }

// Normalize brings the names of headers into their canonical form, as requests have them.
func (f *Filter) Normalize() {
	for i, c := range f.Conditions {
		if name, ok := strings.CutPrefix(c.Field, HeaderField); ok {
			f.Conditions[i].Field = HeaderField + textproto.CanonicalMIMEHeaderKey(name)
		}
		if c.Op == OpExists {
			f.Conditions[i].Value = ""
		}
	}
}

// Rules returns, in words, what may refuse a request: for "all" each condition, for "any" the conditions together. A
// refusal names one of them by its index.
func (f Filter) Rules() []string { return f.rules(Condition.String) }

func (f Filter) rules(say func(Condition) string) []string {
	words := make([]string, len(f.Conditions))
	for i, c := range f.Conditions {
		words[i] = say(c)
	}
	if f.Any && len(words) > 1 {
		return []string{anyOf + strings.Join(words, "; ")}
	}
	return words
}

// String returns the condition as the API names it: header.X-Topic is "orders/create". It is stored with what it refused, see
// WhySkipped.
func (c Condition) String() string {
	words := c.Field + " " + c.Op.label()
	if c.Op == OpExists {
		return words
	}
	return words + " " + strconv.Quote(c.Value)
}

func (o Op) label() string { return strings.ReplaceAll(string(o), "_", " ") }

// validate does not read the jq program: package filter does.
func (f Filter) validate(v *invalid) {
	if len(f.Conditions) > MaxConditions {
		v.add("filter", "has more than %d conditions", MaxConditions)
		return
	}
	list := "filter.all" // as the API names it
	if f.Any {
		list = "filter.any"
	}
	for i, c := range f.Conditions {
		c.validate(v, list+"["+strconv.Itoa(i)+"]")
	}
	if len(f.JQ) > MaxJQ {
		v.add("filter.jq", "is longer than %d bytes", MaxJQ)
	}
	if !utf8.ValidString(f.JQ) {
		v.add("filter.jq", "is not valid UTF-8")
	}
}

func (c Condition) validate(v *invalid, location string) {
	header, isHeader := strings.CutPrefix(c.Field, HeaderField)
	query, isQuery := strings.CutPrefix(c.Field, QueryField)
	switch {
	case isHeader && !ValidHeaderName(header):
		v.add(location+".field", "needs the name of a header behind header.")
	case isQuery && query == "":
		v.add(location+".field", "needs the name of a parameter behind query.")
	case isHeader, isQuery:
	case c.Field != "method" && c.Field != "path" && c.Field != "content_type" && c.Field != "body":
		v.add(location+".field", "must be method, path, content_type, body, header.NAME or query.NAME")
	}
	if len(c.Field) > MaxConditionField {
		v.add(location+".field", "is longer than %d bytes", MaxConditionField)
	}
	switch c.Op {
	case OpIs, OpIsNot, OpExists:
	case OpContains, OpGlob:
		if c.Value == "" {
			v.add(location+".value", "is empty: every request would match")
		}
	default:
		v.add(location+".op", "must be is, is_not, contains, glob or exists")
	}
	if len(c.Value) > MaxConditionValue {
		v.add(location+".value", "is longer than %d bytes", MaxConditionValue)
	}
}
