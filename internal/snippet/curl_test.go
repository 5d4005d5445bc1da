package snippet

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// everyByte is every byte that there is, in order and then backwards.
var everyByte = func() string {
	var b strings.Builder
	for i := range 512 {
		b.WriteByte(byte(min(i, 511-i)))
	}
	return b.String()
}()

var curlRequests = map[string]*hook.Request{
	"GET":                   request("GET", "/in/s", ""),
	"GET with headers":      request("GET", "/in/s/a?b=c", "", "User-Agent: x", "Accept: */*", "Accept-Encoding: gzip"),
	"GET with a body":       request("GET", "/in/s", "hello", "Content-Type: text/plain"),
	"GET of length 0":       request("GET", "/in/s", "", "Content-Length: 0"),
	"POST JSON":             request("POST", "/in/s", `{"a":"it's","b":[1,2]}`, "Content-Type: application/json"),
	"POST without a type":   request("POST", "/in/s", "a=b"),
	"POST of length 0":      request("POST", "/in/s", "", "Content-Length: 0"),
	"POST without length":   request("POST", "/in/s", ""),
	"PUT of length 0":       request("PUT", "/in/s", "", "Content-Length: 0"),
	"HEAD":                  request("HEAD", "/in/s", "", "User-Agent: x"),
	"HEAD of length 0":      request("HEAD", "/in/s", "", "Content-Length: 0"),
	"HEAD with a body":      request("HEAD", "/in/s", "hello"),
	"HEAD chunked":          chunked(request("HEAD", "/in/s", "")),
	"OPTIONS":               request("OPTIONS", "/in/s", "", "Origin: https://a.example"),
	"DELETE":                request("DELETE", "/in/s", ""),
	"TRACE":                 request("TRACE", "/in/s", ""),
	"lower case":            request("post", "/in/s", "x"),
	"M-SEARCH":              request("M-SEARCH", "/in/s", ""),
	"method like an option": request("-X", "/in/s", ""),
	"method of all tokens":  request("!#$%&'*+-.^_`|~", "/in/s", "x"),
	"chunked":               chunked(request("POST", "/in/s", "hello")),
	"chunked and empty":     chunked(request("POST", "/in/s", "")),
	"chunked and large":     chunked(request("POST", "/in/s", strings.Repeat("x", 50_000))),
	"chunked file":          chunked(request("PUT", "/in/s", strings.Repeat("x", 2<<20))),
	"HTTP/1.0":              version10(request("POST", "/in/s", "hello")),
	"HTTP/1.0 GET":          version10(request("GET", "/in/s", "")),

	"path as is":        request("GET", "/in/s/../../etc/./passwd//x/%2e%2e/%2F", ""),
	"target with all":   request("GET", "/in/s/[a]{b,c}/(d)'e'$f!g;h&i*~", ""),
	"target unsafe":     request("GET", "/in/s/\"<>\\^|`id`?a=\"b\"|c", ""),
	"globs":             request("GET", "/in/s/{a,b}/[1-3]?x=[a-z]&y={}", ""),
	"fragment":          request("GET", "/in/s/a#frag?b#c", ""),
	"bare query":        request("GET", "/in/s?", ""),
	"query of marks":    request("GET", "/in/s??a=1?b=2&", ""),
	"bad escape":        request("GET", "/in/s?a=%zz&b=%", ""),
	"escaped zero":      request("GET", "/in/s/%00?a=%0d%0aX:%20y", ""),
	"raw UTF-8":         request("GET", "/in/s/é/日本?a=ü", ""),
	"raw bytes":         request("GET", "/in/s/\xff\xfe?a=\xe9", ""),
	"bidi in target":    request("GET", "/in/s/\u202egnp.exe", ""),
	"semicolons":        request("GET", "/in/s?a=1;b=2", ""),
	"command in target": request("GET", "/in/s/$(touch${IFS}pwned);`touch${IFS}pwned`", ""),
	"backslashes":       request("GET", `/in/s/\..\`, ""),
	"long target":       request("GET", "/in/s?"+strings.Repeat("a=b&", 2000), ""),

	"empty values":     request("POST", "/in/s", "x", "X-Empty: ", "Accept: ", "User-Agent: ", "Content-Type: "),
	"empty Expect":     request("POST", "/in/s", strings.Repeat("x", 5000), "Expect: "),
	"repeated":         request("POST", "/in/s", "x", "X-A: 3", "X-A: 1", "X-A: 2", "X-A: ", "Accept: b", "Accept: a", "User-Agent: b", "User-Agent: a", "Content-Type: b", "Content-Type: a"),
	"quotes":           request("GET", "/in/s", "", `X-A: it's "quoted" \'`, "X-B: '", "X-C: ''", `X-D: \`),
	"commands":         request("GET", "/in/s", "", "X-A: $(touch pwned)", "X-B: `touch pwned`", "X-C: '; touch pwned; '", "X-D: $HOME ${HOME} ~ *", "X-E: > pwned", "X-F: x & touch pwned"),
	"history":          request("GET", "/in/s", "", "X-A: a!curl !! !$ !-1 !?x?", "X-B: ^a^b"),
	"latin-1":          request("GET", "/in/s", "", "X-A: caf\xe9 \xff 100% \\n \\351 !", "X-B: \xe9'; touch pwned; '"),
	"UTF-8":            request("GET", "/in/s", "", "X-A: grün 日本 👍"),
	"invisible":        request("GET", "/in/s", "", "X-A: a\u202eb\u200bc\u00a0d\ufeff", "X-B: a\tb"),
	"semicolon at end": request("GET", "/in/s", "", "X-A: a;", "X-B: ;", "X-C: :", "X-D: @file"),
	"odd names":        request("GET", "/in/s", "", "!#$%&'*+.^_`|~: x", "-Dash: y", "--Data: z"),
	"framing headers":  request("POST", "/in/s", "x", "Transfer-Encoding: identity", "Connection: keep-alive, upgrade", "Upgrade: websocket", "Te: trailers", "Keep-Alive: 5"),
	"expect":           request("POST", "/in/s", "hello", "Expect: 100-continue"),
	"expect nothing":   request("GET", "/in/s", "", "Expect: 100-continue"),
	"credentials":      request("GET", "/in/s", "", "Authorization: Basic eDp5", "Cookie: a=b; c=\"d\"", "Proxy-Authorization: x", "Referer: http://a/", "Range: bytes=0-1"),
	"60 KB header":     request("GET", "/in/s", "", "X-A: "+strings.Repeat("x", 60_000)),
	"60 KB of latin-1": request("GET", "/in/s", "", "X-A: "+strings.Repeat("\xe9", 60_000)),
	"200 headers":      request("GET", "/in/s", "", slices.Repeat([]string{"X-A: v"}, 200)...),

	"body like a file":        request("POST", "/in/s", "@/etc/passwd"),
	"body like stdin":         request("POST", "/in/s", "@-"),
	"body like an option":     request("POST", "/in/s", "-X DELETE"),
	"body like a format":      request("POST", "/in/s", "-%s\t%d \\n \\101 %%"),
	"printf like an option":   request("POST", "/in/s", "-n a line\tand another word\n"),
	"body of line feeds":      request("POST", "/in/s", "\n\na\n\n\n"),
	"body of CRLF":            request("POST", "/in/s", "a\r\nb\r\n"),
	"body of tabs":            request("POST", "/in/s", "{\n\t\"a\": 'b'\n}\n"),
	"body of one tab":         request("POST", "/in/s", "\t"),
	"body with history":       request("POST", "/in/s", "one!\ntwo !! !x\n!echo\n"),
	"body with old history":   request("POST", "/in/s", "one\n^curl^touch pwned^\n"),
	"body with one mark":      request("POST", "/in/s", "hi!"),
	"body with NUL":           request("POST", "/in/s", "a\x00b\n"),
	"body of latin-1":         request("POST", "/in/s", "caf\xe9"),
	"body of every byte":      request("POST", "/in/s", everyByte),
	"body of escapes":         request("POST", "/in/s", "\x1b[2J\x07\x08\x7f\u202e\u2028"),
	"body of emoji":           request("POST", "/in/s", "👩\u200d💻 ❤\ufe0f"),
	"body with commands":      request("POST", "/in/s", "'; touch pwned; '\n$(touch pwned)\n`touch pwned`\n\"\\\n> pwned"),
	"body that ends quotes":   request("POST", "/in/s", "'"),
	"body that ends printf":   request("POST", "/in/s", "'\t'\\'"),
	"body that ends base64":   request("POST", "/in/s", "\x00'\n"),
	"body like a document":    request("POST", "/in/s", "EOF\nEOF\n"),
	"body with backslash end": request("POST", "/in/s", `\`),
	"largest text inline":     request("POST", "/in/s", strings.Repeat("x", maxInline)),
	"largest quotes inline":   request("POST", "/in/s", strings.Repeat("'", maxInline)),
	"largest escapes inline":  request("POST", "/in/s", strings.Repeat("\x01", maxInline)),
	"largest binary inline":   request("POST", "/in/s", strings.Repeat("\xff", maxInline)),
	"smallest file":           request("POST", "/in/s", strings.Repeat("\x00", maxInline+1)),
	"large file":              request("PUT", "/in/s", strings.Repeat("0123456789abcde\n", 256<<10)),
}

func chunked(r *hook.Request) *hook.Request {
	r.Chunked = true
	var headers []hook.Header
	for _, h := range r.Headers {
		if h.Name != "Content-Length" {
			headers = append(headers, h)
		}
	}
	r.Headers = headers
	return r
}

func version10(r *hook.Request) *hook.Request {
	r.Proto = "HTTP/1.0"
	return r
}

// TestCurlSendsTheRequestAgain runs each command in each shell.
func TestCurlSendsTheRequestAgain(t *testing.T) {
	shells := shells(t)
	for name, r := range curlRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, shells, r)
		})
	}
}

// check runs the command for r in each shell and compares what arrives.
func check(t *testing.T, shells []shell, r *hook.Request) {
	t.Helper()
	receiver := newReceiver(t)
	command := Curl(r, receiver.base)
	checkForm(t, command)
	want := expected(r).normal()
	for _, shell := range shells {
		if diff := cmp.Diff(want, shell.run(t, receiver, command, r.Body)); diff != "" {
			t.Errorf("%s sent something else (-want +got):\n%s\n%s", shell.name, diff, command.Text)
		}
	}
}

// checkForm checks what holds of every command, whoever runs it.
func checkForm(t *testing.T, command Command) {
	t.Helper()
	if !utf8.ValidString(command.Text) {
		t.Errorf("the command is not UTF-8: %q", command.Text)
	}
	if i := strings.IndexFunc(command.Text, func(r rune) bool { return r != '\n' && r < ' ' || r == 0x7f || r == '\u202e' || r == '\u200b' }); i >= 0 {
		t.Errorf("the command has an unprintable character at %d: %q", i, command.Text)
	}
	if !strings.Contains(command.Text, "curl --path-as-is -g ") {
		t.Errorf("no --path-as-is -g: %q", command.Text)
	}
}

// TestCurlUnderABase tries what may stand in front of the path of a capture URL.
func TestCurlUnderABase(t *testing.T) {
	shells := shells(t)[:1]
	receiver := newReceiver(t)
	for _, tc := range []struct{ base, target, want string }{
		{"", "/in/s/a?b=c", "/in/s/a?b=c"},
		{"/", "/in/s//a", "/in/s//a"},
		{"/sub/path", "/in/s/a?b", "/sub/path/in/s/a?b"},
		{"/sub/path", "/in/s/a#b?", "/sub/path/in/s/a#b?"},
		{"/sub/path/", "/in/s?", "/sub/path/in/s?"},
	} {
		got := shells[0].run(t, receiver, Curl(request("GET", tc.target, ""), receiver.base+tc.base), nil)
		if got.Target != tc.want {
			t.Errorf("%s under %q became %s, want %s", tc.target, tc.base, got.Target, tc.want)
		}
	}
}

// TestCurlText pins what people see, for the commonest cases.
func TestCurlText(t *testing.T) {
	for name, tc := range map[string]struct {
		request *hook.Request
		want    string
	}{
		"GET": {
			request("GET", "/in/s?a=b", "", "Accept: */*", "User-Agent: it's me"),
			`curl --path-as-is -g --http1.1 'https://[::1]:8443/in/s?a=b' \
  -H 'Accept: */*' \
  -H 'User-Agent: it'\''s me'`,
		},
		"text": {
			request("PUT", "/in/s", "{\n  \"a\": 1\n}", "Accept: a", "Content-Type: application/json", "User-Agent: b"),
			`curl --path-as-is -g -X PUT --http1.1 'https://[::1]:8443/in/s' \
  -H 'Accept: a' \
  -H 'Content-Type: application/json' \
  -H 'User-Agent: b' \
  --data-raw '{
  "a": 1
}'`,
		},
		"tabs": {
			request("POST", "/in/s", "{\r\n\t\"a\": 1\r\n}"),
			`printf '{\r\n\t"a": 1\r\n}' | curl --path-as-is -g --http1.1 'https://[::1]:8443/in/s' \
  -H 'Accept:' \
  -H 'User-Agent:' \
  -H 'Content-Type:' \
  --data-binary @-`,
		},
		"binary": {
			request("POST", "/in/s?", strings.Repeat("\xff\x00", 30), "X-A: caf\xe9!"),
			`printf %s '/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/
AP8A' | base64 -d | curl --path-as-is -g --http1.1 --request-target '/in/s?' 'https://[::1]:8443/' \
  -H "$(printf 'X-A: caf\351\041')" \
  -H 'Accept:' \
  -H 'User-Agent:' \
  -H 'Content-Type:' \
  --data-binary @-`,
		},
		"file": {
			request("POST", "/in/s", strings.Repeat("x", maxInline+1), "Accept: a", "Content-Type: b", "Expect: ", "User-Agent: c"),
			`curl --path-as-is -g --http1.1 'https://[::1]:8443/in/s' \
  -H 'Accept: a' \
  -H 'Content-Type: b' \
  -H 'Expect;' \
  -H 'User-Agent: c' \
  --data-binary '@request-req_0000100000000.bin'`,
		},
	} {
		if diff := cmp.Diff(tc.want, Curl(tc.request, "https://[::1]:8443").Text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCurlTellsWhatIsMissing(t *testing.T) {
	r := request("POST", "/in/s", "", "Content-Length: 99999999")
	if got := Curl(r, "http://a").Missing; got != nil {
		t.Errorf("Missing = %q, want nothing", got)
	}
	r.Truncated, r.CookieRemoved, r.Trailers = true, true, []hook.Header{{Name: "X-T", Value: "x"}}
	want := []string{
		"the body, which was over the limit and was not kept",
		"a cookie of Hookkeeper's own, which is never stored",
		"the trailers, which curl cannot send",
	}
	if diff := cmp.Diff(want, Curl(r, "http://a").Missing); diff != "" {
		t.Errorf("Missing (-want +got):\n%s", diff)
	}
}

func TestExample(t *testing.T) {
	shells := shells(t)
	receiver := newReceiver(t)
	for _, shell := range shells {
		got := shell.run(t, receiver, Command{Text: Example(receiver.base + "/in/it's-$HOME;touch%20pwned")}, nil)
		if got.Method != http.MethodPost || got.Target != "/in/it's-$HOME;touch%20pwned" ||
			got.Body != `{"hello":"world"}` || got.take("Content-Type", false) != "application/json" {
			t.Errorf("%s sent %+v", shell.name, got)
		}
	}
}

// hostile are pieces that mean something to a shell, to curl or to printf.
var hostile = []string{
	"'", `"`, "`touch pwned`", "$(touch pwned)", "${HOME}", "$((1))", "!", "!!", "\\", `\'`, `\n`, `\0101`, "%s", "%", "%%", "@", "@-",
	"-", "--", ";", "&", "|", "> pwned", "< /etc/passwd", "#", "*", "?", "[a-z]", "{a,b}", "~", "^a^b^", "é", "日本", "👍", "\u202e",
	"\u200b", "\u00a0", "\xe9", "\xff", "\t", " ", "=", ":", "a", "B", "0",
}

// hostileInBody may stand in a body only.
var hostileInBody = append([]string{"\n", "\r\n", "\r", "\x00", "\x1b[2J", "\x7f", "\nEOF\n", "\n!touch\n"}, hostile...)

func pick(random *rand.Rand, pieces []string) string {
	var b strings.Builder
	for range random.IntN(8) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

// TestCurlWithHostilePieces puts pieces together at random.
func TestCurlWithHostilePieces(t *testing.T) {
	shells := shells(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	n := 60
	if testing.Short() {
		n = 10
	}
	for range n {
		r, ok := captured("POST", pick(random, hostile), pick(random, hostile), pick(random, hostileInBody), random.IntN(4) == 0)
		if !ok {
			continue
		}
		if check(t, shells, r); t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}

// captured returns the request that capture would have stored of these, ok is false when it would have refused them.
func captured(method, target, value, body string, isChunked bool) (r *hook.Request, ok bool) {
	target = "/in/s/" + strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f {
			return 'x'
		}
		return c
	}, strings.ToValidUTF8(target, "\xe9"))
	value = strings.Trim(value, " \t")
	if !hook.ValidHeaderName(method) || !hook.ValidHeaderValue(value) || method == "CONNECT" {
		return nil, false
	}
	r = request(method, target, body, "X-A: "+value)
	if isChunked {
		r = chunked(r)
	}
	return r, true
}

// FuzzCurl runs commands in sh. It is slow, a process and more for each input, and finds what nobody thought of.
func FuzzCurl(f *testing.F) {
	sh := shells(f)[:1]
	for _, s := range hostile {
		f.Add("POST", s, s, s, false)
	}
	f.Add("GET", "?", "", "", false)
	f.Add("HEAD", "a", "", "", true)
	f.Fuzz(func(t *testing.T, method, target, value, body string, isChunked bool) {
		r, ok := captured(method, target, value, body, isChunked)
		if !ok || len(method)+len(target)+len(value) > 10_000 {
			return
		}
		check(t, sh, r)
	})
}

// FuzzQuote is the fast one: it does not run anything, and reads quoted text back as POSIX says.
func FuzzQuote(f *testing.F) {
	for _, s := range hostileInBody {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := unquote(quote(s))
		if !ok || got != strings.TrimRight(s, "\n") && got != s {
			t.Errorf("quote(%q) = %s, which reads %q", s, quote(s), got)
		}
	})
}

// unquote reads one word that quote may write, ok is false when it is anything else.
func unquote(word string) (s string, ok bool) {
	if format, found := strings.CutPrefix(word, `"$(printf '`); found {
		format, found = strings.CutSuffix(format, `')"`)
		return unprintf(format), found && !strings.ContainsAny(format, "'\n!")
	}
	if !strings.HasPrefix(word, "'") {
		return word, word != "" && strings.Trim(word, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
	}
	for word != "" {
		if rest, found := strings.CutPrefix(word, `\'`); found {
			s, word = s+"'", rest
			continue
		}
		inside, rest, found := strings.Cut(word[1:], "'")
		if word[0] != '\'' || !found {
			return "", false
		}
		s, word = s+inside, rest
	}
	return s, true
}

func unprintf(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		switch {
		case format[i] != '\\':
			b.WriteByte(format[i])
		case i+1 < len(format) && strings.IndexByte("nrt", format[i+1]) >= 0:
			b.WriteByte(map[byte]byte{'n': '\n', 'r': '\r', 't': '\t'}[format[i+1]])
			i++
		case i+3 < len(format):
			b.WriteByte((format[i+1]-'0')<<6 | (format[i+2]-'0')<<3 | (format[i+3] - '0'))
			i += 3
		}
	}
	return b.String()
}
