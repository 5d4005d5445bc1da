package view

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a JSON view. What is beyond them is shown as text.
const (
	maxJSON      = 1 << 20
	maxJSONDepth = 128
	maxJSONNodes = 20_000 // objects, arrays and values
	// Indentation may blow up what is deeply nested: the lines have at most maxJSONGrowth times the size of the body.
	// minJSONOutput is enough for what is small, however deep it goes.
	maxJSONGrowth = 8
	minJSONOutput = 64 << 10
)

// TokenKind says what a Token is, for its colour.
type TokenKind uint8

// The kinds of tokens.
const (
	Punct   TokenKind = iota // brackets, comma, colon and space
	Key                      // a string that names a member
	String                   // any other string
	Number                   //
	Literal                  // true, false, null
	Space                    // the indentation of a line, spaces
)

// Token is a piece of a line of JSON. Keys, strings and numbers are the bytes that were sent, with their quotes and
// escapes: 1.0 stays 1.0 and 12345678901234567890 keeps all its digits.
type Token struct {
	Kind TokenKind
	Text string // raw: see Inline
}

// JSON lays out body line by line, with every member in its place, doubled ones too. It reads the grammar of RFC 8259
// without leniency, except that a byte order mark may stand in front and that strings may hold bytes that are no UTF-8.
// Documents that follow on lines of their own (NDJSON) come one after the other.
//
// The error says in words why there are no lines: "not JSON: line 3, column 7: a comma or ] was expected", or "deeper
// than 128 levels: shown as text".
func JSON(body []byte) ([][]Token, error) { return NewRoom().JSON(body) }

// JSON is JSON as a part of a page, from which it takes the room of what cannot be shown as it is.
func (r *Room) JSON(body []byte) ([][]Token, error) {
	if len(body) > maxJSON {
		return nil, fmt.Errorf("larger than %s: shown as text", Size(maxJSON))
	}
	p := jsonPrinter{src: string(body), budget: max(maxJSONGrowth*len(body), minJSONOutput)}
	segments, shown := mark(p.src, len(body)+1, min(r.segments, maxSegments))
	if shown < len(body) {
		return nil, errors.New("too many characters that cannot be shown as they are: shown as text")
	}
	if err := p.documents(); err != nil {
		return nil, err
	}
	if p.budget < 0 {
		return nil, errJSONGrowth
	}
	r.take(segments, 0)
	return p.lines(), nil
}

var errJSONGrowth = fmt.Errorf("more than %d times its size when indented: shown as text", maxJSONGrowth)

const jsonSpace = " \t\r\n" // RFC 8259, section 2

// jsonPrinter reads src once and writes tokens as it goes.
type jsonPrinter struct {
	src    string
	pos    int
	nodes  int
	budget int // bytes that may still be written

	tokens []Token
	starts []int // index of the first token of each line
}

func (p *jsonPrinter) documents() error {
	p.newLine(0)
	if strings.HasPrefix(p.src, byteOrderMark) {
		p.pos = len(byteOrderMark)
		p.emit(Punct, byteOrderMark)
	}
	for {
		p.skipSpace()
		if err := p.value(0); err != nil {
			return err
		}
		end := p.pos
		p.skipSpace()
		switch {
		case p.pos == len(p.src):
			return nil
		case !strings.Contains(p.src[end:p.pos], "\n"):
			return p.syntaxError("nothing more was expected")
		}
		p.newLine(0)
	}
}

// value reads one value; depth is the number of objects and arrays around it.
func (p *jsonPrinter) value(depth int) error {
	if p.nodes++; p.nodes > maxJSONNodes {
		return fmt.Errorf("more than %s values: shown as text", Count(maxJSONNodes))
	}
	if p.budget < 0 {
		return errJSONGrowth
	}
	switch c := p.peek(); {
	case c == '{':
		return p.container(depth, '}', p.member)
	case c == '[':
		return p.container(depth, ']', p.value)
	case c == '"':
		return p.string(String)
	case c == '-', isDigit(c):
		return p.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(p.src[p.pos:], word) {
			p.take(Literal, len(word))
			return nil
		}
	}
	return p.syntaxError("a value was expected")
}

// container reads an object or an array up to its closing bracket, each item on a line of its own.
func (p *jsonPrinter) container(depth int, closing byte, item func(depth int) error) error {
	if depth == maxJSONDepth {
		return fmt.Errorf("deeper than %d levels: shown as text", maxJSONDepth)
	}
	p.take(Punct, 1)
	p.skipSpace()
	if p.peek() == closing {
		p.take(Punct, 1)
		return nil
	}
	for {
		p.newLine(depth + 1)
		if err := item(depth + 1); err != nil {
			return err
		}
		p.skipSpace()
		switch p.peek() {
		case ',':
			p.take(Punct, 1)
			p.skipSpace()
		case closing:
			p.newLine(depth)
			p.take(Punct, 1)
			return nil
		default:
			return p.syntaxError("a comma or " + string(closing) + " was expected")
		}
	}
}

func (p *jsonPrinter) member(depth int) error {
	if p.peek() != '"' {
		return p.syntaxError("a name in double quotes was expected")
	}
	if err := p.string(Key); err != nil {
		return err
	}
	p.skipSpace()
	if p.peek() != ':' {
		return p.syntaxError("a colon was expected")
	}
	p.pos++
	p.emit(Punct, ": ")
	p.skipSpace()
	return p.value(depth)
}

func (p *jsonPrinter) string(kind TokenKind) error {
	start := p.pos
	for p.pos++; p.pos < len(p.src); p.pos++ {
		switch c := p.src[p.pos]; {
		case c == '"':
			p.pos++
			p.emit(kind, p.src[start:p.pos])
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.syntaxError("a control character stands in a string")
		}
	}
	return p.syntaxError("a closing quote was expected")
}

// escape reads a backslash and what belongs to it, all but the last byte.
func (p *jsonPrinter) escape() error {
	p.pos++
	switch c := p.peek(); {
	case c == 'u':
		for range 4 {
			p.pos++
			if !isHexDigit(p.peek()) {
				return p.syntaxError(`four hexadecimal digits were expected after \u`)
			}
		}
	case c == 0 || strings.IndexByte(`"\/bfnrt`, c) < 0:
		return p.syntaxError(`one of "\/bfnrtu was expected after a backslash`)
	}
	return nil
}

func (p *jsonPrinter) number() error {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if !p.digits() {
		return p.syntaxError("a digit was expected")
	}
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			return p.syntaxError("a digit was expected")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return p.syntaxError("a digit was expected")
		}
	}
	p.emit(Number, p.src[start:p.pos])
	return nil
}

// digits steps over digits and reports whether there was one.
func (p *jsonPrinter) digits() bool {
	start := p.pos
	for isDigit(p.peek()) {
		p.pos++
	}
	return p.pos > start
}

// peek returns the next byte, 0 at the end.
func (p *jsonPrinter) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *jsonPrinter) skipSpace() {
	for p.pos < len(p.src) && strings.IndexByte(jsonSpace, p.src[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *jsonPrinter) take(kind TokenKind, n int) {
	p.emit(kind, p.src[p.pos:p.pos+n])
	p.pos += n
}

func (p *jsonPrinter) emit(kind TokenKind, text string) {
	p.budget -= len(text)
	p.tokens = append(p.tokens, Token{Kind: kind, Text: text})
}

const indent = "  "

var deepestIndent = strings.Repeat(indent, maxJSONDepth)

func (p *jsonPrinter) newLine(depth int) {
	p.budget--
	p.starts = append(p.starts, len(p.tokens))
	if depth > 0 {
		p.emit(Space, deepestIndent[:depth*len(indent)])
	}
}

func (p *jsonPrinter) lines() [][]Token {
	lines := make([][]Token, len(p.starts))
	for i, start := range p.starts {
		end := len(p.tokens)
		if i+1 < len(p.starts) {
			end = p.starts[i+1]
		}
		lines[i] = p.tokens[start:end:end]
	}
	return lines
}

// syntaxError says where reading stopped: line and column count from one, columns in characters.
func (p *jsonPrinter) syntaxError(message string) error {
	before := p.src[:p.pos]
	if p.pos == len(p.src) {
		message = "the text ends where " + message
	}
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return fmt.Errorf("not JSON: line %d, column %d: %s", strings.Count(before, "\n")+1,
		utf8.RuneCountInString(before[lineStart:])+1, message)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHexDigit(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
