package hook

import (
	"strconv"
	"strings"
)

// opWords are what an operator says of a field, and what it says when that is not so.
var opWords = map[Op][2]string{
	OpIs:       {"is", "is not"},
	OpIsNot:    {"is not", "is"},
	OpContains: {"contains", "does not contain"},
	OpGlob:     {"matches", "does not match"},
	OpExists:   {"exists", "does not exist"},
}

// Words returns the condition as people say it: header X-Topic is "orders/create".
func (c Condition) Words() string { return c.say(0) }

// Unmet says that the condition does not hold: content type does not contain "json".
func (c Condition) Unmet() string { return c.say(1) }

func (c Condition) say(what int) string {
	field := c.Field
	if name, ok := strings.CutPrefix(field, HeaderField); ok {
		field = "header " + name
	} else if name, ok := strings.CutPrefix(field, QueryField); ok {
		field = "query parameter " + name
	} else if field == "content_type" {
		field = "content type"
	}
	words := field + " " + opWords[c.Op][what]
	if c.Op == OpExists {
		return words
	}
	return words + " " + strconv.Quote(c.Value)
}

// Words returns the rules as people say them, without the jq program.
func (f Filter) Words() []string { return f.rules(Condition.Words) }

const (
	anyOf   = "any of: "
	jqRule  = "jq: "
	cutMark = "…" // see Clip
)

// WhySkipped makes of the rule that said no, as it is stored, a sentence that says why. What is no rule stays as it is.
func WhySkipped(rule string) string {
	if program, ok := strings.CutPrefix(rule, jqRule); ok {
		if strings.HasPrefix(program, "the body ") { // see filter.Program: that is no program
			return program
		}
		return "jq said no: " + program
	}
	list, any := strings.CutPrefix(rule, anyOf)
	conditions, ok := parseConditions(list, any)
	switch {
	case !ok && (any || strings.HasSuffix(rule, cutMark)):
		return "does not fulfil: " + rule
	case !ok:
		return rule
	case !any:
		return conditions[0].Unmet()
	}
	words := make([]string, len(conditions))
	for i, c := range conditions {
		words[i] = c.Words()
	}
	return "none of these holds: " + strings.Join(words, "; ")
}

// parseConditions reads what Condition.String wrote; of several, with semicolons between.
func parseConditions(text string, several bool) (all []Condition, ok bool) {
	for {
		c, rest, ok := cutCondition(text, several)
		if !ok {
			return nil, false
		}
		all = append(all, c)
		if rest == "" {
			return all, true
		}
		text = rest[len("; "):]
	}
}

// cutCondition reads the first condition of a text. A field may have spaces in it, and the words of an operator: behind those of
// its own stands the value.
func cutCondition(text string, several bool) (c Condition, rest string, ok bool) {
	for at := 0; at < len(text); at++ {
		if text[at] != ' ' {
			continue
		}
		for _, op := range Ops {
			behind, found := strings.CutPrefix(text[at+1:], op.label())
			if !found {
				continue
			}
			c := Condition{Field: text[:at], Op: op}
			if op != OpExists {
				quoted, err := strconv.QuotedPrefix(strings.TrimPrefix(behind, " "))
				if err != nil || behind[0] != ' ' {
					continue
				}
				c.Value, _ = strconv.Unquote(quoted)
				behind = behind[1+len(quoted):]
			}
			if behind == "" || several && strings.HasPrefix(behind, "; ") {
				return c, behind, true
			}
		}
	}
	return c, "", false
}
