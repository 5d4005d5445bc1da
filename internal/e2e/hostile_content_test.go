package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Requests that are well-formed, more or less, and strange: targets, methods, bodies.

// numbered is a list of the prefix with a number behind it.
func numbered(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%d", prefix, i))
	}
	return list
}

func getOf(target string) string { return head("GET "+target+" HTTP/1.1", "Host: cap") }

// siteGet is a GET of something that is not below /in/, on a host that the dashboard answers to.
func siteGet(target string) string { return head("GET "+target+" HTTP/1.1", "Host: localhost") }

func targetRows() []hostileRow {
	const in = len("/in/") + 22 // a generated slug
	longest := strings.Repeat("p", hook.MaxTargetLen-in-1)
	return []hostileRow{
		{id: "A50", input: "longest target", send: getOf("/in/SLUG/" + longest), status: 200, stored: []check{pathIs("/in/SLUG/" + longest)}},
		{id: "A50", input: "target one byte longer", send: getOf("/in/SLUG/" + longest + "p"), status: 414},
		{id: "A50", input: "target of 60 KB", send: getOf("/in/SLUG/" + strings.Repeat("p", 60<<10)), status: 414},
		{id: "A50", input: "target of 200 KB", send: getOf("/in/SLUG/" + strings.Repeat("p", 200<<10)), status: 431, closed: true},
		{id: "A51", input: "%zz in the path", send: getOf("/in/SLUG/%zz"), status: 400, closed: true},
		{id: "A52", input: "%zz in the query", send: getOf("/in/SLUG?a=%zz"), status: 200, stored: []check{queryIs("a=%zz")}},
		{id: "A53", input: "%00 in the path", send: getOf("/in/SLUG/%00"), status: 200, stored: []check{pathIs("/in/SLUG/%00")}, shown: []string{"/%00"}},
		{id: "A54", input: "raw UTF-8 in the path", send: getOf("/in/SLUG/é"), status: 200, stored: []check{pathIs("/in/SLUG/é")}, shown: []string{"/é"}},
		{id: "A54", input: "no UTF-8 in the path", send: getOf("/in/SLUG/\xff\xfe"), status: 200, stored: []check{pathIs("/in/SLUG/\xff\xfe")}, marked: []string{`\xFF\xFE`}},
		{id: "A55", input: "control character in the path", send: getOf("/in/SLUG/\x01"), status: 400, closed: true},
		{id: "A55", input: "space in the path", send: getOf("/in/SLUG/a b"), status: 400, closed: true},
		{id: "A56", input: "dots", send: getOf("/in/SLUG/../../etc/passwd"), status: 200, stored: []check{pathIs("/in/SLUG/../../etc/passwd")}},
		{id: "A56", input: "escaped dots", send: getOf("/in/SLUG/..%2f..%2f"), status: 200, stored: []check{pathIs("/in/SLUG/..%2f..%2f")}},
		{id: "A56", input: "backslashes", send: getOf(`/in/SLUG/\..\`), status: 200, stored: []check{pathIs(`/in/SLUG/\..\`)}},
		{id: "A56", input: "dots instead of a slug", send: getOf("/in/../SLUG"), status: 404},
		{id: "A56", input: "dots to a page", send: siteGet("/in/../login"), status: 404},
		{id: "A56", input: "dots to a capture URL", send: siteGet("/x/../in/SLUG"), status: 404},
		{id: "A56", input: "slashes around the slug", send: getOf("/in//SLUG"), status: 404},
		{id: "A57", input: "two slashes", send: siteGet("//evil.com/in/SLUG"), status: 404},
		{id: "A57", input: "two slashes on an unknown host", send: getOf("//evil.com/in/SLUG"), status: 421},
		{
			id: "A58", input: "absolute form", send: getOf("http://other/in/SLUG/a?b"), status: 200,
			stored: []check{hostIs("other"), pathIs("/in/SLUG/a"), queryIs("b"), headerIs("Host", "other")}, shown: []string{"other"},
		},
		{id: "A59", input: "semicolon", send: getOf("/in/SLUG?a=1;b=2"), status: 200, stored: []check{queryIs("a=1;b=2")}},
		// 20,000 parameters are longer than a target may be: refused for its length.
		{id: "A59", input: "20,000 parameters", send: getOf("/in/SLUG?" + strings.Repeat("a&", 20_000)), status: 414},
		{id: "A59", input: "4,000 parameters", send: getOf("/in/SLUG?" + strings.Repeat("a&", 4000)), status: 200, stored: []check{queryIs(strings.Repeat("a&", 4000))}},
		{id: "A60", input: "fragment", send: getOf("/in/SLUG/a#frag"), status: 200, stored: []check{pathIs("/in/SLUG/a#frag")}},
		{id: "A61", input: "OPTIONS *", send: head("OPTIONS * HTTP/1.1", "Host: localhost"), status: 404},
		{id: "A61", input: "OPTIONS * on an unknown host", send: head("OPTIONS * HTTP/1.1", "Host: cap"), status: 421},
		{id: "A62", input: "CONNECT", send: head("CONNECT a.com:443 HTTP/1.1", "Host: a.com:443"), status: 405},
		{id: "A62", input: "CONNECT to a capture URL", send: head("CONNECT /in/SLUG HTTP/1.1", "Host: cap"), status: 405},
	}
}

// withMethod is a request without a body.
func withMethod(method string) string {
	return head(method+" /in/SLUG HTTP/1.1", "Host: cap", "X-Secret: echo me not")
}

var methodRows = []hostileRow{
	{id: "A63", input: "TRACE", run: neverEchoed},
	{id: "A64", input: "post", send: withMethod("post"), status: 200, stored: []check{methodIs("post")}},
	{id: "A64", input: "M-SEARCH", send: withMethod("M-SEARCH"), status: 200, stored: []check{methodIs("M-SEARCH")}},
	{
		id: "A64", input: "longest method", send: withMethod(strings.Repeat("A", hook.MaxMethodLen)), status: 200,
		stored: []check{methodIs(strings.Repeat("A", hook.MaxMethodLen))},
	},
	{id: "A65", input: "method one character longer", send: withMethod(strings.Repeat("A", hook.MaxMethodLen+1)), status: 400},
	{id: "A65", input: "method of 10 KB", send: withMethod(strings.Repeat("A", 10<<10)), status: 400},
	{
		id: "A66", input: "GET with a body", send: requestWith("GET /in/SLUG HTTP/1.1", []string{"Content-Length: 2"}, "hi"), status: 200,
		stored: []check{methodIs("GET"), bodyIs("hi")},
	},
	{id: "A67", input: "Expect: 100-continue", run: expectContinue},
	{id: "A67", input: "Expect: 100-continue with too much", run: expectTooLarge},
	{id: "A68", input: "Expect: pony", send: hi("Expect: pony", "Content-Length: 2"), status: 417, closed: true},
	{
		id: "A69", input: "Upgrade: websocket", status: 200, stored: []check{headerIs("Upgrade", "websocket"), headerIs("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")},
		send: head("GET /in/SLUG HTTP/1.1", "Host: cap", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
	},
	{
		id: "A70", input: "Upgrade: h2c", status: 200, stored: []check{protocolIs("HTTP/1.1"), headerIs("Upgrade", "h2c")},
		send: head("GET /in/SLUG HTTP/1.1", "Host: cap", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
	},
}

func bodyRows() []hostileRow {
	bomb := gzippedZeros(100 << 20)
	full := strings.Repeat("x", hook.DefaultMaxBody)
	rows := []hostileRow{
		{
			id: "A71", input: "largest body", send: hi(fmt.Sprintf("Content-Length: %d", len(full)+2)) + full, status: 413, closed: true,
			stored: []check{sizeIs(int64(len(full)+2), true), bodyIs("")},
		},
		{
			id: "A71", input: "one byte too many, announced", send: hi(fmt.Sprintf("Content-Length: %d", hook.DefaultMaxBody+1)), status: 413, closed: true,
			stored: []check{sizeIs(hook.DefaultMaxBody+1, true), bodyIs("")},
		},
		{
			id: "A71", input: "largest body that is taken", send: requestWith("POST /in/SLUG HTTP/1.1", []string{fmt.Sprintf("Content-Length: %d", len(full))}, full),
			status: 200, stored: []check{sizeIs(hook.DefaultMaxBody, false)},
		},
		{
			id: "A71", input: "largest body in chunks", send: chunked(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(full), full)),
			status: 200, stored: []check{sizeIs(hook.DefaultMaxBody, false), framingIs("chunked")},
		},
		{
			id: "A71", input: "one byte too many in chunks", send: chunked(fmt.Sprintf("%x\r\n%sx\r\n0\r\n\r\n", len(full)+1, full)),
			status: 413, closed: true, stored: []check{sizeIs(0, true), framingIs("chunked")},
		},
		{
			id: "A73", input: "gzip bomb", send: requestWith("POST /in/SLUG HTTP/1.1", []string{"Content-Encoding: gzip", fmt.Sprintf("Content-Length: %d", len(bomb))}, bomb),
			status: 200, stored: []check{bodyIs(bomb), headerIs("Content-Encoding", "gzip")}, shown: []string{"gzip"},
		},
	}
	for _, coding := range []string{"br", "zstd", "gzip,gzip", "x"} {
		rows = append(rows, hostileRow{
			id: "A74", input: "Content-Encoding " + coding, send: hi("Content-Length: 2", "Content-Encoding: "+coding), status: 200,
			stored: []check{bodyIs("hi"), headerIs("Content-Encoding", coding)}, shown: []string{coding},
		})
	}
	for name, kind := range map[string]string{"of 8 KB": strings.Repeat("a", 8<<10), "UTF-7": "text/html;charset=utf-7", "of nothing": ";;=;", "empty": ""} {
		rows = append(rows, hostileRow{
			id: "A75", input: "Content-Type " + name, send: hi("Content-Length: 2", "Content-Type: "+kind), status: 200,
			stored: []check{bodyIs("hi"), headerIs("Content-Type", kind)}, shown: []string{kind},
		})
	}
	return append(rows, hostileRow{
		id: "A75", input: "no Content-Type", send: hi("Content-Length: 2"), status: 200,
		stored: []check{bodyIs("hi"), headerIs("Content-Type")}, shown: []string{"POST"},
	})
}

// gzippedZeros returns n zero bytes, compressed.
func gzippedZeros(n int) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(make([]byte, n))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // into memory it cannot fail
	}
	return b.String()
}
