package e2e

import (
	"net/http"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Requests that are wrong, or that some software takes for something else than we do: hosts, versions, framing.

// hi is a whole POST with these lines between Host and the end of the head, and a body of two bytes.
func hi(more ...string) string { return requestWith("POST /in/SLUG HTTP/1.1", more, "hi") }

func requestWith(first string, more []string, body string) string {
	return head(append([]string{first, "Host: cap"}, more...)...) + body
}

// chunked is a POST with a body in chunks, written out.
func chunked(body string, more ...string) string {
	return requestWith("POST /in/SLUG HTTP/1.1", append([]string{"Transfer-Encoding: chunked"}, more...), body)
}

var hostRows = []hostileRow{
	{
		id: "A01", input: "plain POST", send: hi("Content-Length: 2"), status: 200,
		stored: []check{methodIs("POST"), pathIs("/in/SLUG"), bodyIs("hi"), framingIs("length"), protocolIs("HTTP/1.1"), headerIs("Host", "cap")},
	},
	{id: "A02", input: "no Host", send: head("POST /in/SLUG HTTP/1.1", "Content-Length: 0"), status: 400, closed: true},
	{id: "A03", input: "two Hosts", send: head("GET /in/SLUG HTTP/1.1", "Host: a", "Host: b"), status: 400, closed: true},
	{
		id: "A04", input: "empty Host", send: head("GET /in/SLUG HTTP/1.1", "Host:"), status: 200,
		stored: []check{hostIs(""), headerIs("Host", "")},
	},
	{id: "A04", input: "empty Host at the dashboard", send: head("GET / HTTP/1.1", "Host:"), status: 421},
	{id: "A05", input: "Host with a space", send: head("GET /in/SLUG HTTP/1.1", "Host: a b"), status: 400, closed: true},
	{id: "A06", input: "Host with a script", send: head("GET /in/SLUG HTTP/1.1", "Host: <script>alert(1)</script>"), status: 400, closed: true},
	{
		id: "A07", input: "Host with a quote", send: head("GET /in/SLUG HTTP/1.1", "Host: a'b"), status: 200,
		stored: []check{hostIs("a'b")}, shown: []string{"a'b"},
	},
	{id: "A07", input: "Host with a quote at the dashboard", send: head("GET /login HTTP/1.1", "Host: a'b"), status: 421},
	{id: "A08", input: "Host with a path", send: head("GET /in/SLUG HTTP/1.1", "Host: evil.com/x"), status: 400, closed: true},
	{id: "A09", input: "HTTP/0.9", send: "GET /in/SLUG\r\n", status: 400, closed: true},
	{id: "A10", input: "HTTP/1.2", send: head("GET /in/SLUG HTTP/1.2", "Host: cap"), status: 200, stored: []check{protocolIs("HTTP/1.2")}},
	{id: "A11", input: "HTTP/3.0", send: head("GET /in/SLUG HTTP/3.0", "Host: cap"), status: 505, closed: true},
	// Nothing is below /in/ here, so that it is the dashboard that does not know the host "".
	{id: "A12", input: "HTTP/2 preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 421},
	{id: "A12", input: "HTTP/2 preface for a capture URL", send: "PRI /in/SLUG HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, closed: true},
	{id: "A12", input: "its method over HTTP/1.1", send: head("PRI /in/SLUG HTTP/1.1", "Host: cap"), status: 400, closed: true},
}

func framingRows() []hostileRow {
	const digits = "0123456789"
	rows := []hostileRow{
		// net/http drops the Content-Length before anybody sees it, so it is not stored, and nobody can close the connection
		// for it, as RFC 9112 section 6.3 would like. What follows the last chunk is the next request.
		{
			id: "A13", input: "length and chunks", send: chunked("2\r\nhi\r\n0\r\n\r\n", "Content-Length: 5"), status: 200,
			stored: []check{bodyIs("hi"), framingIs("chunked"), headerIs("Content-Length"), headerIs("Transfer-Encoding")},
		},
		{id: "A14", input: "gzip, chunked", send: hi("Transfer-Encoding: gzip, chunked"), status: 501, closed: true},
		{id: "A15", input: "xchunked", send: hi("Transfer-Encoding: xchunked"), status: 501, closed: true},
		{id: "A15", input: "identity", send: hi("Transfer-Encoding: identity"), status: 501, closed: true},
		// More than one field is no unknown coding to net/http, but no message either.
		{id: "A15", input: "two fields", send: hi("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), status: 501, closed: true},
		{id: "A16", input: "space before the colon", send: hi("Transfer-Encoding : chunked"), status: 400, closed: true},
		{
			id: "A17", input: "chunks over HTTP/1.0", status: 400, closed: true,
			send: head("POST /in/SLUG HTTP/1.0", "Transfer-Encoding: chunked") + "2\r\nhi\r\n0\r\n\r\n",
		},
		{
			id: "A17", input: "chunks over a kept HTTP/1.0", status: 400, closed: true,
			send: head("PUT /in/SLUG HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked") + "2\r\nhi\r\n0\r\n\r\n",
		},
		{id: "A18", input: "same length twice", send: hi("Content-Length: 2", "Content-Length: 2"), status: 200, stored: []check{bodyIs("hi")}},
		{id: "A19", input: "two lengths", send: hi("Content-Length: 2", "Content-Length: 3"), status: 400, closed: true},
		{id: "A21", input: "length 10, then an end", send: hi("Content-Length: 10"), then: thenEnd, status: 400, closed: true},
		{id: "A21", input: "large length, then an end", send: hi("Content-Length: 100000"), then: thenEnd, status: 400, closed: true},
		{id: "A24", input: "chunk size zz", send: chunked("zz\r\nhi\r\n0\r\n\r\n"), status: 400, closed: true},
		{id: "A25", input: "chunk size -1", send: chunked("-1\r\nhi\r\n0\r\n\r\n"), status: 400, closed: true},
		{id: "A26", input: "chunk size of 17 digits", send: chunked(strings.Repeat("f", 17) + "\r\nhi\r\n0\r\n\r\n"), status: 400, closed: true},
		{id: "A27", input: "chunk extension", send: chunked("2;ext=a\r\nhi\r\n0\r\n\r\n"), status: 200, stored: []check{bodyIs("hi")}},
		{
			id: "A28", input: "chunk extensions of 60 KB", status: 400, closed: true,
			send: chunked(strings.Repeat("1;"+strings.Repeat("e", 3<<10)+"\r\nx\r\n", 20) + "0\r\n\r\n"),
		},
		{id: "A29", input: "chunk lines end in LF", send: chunked("2\nhi\n0\n\n"), status: 400, closed: true},
		{id: "A30", input: "no line end behind a chunk", send: chunked("2\r\nhiXX0\r\n\r\n"), status: 400, closed: true},
		{id: "A31", input: "cut in a chunk", send: chunked("5\r\nhi"), then: thenEnd, status: 400, closed: true},
		{id: "A31", input: "cut behind the last chunk", send: chunked("2\r\nhi\r\n0\r\n"), then: thenEnd, status: 400, closed: true},
		{
			id: "A33", input: "declared trailer", send: chunked("2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n", "Trailer: X-T"), status: 200,
			stored: []check{bodyIs("hi"), trailerIs("X-T", "1"), headerIs("X-T")},
		},
		{id: "A34", input: "trailer Content-Length", send: chunked("2\r\nhi\r\n0\r\nContent-Length: 5\r\n\r\n", "Trailer: Content-Length"), status: 400, closed: true},
		{
			id: "A35", input: "undeclared trailers", send: chunked("2\r\nhi\r\n0\r\nX-T: 1\r\nX-T: 2\r\nContent-Length: 5\r\n\r\n"), status: 200,
			stored: []check{bodyIs("hi"), trailerIs("X-T", "1", "2"), trailerIs("Content-Length", "5"), headerIs("Content-Length")},
		},
	}
	for _, length := range []string{"2, 2", "+2", "-1", "0x2", "", strings.Repeat("9", 20)} {
		rows = append(rows, hostileRow{id: "A20", input: "length " + length, send: hi("Content-Length: " + length), status: 400, closed: true})
	}
	return append(rows, hostileRow{
		id: "A27", input: "many small chunks", send: chunked(strings.Repeat("1\r\n0\r\n", 10) + "a\r\n" + digits + "\r\n000\r\n\r\n"), status: 200,
		stored: []check{bodyIs(strings.Repeat("0", 10) + digits)},
	})
}

func headerRows() []hostileRow {
	rows := []hostileRow{
		{id: "A36", input: "folded header", send: hi("Content-Length: 2", "X-Fold: one", "\t two"), status: 200, stored: []check{headerIs("X-Fold", "one two")}},
		{id: "A37", input: "first header starts with a space", send: head("GET /in/SLUG HTTP/1.1", " X: 1", "Host: cap"), status: 400, closed: true},
		{id: "A38", input: "lines end in LF", send: strings.ReplaceAll(hi("Content-Length: 2"), "\r\n", "\n"), status: 200, stored: []check{bodyIs("hi")}},
		{
			id: "A41", input: "Latin-1", send: hi("Content-Length: 2", "X-A: caf\xe9\xff"), status: 200,
			stored: []check{headerIs("X-A", "caf\xe9\xff")}, marked: []string{`\xE9\xFF`},
		},
		{
			id: "A42", input: "right-to-left override", send: hi("Content-Length: 2", "X-A: safe\u202egnp.exe"), status: 200,
			stored: []check{headerIs("X-A", "safe\u202egnp.exe")}, marked: []string{"U+202E"},
		},
		// A name with an underscore is a header like others to us; some proxies take X_Real_IP for X-Real-IP.
		{
			id: "A43", input: "forged addresses", send: hi("Content-Length: 2", "X_Real_IP: 6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6"),
			status: 200, stored: []check{clientIs("127.0.0.1"), headerIs("X-Forwarded-For", "6.6.6.6"), headerIs("X_real_ip", "6.6.6.6")},
		},
		{
			id: "A45", input: "X-Forwarded-For of 5,000", send: hi("Content-Length: 2", "X-Forwarded-For: "+strings.Repeat("1.1.1.1,", 5000)), status: 200,
			stored: []check{clientIs("127.0.0.1")},
		},
		{
			id: "A46", input: "200 equal headers", send: head(append([]string{"GET /in/SLUG HTTP/1.1", "Host: cap"}, numbered("X-A: ", hook.MaxHeaderLines)...)...),
			status: 200, stored: []check{headerIs("X-A", numbered("", hook.MaxHeaderLines)...)},
		},
		{id: "A47", input: "one header too many", send: head(append([]string{"GET /in/SLUG HTTP/1.1", "Host: cap"}, numbered("X-A: ", hook.MaxHeaderLines+1)...)...), status: 431},
		{id: "A48", input: "2,000 headers", send: head(append([]string{"GET /in/SLUG HTTP/1.1", "Host: cap"}, numbered("X: ", 2000)...)...), status: 431},
		{
			id: "A49", input: "header of 60 KB", send: hi("Content-Length: 2", "X-A: "+strings.Repeat("a", 60<<10)), status: 200,
			stored: []check{headerIs("X-A", strings.Repeat("a", 60<<10))},
		},
		{id: "A49", input: "header of 70 KB", send: hi("Content-Length: 2", "X-A: "+strings.Repeat("a", 70<<10)), status: 431, closed: true},
		{id: "A49", input: "header of 1 MB", send: hi("Content-Length: 2", "X-A: "+strings.Repeat("a", 1<<20)), status: 431, closed: true},
	}
	for name, c := range map[string]string{"CR": "\r", "NUL": "\x00", "ESC": "\x1b", "DEL": "\x7f"} {
		rows = append(rows, hostileRow{id: "A39", input: name + " in a value", send: hi("Content-Length: 2", "X-A: a"+c+"b"), status: 400, closed: true})
	}
	for name, line := range map[string]string{"NUL in a name": "X\x00A: 1", "space in a name": "X A: 1", "empty name": ": 1", "no colon": "XA"} {
		rows = append(rows, hostileRow{id: "A40", input: name, send: hi("Content-Length: 2", line), status: 400, closed: true})
	}
	return rows
}

// slowRows are those in which the server has to lose its patience.
func slowRows() []hostileRow {
	const grace = 3 * time.Second
	const small = hook.HeaderTimeout + hook.BodyTimeout
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x2a", 508) // the record of a ClientHello
	return []hostileRow{
		{id: "A22", input: "length 10, then a reset", send: hi("Content-Length: 10"), then: thenReset, within: grace},
		{id: "A23", input: "length 10, then silence", send: hi("Content-Length: 10"), status: http.StatusBadRequest, closed: true, within: small + grace},
		{id: "A76", input: "TLS", send: hello, status: http.StatusBadRequest, closed: true, within: hook.HeaderTimeout + grace},
		{id: "A78", input: "head by the byte", then: thenDrip(hi("Content-Length: 2")), status: http.StatusBadRequest, closed: true, within: hook.HeaderTimeout + grace},
		{
			id: "A79", input: "body by the byte", send: hi("Content-Length: 1000"), then: thenDrip(strings.Repeat("x", 998)), status: http.StatusBadRequest,
			closed: true, within: small + grace,
		},
		{
			id: "A79", input: "large body by the byte", send: hi("Content-Length: 1000000"), then: thenDrip(strings.Repeat("x", 998)), status: http.StatusBadRequest,
			closed: true, within: hook.BodyTimeout + grace,
		},
		{
			id: "A79", input: "chunks by the byte", send: chunked(""), then: thenDrip(strings.Repeat("1\r\nx\r\n", 998)), status: http.StatusBadRequest,
			closed: true, within: hook.BodyTimeout + grace,
		},
	}
}
