package filter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	maxError  = 300    // bytes of an error's text
	maxDigits = 1000   // of a number: reading one takes the square of its length
	maxDepth  = 10_000 // of arrays and objects: the limit of encoding/json
)

// prelude bounds functions of jq for the program behind it, which can call the originals under no name: check refuses
// those of the prelude.
const prelude = `
def text_to_number: tonumber;
def tonumber:
  if type == "string" and utf8bytelength > 1000 then error("tonumber of a text of more than 1000 bytes")
  else text_to_number end;
def scalar_to_text: tostring;
def tostring:
  if type == "array" or type == "object" then error("tostring of an array or an object") else scalar_to_text end;
`

// Program is a jq condition that can be run. It is safe for concurrent use.
type Program struct {
	code *gojq.Code
}

// Compile reads a jq program. Errors are for whoever wrote it, in words, and repeat nothing of it but words of jq.
//
// Programs are jq as gojq understands it, less everything that makes a value: see check.
func Compile(jq string) (*Program, error) {
	if len(jq) > hook.MaxJQ {
		return nil, fmt.Errorf("the jq program is longer than %d bytes", hook.MaxJQ)
	}
	query, err := gojq.Parse(jq)
	if err != nil {
		return nil, errors.New("the jq program cannot be read" + unread(err, len(jq)))
	}
	if err := check(query); err != nil {
		return nil, fmt.Errorf("the jq program %w", err)
	}
	if query, err = gojq.Parse(prelude + jq); err != nil {
		return nil, errors.New("the jq program cannot be used")
	}
	code, err := gojq.Compile(query)
	if err != nil { // which check leaves no other reason for
		return nil, errors.New("the jq program uses a variable that it does not define")
	}
	return &Program{code}, nil
}

// unread says where a program stops making sense.
func unread(err error, size int) string {
	at, ok := errors.AsType[*gojq.ParseError](err)
	switch {
	case !ok:
		return ""
	case at.Offset >= size:
		return ": it is wrong at its end, or ends too early"
	}
	return fmt.Sprintf(": what ends at byte %d is not expected there", at.Offset)
}

// Match reports whether the first output of the program on a JSON body is neither false nor null. No output is no match.
//
// It takes 200 ms at most, and what one step of jq takes beyond that, which check keeps short. Errors are in words, of at
// most 300 bytes; that of ctx comes back as it is.
func (p *Program) Match(ctx context.Context, body []byte) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, hook.JQTime)
	defer cancel()
	value, err := parse(body)
	if err != nil {
		return false, &bodyError{shorten("the body ", err).Error(), errors.Is(err, errNotJSON)}
	}
	output, _ := p.code.RunWithContext(limited, value).Next()
	err, failed := output.(error)
	switch {
	case !failed:
		return output != nil && output != false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case limited.Err() != nil:
		return false, fmt.Errorf("the jq program took longer than %v", hook.JQTime)
	}
	return false, shorten("the jq program failed: ", err)
}

var errNotJSON = errors.New("is not JSON")

// bodyError says why a program cannot be run on a body.
type bodyError struct {
	text    string
	notJSON bool
}

func (e *bodyError) Error() string { return e.text }

// NotJSON reports whether an error of Match says that the body is no JSON: then a condition on JSON does not hold, while other
// errors leave open whether it does.
func NotJSON(err error) bool {
	e, ok := errors.AsType[*bodyError](err)
	return ok && e.notJSON
}

// bom is the mark that some senders put before their UTF-8. It says nothing, and encoding/json does not take it.
var bom = []byte("\ufeff")

// parse reads the one JSON value of a body. Its depth is bounded by encoding/json; of a key that is repeated the last value
// counts.
func parse(body []byte) (value any, err error) {
	if len(body) > hook.MaxJQBody {
		return nil, fmt.Errorf("is larger than %d bytes, the most that a jq program is run on", hook.MaxJQBody)
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, bom)))
	decoder.UseNumber()
	switch err := decoder.Decode(&value); {
	case err == nil:
	case tooDeep(err): // what is in there may well be JSON
		return nil, fmt.Errorf("is nested deeper than %d levels", maxDepth)
	default:
		return nil, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows its end", errNotJSON)
	}
	if longNumber(value) {
		return nil, fmt.Errorf("has a number of more than %d digits", maxDigits)
	}
	return value, nil
}

// tooDeep reports whether encoding/json gave up at its limit. It has no other mark than its text, to which a test holds it.
func tooDeep(err error) bool {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	return ok && strings.HasSuffix(syntax.Error(), "exceeded max depth")
}

func longNumber(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return len(v) > maxDigits
	case []any:
		return slices.ContainsFunc(v, longNumber)
	case map[string]any:
		for _, element := range v {
			if longNumber(element) {
				return true
			}
		}
	}
	return false
}

// shorten says what went wrong in at most maxError bytes: a program's own texts can be in it.
func shorten(prefix string, err error) error {
	text := prefix + err.Error()
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError-len("…")], "") + "…"
	}
	return errors.New(text)
}
