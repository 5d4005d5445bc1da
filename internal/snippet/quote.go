package snippet

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quote returns s as one word for a POSIX shell: as it is, in single quotes, or, when it cannot be shown, as what
// printf makes of escapes. That last way loses line feeds at the end of s; no method, target or header has any.
func quote(s string) string {
	switch {
	case s != "" && strings.IndexFunc(s, func(c rune) bool { return !isAlphanumeric(c) && c != '-' }) < 0:
		return s
	case isPlain(s):
		return singleQuote(s)
	}
	return `"$(printf ` + printfFormat(s) + `)"`
}

// singleQuote returns s in single quotes, between which a shell changes nothing.
func singleQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// isPlain reports whether s can stand in single quotes as it is: it survives a terminal, where a tab asks for
// completions and a carriage return ends the line, and it can be read. At a prompt some shells look into the second
// line of a quoted string, though not into the first, for what calls up the history: ! anywhere, ^ at its start.
func isPlain(s string) bool {
	if strings.Contains(s, "\n") && strings.ContainsAny(s, "!^") {
		return false
	}
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) < 0
}

// isText reports whether s is for people to read, if need be with some escapes.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// printfFormat returns s as a format for printf, in single quotes. POSIX has \n, \r, \t and \ddd with three octal
// digits; everything that quotes, shells or printf could take for something else is written in digits.
func printfFormat(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case i == 0 && r == '-', r == utf8.RuneError && size == 1, !unicode.IsPrint(r), strings.ContainsRune(`'\%!`, r):
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	b.WriteByte('\'')
	return b.String()
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
