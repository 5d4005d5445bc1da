package view

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Kind names a presentation of a body, in pages and in their addresses.
type Kind string

// The kinds, each with the function that makes it.
const (
	KindJSON      Kind = "json"      // JSON
	KindForm      Kind = "form"      // Form
	KindMultipart Kind = "multipart" // Multipart
	KindText      Kind = "text"      // Text
	KindHex       Kind = "hex"       // Hex
)

// Kinds returns the presentations to offer for the body of r, the best first. Text and hex are always among them; there
// are none when there is no body. It goes by the content type and looks at the first bytes: senders of webhooks often
// name no type or a wrong one.
func Kinds(r *hook.Request) []Kind {
	if len(r.Body) == 0 {
		return nil
	}
	mediaType := mediaType(r.ContentType)
	if isCompressed(r) {
		mediaType = "" // it tells what would come out
	}
	plain := []Kind{KindText, KindHex}
	if !looksLikeText(r.Body, isTextType(mediaType)) {
		plain = []Kind{KindHex, KindText}
	}
	switch {
	case isJSONType(mediaType), looksLikeJSON(r.Body):
		return append([]Kind{KindJSON}, plain...)
	case mediaType == "application/x-www-form-urlencoded":
		return append([]Kind{KindForm}, plain...)
	case strings.HasPrefix(mediaType, "multipart/"):
		return append([]Kind{KindMultipart}, plain...)
	}
	return plain
}

// mediaType returns the part of a Content-Type in front of its parameters, in lower case.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func isJSONType(mediaType string) bool {
	switch mediaType {
	case "application/json", "text/json", "application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/csp-report":
		return true
	}
	return strings.HasSuffix(mediaType, "+json")
}

func isTextType(mediaType string) bool {
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "/xml") ||
		strings.HasSuffix(mediaType, "+xml") || isJSONType(mediaType)
}

func isCompressed(r *hook.Request) bool {
	coding := strings.TrimSpace(r.Header("Content-Encoding"))
	return coding != "" && !strings.EqualFold(coding, "identity")
}

const byteOrderMark = "\uFEFF"

// looksLikeJSON reports whether body starts as JSON objects and arrays do.
func looksLikeJSON(body []byte) bool {
	rest := bytes.TrimLeft(bytes.TrimPrefix(body, []byte(byteOrderMark)), jsonSpace)
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == '[')
}

// looksLikeText reports whether the first 4 KiB of body are better read than dumped. Text is UTF-8 without NUL and the
// like; what says that it is text may have another encoding, as long as it has no NUL.
func looksLikeText(body []byte, declared bool) bool {
	sample := cut(body, 4<<10)
	if declared {
		return bytes.IndexByte(sample, 0) < 0
	}
	isBinary := func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1b", r) }
	return utf8.Valid(sample) && !bytes.ContainsFunc(sample, isBinary)
}
