package snippet

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	// maxInline is how large a body may be to stand in the command. Linux takes arguments of up to 128 KiB.
	maxInline = 64 << 10
	// maxWithoutExpect is the size from which some versions of curl send Expect: 100-continue of their own accord.
	maxWithoutExpect = 1 << 10
)

// Command is a command to paste into a shell.
type Command struct {
	Text     string
	BodyFile string   // the file with the body that the command reads from the current directory, "" when it reads none
	Missing  []string // what of the request the command does not send, in words for the user
}

// Curl returns the command that sends r again with curl: the same method, target, headers and body, to the byte, in the
// same framing. The base is what stands in front of /in/{slug} in the address: scheme://host, maybe with a sub-path.
// Header names are written as they are stored; Host and Content-Length are curl's.
//
// A body of up to 64 KiB is part of the command, whatever bytes it has; a larger one is a file beside it.
func Curl(r *hook.Request, base string) Command {
	base = strings.TrimSuffix(base, "/")
	c := Command{Missing: missing(r)}
	source, data := c.body(r)
	first := append([]string{"curl", "--path-as-is", "-g"}, methodArgs(r)...)
	first = append(first, protocolArgs(r, base)...)
	lines := []string{strings.Join(append(first, targetArgs(r, base)...), " ")}
	for _, header := range headerLines(r) {
		lines = append(lines, "-H "+quote(header))
	}
	if data != "" {
		lines = append(lines, data)
	}
	c.Text = source + strings.Join(lines, " \\\n  ")
	return c
}

// Example returns the command to try a capture URL with.
func Example(url string) string {
	return `curl -H 'Content-Type: application/json' -d '{"hello":"world"}' ` + quote(url)
}

// BodyFile is the name under which the body of a request is downloaded, and under which a command expects it.
func BodyFile(id hook.ID) string { return "request-" + id.Text(hook.RequestPrefix) + ".bin" }

func missing(r *hook.Request) (m []string) {
	if r.Truncated {
		m = append(m, "the body, which was over the limit and was not kept")
	}
	if r.CookieRemoved {
		m = append(m, "a cookie of Hookkeeper's own, which is never stored")
	}
	if len(r.Trailers) > 0 {
		m = append(m, "the trailers, which curl cannot send")
	}
	return m
}

// hasBody reports whether r announced a body, an empty one too.
func hasBody(r *hook.Request) bool {
	return len(r.Body) > 0 || r.Chunked || len(headers(r, "Content-Length")) > 0
}

// isHead reports whether curl's own HEAD will do. It has no body; sending one takes a -X HEAD, with which curl waits
// for the body that the answer announces and does not have.
func isHead(r *hook.Request) bool {
	return r.Method == http.MethodHead && len(r.Body) == 0 && !r.Chunked
}

func methodArgs(r *hook.Request) []string {
	switch {
	case isHead(r):
		return []string{"--head"}
	case r.Method == http.MethodHead:
		return []string{"-X HEAD", "--max-time 10"}
	case hasBody(r) && r.Method == http.MethodPost, !hasBody(r) && r.Method == http.MethodGet:
		return nil // what curl does anyway
	}
	return []string{"-X " + quote(r.Method)}
}

// protocolArgs keeps curl from HTTP/2, which has no chunks and no header that ends the connection.
func protocolArgs(r *hook.Request, base string) []string {
	switch {
	case r.Proto == "HTTP/1.0":
		return []string{"--http1.0"}
	case strings.HasPrefix(base, "https:"):
		return []string{"--http1.1"}
	}
	return nil
}

// targetArgs returns the address. A target that is no proper part of an address, which curl would refuse or shorten,
// is told apart from it.
func targetArgs(r *hook.Request, base string) []string {
	target := r.Target()
	if !r.BareQuery && isAddress(target) {
		return []string{quote(base + target)}
	}
	_, authority, _ := strings.Cut(base, "://")
	if _, subPath, found := strings.Cut(authority, "/"); found {
		target = "/" + subPath + target
	}
	return []string{"--request-target " + quote(target), quote(base + "/")}
}

// isAddress reports whether target has only characters that an address may have behind its host (RFC 3986, section
// 3.3), or that curl takes there with -g.
func isAddress(target string) bool {
	return strings.IndexFunc(target, func(c rune) bool {
		return !isAlphanumeric(c) && !strings.ContainsRune("-._~!$&'()*+,;=:@%/?[]{}", c)
	}) < 0
}

// headerLines returns the arguments for -H. "Name;" sends the header without a value, "Name:" keeps curl from sending
// one of its own.
func headerLines(r *hook.Request) []string {
	var lines []string
	for _, h := range r.Headers {
		switch {
		case h.Name == "Host", h.Name == "Content-Length", h.Name == "Transfer-Encoding":
		case h.Value == "":
			lines = append(lines, h.Name+";")
		default:
			lines = append(lines, h.Name+": "+h.Value)
		}
	}
	if r.Chunked {
		lines = append(lines, "Transfer-Encoding: chunked")
	}
	for _, name := range curlHeaders(r) {
		if len(headers(r, name)) == 0 {
			lines = append(lines, name+":")
		}
	}
	return lines
}

// curlHeaders names the headers that curl sends unless it is told otherwise.
func curlHeaders(r *hook.Request) []string {
	names := []string{"Accept", "User-Agent"}
	if hasBody(r) && !isHead(r) {
		names = append(names, "Content-Type")
	}
	if r.Chunked || len(r.Body) > maxWithoutExpect {
		names = append(names, "Expect")
	}
	return names
}

func headers(r *hook.Request, name string) (values []string) {
	for _, h := range r.Headers {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return values
}

// body returns the option that gives curl the body of r, and what stands in front of curl when the body comes through
// a pipe.
func (c *Command) body(r *hook.Request) (source, option string) {
	switch {
	case !hasBody(r), isHead(r):
		return "", ""
	case len(r.Body) > maxInline:
		c.BodyFile = BodyFile(r.ID)
		return "", "--data-binary " + quote("@"+c.BodyFile)
	}
	body := string(r.Body)
	if isPlain(body) {
		return "", "--data-raw " + singleQuote(body)
	}
	if format := printfFormat(body); isText(body) && len(format) < 2*len(body) { // else it would be all escapes
		return "printf " + format + " | ", "--data-binary @-"
	}
	return "printf %s '" + wrap(base64.StdEncoding.EncodeToString(r.Body)) + "' | base64 -d | ", "--data-binary @-"
}

// wrap breaks base64 into lines of the length that mail has (RFC 2045, section 6.8). A terminal without line editing
// loses what is behind the first 4,096 bytes of a line.
func wrap(s string) string {
	const width = 76
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\n")
		s = s[width:]
	}
	return b.String() + s
}
