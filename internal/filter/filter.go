// Package filter decides whether a subscription wants a request.
//
// Conditions are decided when the request is captured: a capture URL may have two hundred subscriptions, so the facts of
// a request are made once, and a condition costs a comparison. A jq program is run later, by the worker, because a
// stranger's megabytes of JSON must not be parsed before the answer.
package filter

import (
	"bytes"
	"mime"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// globBody is how many bytes of a body a glob looks at; what a body is or contains is looked for in all of it.
const globBody = 1 << 20

// Facts is what conditions ask of one request. What has to be parsed is parsed when the first condition asks. It is for
// one goroutine.
type Facts struct {
	request   *hook.Request
	path      string
	mediaType string // parsed when hasType
	hasType   bool
	query     []param
	hasQuery  bool
}

type param struct{ name, value string }

// NewFacts returns the facts of a request, which must not change meanwhile.
func NewFacts(r *hook.Request) *Facts { return &Facts{request: r, path: r.SubPath()} }

// Match returns which rule of f refuses the request, an index into f.Rules, or hook.Delivered when none does. f must have
// been normalized. Its jq program is not looked at.
func (x *Facts) Match(f *hook.Filter) (rule int) {
	if !f.Any {
		for i := range f.Conditions {
			if !x.holds(&f.Conditions[i]) {
				return i
			}
		}
		return hook.Delivered
	}
	for i := range f.Conditions {
		if x.holds(&f.Conditions[i]) {
			return hook.Delivered
		}
	}
	if len(f.Conditions) == 0 {
		return hook.Delivered
	}
	return 0
}

func (x *Facts) holds(c *hook.Condition) bool {
	if name, ok := strings.CutPrefix(c.Field, hook.HeaderField); ok {
		return x.header(name, c)
	}
	if name, ok := strings.CutPrefix(c.Field, hook.QueryField); ok {
		return x.parameter(name, c)
	}
	switch c.Field {
	case "method":
		return compare(c, x.request.Method)
	case "path":
		return compare(c, x.path)
	case "content_type":
		return x.contentType(c)
	case "body":
		return x.body(c)
	}
	return false
}

// header compares every value of a header: one that fits is enough, and one that equals is too much for is_not.
func (x *Facts) header(name string, c *hook.Condition) bool {
	for i := range x.request.Headers {
		if h := &x.request.Headers[i]; h.Name == name {
			if c.Op == hook.OpExists {
				return true
			}
			if compare(c, h.Value) != (c.Op == hook.OpIsNot) {
				return c.Op != hook.OpIsNot
			}
		}
	}
	return c.Op == hook.OpIsNot
}

func (x *Facts) parameter(name string, c *hook.Condition) bool {
	for _, p := range x.parameters() {
		if p.name == name {
			if c.Op == hook.OpExists {
				return true
			}
			if compare(c, p.value) != (c.Op == hook.OpIsNot) {
				return c.Op != hook.OpIsNot
			}
		}
	}
	return c.Op == hook.OpIsNot
}

// parameters decodes the query as forms write it. What is no valid escape stays as it is.
func (x *Facts) parameters() []param {
	if x.hasQuery {
		return x.query
	}
	x.hasQuery = true
	for pair := range strings.SplitSeq(x.request.Query, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			x.query = append(x.query, param{unescape(name), unescape(value)})
		}
	}
	return x.query
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// contentType compares the media type, without parameters and in lower case, for is and is_not; the whole value otherwise.
func (x *Facts) contentType(c *hook.Condition) bool {
	if c.Op != hook.OpIs && c.Op != hook.OpIsNot {
		return compare(c, x.request.ContentType)
	}
	if !x.hasType {
		x.hasType = true
		x.mediaType, _, _ = mime.ParseMediaType(x.request.ContentType)
		if x.mediaType == "" {
			x.mediaType = strings.ToLower(strings.TrimSpace(x.request.ContentType))
		}
	}
	return strings.EqualFold(x.mediaType, c.Value) == (c.Op == hook.OpIs)
}

func (x *Facts) body(c *hook.Condition) bool {
	body := x.request.Body
	switch c.Op {
	case hook.OpIs, hook.OpIsNot:
		return (string(body) == c.Value) == (c.Op == hook.OpIs)
	case hook.OpContains:
		return bytes.Contains(body, []byte(c.Value))
	case hook.OpGlob:
		return glob([]byte(c.Value), body[:min(len(body), globBody)])
	}
	return len(body) > 0
}

// compare decides one value; a value that is empty does not exist.
func compare(c *hook.Condition, value string) bool {
	switch c.Op {
	case hook.OpIs:
		return value == c.Value
	case hook.OpIsNot:
		return value != c.Value
	case hook.OpContains:
		return strings.Contains(value, c.Value)
	case hook.OpGlob:
		return glob(c.Value, value)
	}
	return value != ""
}

// glob reports whether pattern fits all of text: * stands for any bytes, ? for any one byte, everything else for itself.
// It only ever goes back to the last star, so that its time is bounded by the product of both lengths.
func glob[T ~string | ~[]byte](pattern, text T) bool {
	p, star, retry := 0, -1, 0
	for i := 0; i < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
