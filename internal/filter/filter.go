// Package filter decides whether a subscription wants a request.
//
// Conditions are decided when the request is captured: a capture URL may have two hundred subscriptions, so the facts of
// a request are made once, and a condition costs a comparison. What takes longer than the sender should wait is left to
// the worker, which decides when it delivers: a jq program always, because a stranger's megabytes of JSON must not be
// parsed before the answer, and conditions on a request that has used up hook.FilterWork.
package filter

import (
	"bytes"
	"mime"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// globBody is how many bytes of a body a glob looks at; what a body is or contains is looked for in all of it.
const globBody = 1 << 20

// shortText is how many bytes are compared so fast that they are not counted: those of a method, and of most values.
const shortText = 64

// Facts is what conditions ask of one request. What has to be parsed is parsed when the first condition asks. It is for
// one goroutine.
type Facts struct {
	request   *hook.Request
	path      string
	mediaType string // parsed when hasType
	hasType   bool
	query     []param
	hasQuery  bool
	work      int  // that may still be done, in bytes to look at
	gaveUp    bool // the condition at hand asks for more
}

type param struct{ name, value string }

// NewFacts returns the facts of a request, which must not change meanwhile, for conditions that look at as many bytes of
// it as work says: hook.FilterWork while a sender waits, math.MaxInt when nobody does.
func NewFacts(r *hook.Request, work int) *Facts {
	return &Facts{request: r, path: r.SubPath(), work: work}
}

// Match returns which rule of f refuses the request, an index into f.Rules, or hook.Delivered when none does. It is
// hook.Undecided when that hangs on conditions that there was no work left for. f must have been normalized. Its jq program
// is not looked at.
func (x *Facts) Match(f *hook.Filter) (rule int) {
	undecided := false
	for i := range f.Conditions {
		holds := x.holds(&f.Conditions[i])
		switch {
		case x.gaveUp:
			undecided, x.gaveUp = true, false
		case holds != f.Any:
		case f.Any:
			return hook.Delivered
		default:
			return i
		}
	}
	switch {
	case undecided:
		return hook.Undecided
	case f.Any && len(f.Conditions) > 0:
		return 0
	}
	return hook.Delivered
}

// afford takes work out of what is left. Where it is too much the condition stays undecided; cheaper ones may still be
// decided.
func (x *Facts) afford(work int) bool {
	if work > x.work {
		x.gaveUp = true
		return false
	}
	x.work -= work
	return true
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
		return x.compare(c, x.request.Method)
	case "path":
		return x.compare(c, x.path)
	case "content_type":
		return x.contentType(c)
	case "body":
		return x.body(c)
	}
	return false
}

// header compares every value of a header: one that fits is enough, and one that equals is too much for is_not.
func (x *Facts) header(name string, c *hook.Condition) bool {
	if !x.afford(len(x.request.Headers)) {
		return false
	}
	for i := range x.request.Headers {
		if h := &x.request.Headers[i]; x.same(h.Name, name) {
			if c.Op == hook.OpExists {
				return true
			}
			if x.compare(c, h.Value) != (c.Op == hook.OpIsNot) {
				return c.Op != hook.OpIsNot
			}
		}
	}
	return c.Op == hook.OpIsNot
}

func (x *Facts) parameter(name string, c *hook.Condition) bool {
	if !x.afford(len(x.parameters())) {
		return false
	}
	for _, p := range x.parameters() {
		if x.same(p.name, name) {
			if c.Op == hook.OpExists {
				return true
			}
			if x.compare(c, p.value) != (c.Op == hook.OpIsNot) {
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
		return x.compare(c, x.request.ContentType)
	}
	if !x.hasType {
		x.hasType = true
		x.mediaType, _, _ = mime.ParseMediaType(x.request.ContentType)
		if x.mediaType == "" {
			x.mediaType = strings.ToLower(strings.TrimSpace(x.request.ContentType))
		}
	}
	if !x.afford(min(len(x.mediaType), len(c.Value))) {
		return false
	}
	return strings.EqualFold(x.mediaType, c.Value) == (c.Op == hook.OpIs)
}

func (x *Facts) body(c *hook.Condition) bool {
	body := x.request.Body
	switch c.Op {
	case hook.OpIs, hook.OpIsNot:
		return (len(body) == len(c.Value) && x.same(string(body), c.Value)) == (c.Op == hook.OpIs)
	case hook.OpContains:
		return x.afford(len(body)) && bytes.Contains(body, []byte(c.Value))
	case hook.OpGlob:
		body = body[:min(len(body), globBody)]
		return x.afford(globWork(c.Value, len(body))) && glob(c.Value, body)
	}
	return len(body) > 0
}

// compare decides one value; a value that is empty does not exist.
func (x *Facts) compare(c *hook.Condition, value string) bool {
	switch c.Op {
	case hook.OpIs:
		return x.same(value, c.Value)
	case hook.OpIsNot:
		return !x.same(value, c.Value)
	case hook.OpExists:
		return value != ""
	}
	return x.search(c, value)
}

// same reports whether two texts are equal. Long ones of one length are work, up to where they differ.
func (x *Facts) same(a, b string) bool {
	return len(a) == len(b) && (len(a) <= shortText || x.afford(len(a))) && a == b
}

func (x *Facts) search(c *hook.Condition, value string) bool {
	if c.Op == hook.OpContains {
		return x.afford(len(value)) && strings.Contains(value, c.Value)
	}
	return x.afford(globWork(c.Value, len(value))) && glob(c.Value, value)
}
