package templates

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

// age returns how long ago t was, in one unit: "now", "14 s", "3 min", "2 h", "5 d"; from 30 days on the date. app.js
// (js/time.js) writes the same texts as time passes.
func age(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d < 30*24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	}
	return t.UTC().Format("2 Jan 2006")
}

// minuteTime returns t to the minute.
func minuteTime(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006, 15:04 UTC") }

// exactTime returns t to the microsecond, for the hover.
func exactTime(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006, 15:04:05.000000 UTC") }

// shortName returns the part of an e-mail address in front of the @.
func shortName(email string) string {
	name, _, _ := strings.Cut(email, "@")
	return name
}

// counted returns a number with its noun: "1 request", "1,204 requests".
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return view.Count(n) + " " + many
}

// sentence makes a message that continues the name of its field ("is empty") stand on its own.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	text := string(unicode.ToUpper(first)) + message[size:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// methodClass returns the class that colours a method; methods that nobody has heard of share one colour.
func methodClass(method string) string {
	switch m := strings.ToLower(method); m {
	case "get", "head", "post", "put", "patch", "delete", "options":
		return "method " + m
	}
	return "method"
}

// statusClass returns the class that colours a status.
func statusClass(status int) string {
	switch {
	case status < 400:
		return "good"
	case status < 500:
		return "warn"
	}
	return "bad"
}

// target returns what a list shows of where a request went: the path below /in/{slug} and the query.
func target(s *hook.Summary) string { return pathAndQuery(s.SubPath(), s.Query) }

func pathAndQuery(path, query string) string {
	if path == "" {
		path = "/"
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}

// slugPart splits a target behind /in/{slug}: the part that all requests of a capture URL have in common comes first.
func slugPart(s *hook.Summary) (common, rest string) {
	common = strings.TrimSuffix(s.Path, s.SubPath())
	return common, s.SubPath() + strings.TrimPrefix(s.Target(), s.Path)
}

// mediaType returns a Content-Type without its parameters.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(t)
}

// noBody says why there is nothing to show of a body.
func noBody(r *hook.Request) string {
	if r.Truncated {
		return "It was over the limit and was not kept."
	}
	return "There is none."
}

// bodyNote returns what a list says of the body: its type and size are told elsewhere.
func bodyNote(s *hook.Summary) string {
	switch {
	case s.Truncated:
		return "too large"
	case s.BodySize == 0:
		return "no body"
	}
	return view.Size(s.BodySize)
}

// viaAddr returns the socket's address when it is not the sender's, so that both are shown: a proxy stands between.
func viaAddr(s *hook.Summary) string {
	host, _, err := net.SplitHostPort(s.RemoteAddr)
	if err != nil {
		host = s.RemoteAddr
	}
	if host == "" || host == sender(s) {
		return ""
	}
	return s.RemoteAddr
}

// sender returns the address that a request came from, without the port.
func sender(s *hook.Summary) string {
	if s.ClientAddr != "" {
		return s.ClientAddr
	}
	if host, _, err := net.SplitHostPort(s.RemoteAddr); err == nil {
		return host
	}
	return s.RemoteAddr
}

// keptText says how full a capture URL is before it bites, by the limit that is nearer: "1,204 kept · oldest goes at 10,000",
// "1,204 kept · 812.0 MB, oldest goes at 1.1 GB".
func keptText(s hook.Stats, keep hook.Keep) string {
	text := view.Count(s.Kept) + " kept · "
	if float64(s.Bytes)/float64(keep.Bytes) > float64(s.Kept)/float64(keep.Requests) && s.Bytes > keep.Bytes/10 {
		return text + view.Size(s.Bytes) + ", oldest goes at " + view.Size(keep.Bytes)
	}
	return text + "oldest goes at " + view.Count(keep.Requests)
}

// fullText says how full a capture URL is, by all limits.
func fullText(s hook.Stats, keep hook.Keep) string {
	return "Now " + counted(s.Kept, "request", "requests") + " of " + view.Count(keep.Requests) + ", and " + view.Size(s.Bytes) + " of " +
		view.Size(keep.Bytes) + ". What is older than " + counted(keep.Days, "day", "days") + " goes, too."
}

// pair is a name with a value as a table shows it.
type pair struct{ Name, Value string }

func urlPath(id hook.ID) string { return "/urls/" + id.Text(hook.CaptureURLPrefix) }

func requestPath(captureURL, id hook.ID) string {
	return urlPath(captureURL) + "/requests/" + id.Text(hook.RequestPrefix)
}

// ownerText names the owner of a capture URL to whoever looks at it.
func ownerText(email string) string {
	if email == "" {
		return "you"
	}
	return email
}

func bodyHint(binary bool) string {
	if binary {
		return "The body is binary and was set through the API. It stays as it is while this field is empty."
	}
	return "At most " + number(hook.MaxResponseBody>>10) + " KiB."
}

const (
	rfc3339Micro     = "2006-01-02T15:04:05.000000Z07:00"
	overviewHexBytes = 512 // of a binary body beside its headers
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

// exactSize returns a size to the byte: "1,842 bytes", with the rounded one in front of it when that is shorter to read.
func exactSize(n int64) string {
	size := view.Size(n)
	if exact := counted(n, "byte", "bytes"); exact != size {
		return size + " (" + exact + ")"
	}
	return size
}

// ageLong is age in words: "14 seconds ago".
func ageLong(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return counted(int64(d/time.Second), "second", "seconds") + " ago"
	case d < time.Hour:
		return counted(int64(d/time.Minute), "minute", "minutes") + " ago"
	case d < 24*time.Hour:
		return counted(int64(d/time.Hour), "hour", "hours") + " ago"
	case d < 30*24*time.Hour:
		return counted(int64(d/(24*time.Hour)), "day", "days") + " ago"
	}
	return t.UTC().Format("2 Jan 2006, 15:04 UTC")
}

// protocolText returns "HTTP/1.1 · TLS 1.3"; https without a version is what a proxy told.
func protocolText(s *hook.Summary) string {
	switch {
	case s.TLS != "":
		return s.Proto + " · " + s.TLS
	case s.Scheme == "https":
		return s.Proto + " · https"
	}
	return s.Proto
}

// connectionPairs tells how a request arrived.
func connectionPairs(s *hook.Summary) []pair {
	pairs := []pair{
		{"Request line", s.Method + " " + s.Target() + " " + s.Proto},
		{"Host", s.Host},
		{"Scheme", s.Scheme},
		{"Received", exactTime(s.ReceivedAt)},
		{"Sender", sender(s)},
		{"Socket", s.RemoteAddr},
		{"Body framed by", map[bool]string{true: "chunks", false: "length"}[s.Chunked]},
	}
	if s.TLS != "" {
		pairs = append(pairs, pair{"Encryption", s.TLS})
	}
	return pairs
}

// answerPairs describes a configured answer.
func answerPairs(r hook.Response) []pair {
	pairs := []pair{{"Status", statusText(r.Status)}}
	if r.Delay > 0 {
		pairs = append(pairs, pair{"Delay", counted(r.Delay.Milliseconds(), "millisecond", "milliseconds")})
	}
	return pairs
}

// headerText returns headers as lines to copy.
func headerText(headers []hook.Header) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h.Name + ": " + strings.ToValidUTF8(h.Value, "\uFFFD") + "\n")
	}
	return b.String()
}

func currentPage(current bool) templ.Attributes {
	if !current {
		return nil
	}
	return templ.Attributes{"aria-current": "page"}
}

func selected(isSelected bool) templ.Attributes {
	if !isSelected {
		return nil
	}
	return templ.Attributes{"aria-current": "true"}
}

// errorHint says what a status means for whoever looks at a page, beyond the message.
func errorHint(status int) string {
	switch status {
	case http.StatusForbidden:
		return "Nothing was changed."
	case http.StatusTooManyRequests:
		return "Wait a moment and try again."
	case http.StatusInternalServerError:
		return "This is a fault of ours, not of yours. Senders were not told that anything is stored unless it is."
	case http.StatusServiceUnavailable:
		return "Capture URLs tell their senders to try again, so nothing has to be lost."
	}
	return ""
}

// anchorOf names the place of an object on the page of the API.
func anchorOf(object string) string {
	return "object-" + strings.ReplaceAll(strings.ToLower(object), " ", "-")
}

func groupAnchor(group string) string {
	return "group-" + strings.ReplaceAll(strings.ToLower(group), " ", "-")
}

// fieldType says what a field is: "integer", "query, string"; of an object in a place of its own its name follows.
func fieldType(f APIField) string {
	text := f.Type
	switch {
	case f.Of != "" && strings.HasPrefix(text, "list of objects"):
		text = "list of"
	case f.Of != "":
		text = ""
	}
	if f.In != "" {
		text = f.In + ", " + text
	}
	return text
}
