package hook

import (
	"testing"
)

// TestWhySkipped: the rule that said no is told as what is not so, whatever fields and values look like.
func TestWhySkipped(t *testing.T) {
	for rule, want := range map[string]string{
		Condition{"content_type", OpContains, "json"}.String():           `content type does not contain "json"`,
		Condition{"method", OpIs, "PUT"}.String():                        `method is not "PUT"`,
		Condition{"method", OpIsNot, "GET"}.String():                     `method is "GET"`,
		Condition{"path", OpGlob, "/orders/*"}.String():                  `path does not match "/orders/*"`,
		Condition{"header.X-Topic", OpExists, ""}.String():               `header X-Topic does not exist`,
		Condition{`query.a is "b"; c`, OpIs, `x is "y" exists`}.String(): `query parameter a is "b"; c is not "x is \"y\" exists"`,
		Condition{"body", OpContains, "a; body exists\n\x00é"}.String():  `body does not contain "a; body exists\n\x00é"`,
		Condition{"query.is not", OpIsNot, ""}.String():                  `query parameter is not is ""`,
		Condition{"body", OpIs, ` is "a"`}.String() + cutMark:            `does not fulfil: body is " is \"a\""…`,
		"jq: .a == 1": `jq said no: .a == 1`,
		"jq: the body is not JSON: unexpected EOF": "the body is not JSON: unexpected EOF",
		"the body was over the limit":              "the body was over the limit",
		"any of: " + cutMark:                       "does not fulfil: any of: …",
		"":                                         "",
		" is":                                      " is",
		"a is":                                     "a is",
		Filter{Any: true, Conditions: []Condition{{"method", OpIs, "PUT"}, {"content_type", OpExists, ""}}}.Rules()[0]: `none of these holds: method is "PUT"; content type exists`,
	} {
		if got := WhySkipped(rule); got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
}

func FuzzWhySkipped(f *testing.F) {
	f.Add("content_type", "contains", "json")
	f.Fuzz(func(t *testing.T, field, op, value string) {
		c := Condition{field, Op(op), value}
		WhySkipped(field + value)
		if v := (invalid{}); opWords[c.Op][0] != "" {
			if c.validate(&v, ""); v.err() == nil && c.Op != OpExists && c.Field[:4] != "quer" && WhySkipped(c.String()) != c.Unmet() {
				t.Errorf("%s: %s", c.String(), WhySkipped(c.String()))
			}
		}
	})
}
