package view

import (
	"bytes"
)

// Limits of a form view.
const (
	maxFields     = 1_000
	maxFieldBytes = TextLimit // of all names and values together
)

// Field is one field of a form or of a query, in the place where it was sent.
type Field struct {
	Name, Value string // decoded; raw: see Inline
	// Undecoded is set when the name or the value has a percent sign without two hexadecimal digits behind it. That
	// one is then as it was sent.
	Undecoded bool
	Cut       int // bytes of name and value that are not shown
}

// FormView is the beginning of a form or of a query.
type FormView struct {
	Fields []Field
	Total  int // number of fields that were sent
}

// Truncated reports whether there are fields that are not shown.
func (v FormView) Truncated() bool { return len(v.Fields) < v.Total }

// Query reads a raw query, without its question mark. See Form.
func Query(raw string) FormView { return Form([]byte(raw)) }

// Form reads an application/x-www-form-urlencoded body as browsers write it: fields between &, + for a space, percent
// escapes. A semicolon divides nothing, and what stands twice is shown twice. It shows at most 1,000 fields of 256 KiB
// in all.
func Form(body []byte) FormView {
	var v FormView
	room := maxFieldBytes
	for len(body) > 0 {
		var pair []byte
		pair, body, _ = bytes.Cut(body, []byte{'&'})
		if len(pair) == 0 {
			continue
		}
		v.Total++
		if len(v.Fields) == maxFields || room == 0 {
			continue // count the rest
		}
		field := formField(pair, room)
		room -= len(field.Name) + len(field.Value)
		v.Fields = append(v.Fields, field)
		if field.Cut > 0 {
			room = 0
		}
	}
	return v
}

func formField(pair []byte, room int) Field {
	rawName, rawValue, _ := bytes.Cut(pair, []byte{'='})
	name, nameSize, nameOK := unescape(rawName, room)
	value, valueSize, valueOK := unescape(rawValue, room-len(name))
	return Field{
		Name: name, Value: value, Undecoded: !nameOK || !valueOK,
		Cut: nameSize + valueSize - len(name) - len(value),
	}
}

// unescape decodes raw, or returns it as it is when an escape is broken. It returns at most room bytes of the result,
// and the size of the whole.
func unescape(raw []byte, room int) (text string, size int, ok bool) {
	out := make([]byte, 0, min(len(raw), room+1))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(raw) || !isHexDigit(raw[i+1]) || !isHexDigit(raw[i+2]) {
				return string(cut(raw, room)), len(raw), false
			}
			c = hexValue(raw[i+1])<<4 | hexValue(raw[i+2])
			i += 2
		}
		if size++; len(out) <= room { // one more than fits, so that cut sees where a character ends
			out = append(out, c)
		}
	}
	return string(cut(out, room)), size, true
}

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
