package capture

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestStoresWhatWasSent sends one of everything.
func TestStoresWhatWasSent(t *testing.T) {
	s := start(t, nil)
	before := time.Now()
	const head = "M-SEARCH /in/orders/a//b/../c%2Fd%00\xc3?x=%zz&&y=\xff HTTP/1.1\nHost: shop.example:8080\nx-b: 2\nX-A: 1\n" +
		"X-B: \xe9\xff\nx-b: 1\nContent-Type: application/x-thing;a=\"b\"\nContent-Length: 5\nX-Empty:\nUser-Agent: u\n\n"
	a := s.send(t, head, "\x00\xff\r\nx")
	wantEqual(t, "status", a.status, 200)
	wantPublic(t, "the answer", a)
	got := s.last(t)
	if since := got.ReceivedAt.Sub(before); since < -time.Millisecond || since > time.Minute {
		t.Errorf("received at %s, sent at %s", got.ReceivedAt, before)
	}
	if !strings.HasPrefix(got.RemoteAddr, "127.0.0.1:") {
		t.Errorf("the peer is %s", got.RemoteAddr)
	}
	want := &hook.Request{
		Summary: hook.Summary{
			CaptureURLID: s.url.ID, Method: "M-SEARCH", Scheme: "http", Host: "shop.example:8080", Path: "/in/orders/a//b/../c%2Fd%00\xc3",
			Query: "x=%zz&&y=\xff", Proto: "HTTP/1.1", ClientAddr: "127.0.0.1", ContentType: `application/x-thing;a="b"`, BodySize: 5,
			ResponseStatus: 200,
		},
		Headers: []hook.Header{
			{Name: "Host", Value: "shop.example:8080"},
			{Name: "Content-Length", Value: "5"},
			{Name: "Content-Type", Value: `application/x-thing;a="b"`},
			{Name: "User-Agent", Value: "u"},
			{Name: "X-A", Value: "1"},
			{Name: "X-B", Value: "2"},
			{Name: "X-B", Value: "\xe9\xff"},
			{Name: "X-B", Value: "1"},
			{Name: "X-Empty", Value: ""},
		},
		Body: []byte("\x00\xff\r\nx"), BodySHA256: sha256.Sum256([]byte("\x00\xff\r\nx")),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(hook.Summary{}, "ID", "ReceivedAt", "RemoteAddr")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	wantEqual(t, "the id in the answer", a.header.Get("Hookkeeper-Request-Id"), got.ID.Text(hook.RequestPrefix))
}

func TestTargets(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct {
		target, path, query string
		bare                bool
	}{
		{"/in/orders", "/in/orders", "", false},
		{"/in/orders/", "/in/orders/", "", false},
		{"/in/orders?", "/in/orders", "", true},
		{"/in/orders/?", "/in/orders/", "", true},
		{"/in/orders??", "/in/orders", "?", false},
		{"/in/orders?a=1?b", "/in/orders", "a=1?b", false},
		{"/in/orders?a=1;b=2&a=%2F+%20", "/in/orders", "a=1;b=2&a=%2F+%20", false},
		{"/in/orders//", "/in/orders//", "", false},
		{"/in/orders/./../../admin", "/in/orders/./../../admin", "", false},
		{"/in/orders/..%2f..%5C\\x", "/in/orders/..%2f..%5C\\x", "", false},
		{"/in/orders/%2e%2e/a%2Fb%00", "/in/orders/%2e%2e/a%2Fb%00", "", false},
		{"/in/orders/\xff\xfe", "/in/orders/\xff\xfe", "", false},
		{"/in/orders/a?x=#y", "/in/orders/a", "x=#y", false},
		{"/in/orders/in/other", "/in/orders/in/other", "", false},
	} {
		wantEqual(t, test.target, s.get(t, test.target, "").status, 200)
		got := s.last(t)
		wantEqual(t, test.target, []any{got.Path, got.Query, got.BareQuery}, []any{test.path, test.query, test.bare})
		wantEqual(t, "back again", got.Target(), test.target)
	}
}

// TestUnknownSlugs all get the same answer: nobody learns which are taken, or nearly right.
func TestUnknownSlugs(t *testing.T) {
	s := start(t, nil)
	gone := hook.CaptureURL{OwnerID: s.url.OwnerID, Name: "gone", Slug: "gone", CORS: true, Response: hook.DefaultResponse()}
	if err := s.Store.CreateCaptureURL(t.Context(), &gone); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.DeleteCaptureURL(t.Context(), hook.System, gone.ID, true); err != nil {
		t.Fatal(err)
	}
	want := s.get(t, "/in/unknown", "")
	wantEqual(t, "status", want.status, 404)
	wantPublic(t, "unknown", want)
	for _, target := range []string{
		"/in/gone", "/in/Orders", "/in/orders%20", "/in/%6frders", "/in/orders;a", "/in/order", "/in/ordersx", "/in/", "/in//orders", "/in/?orders",
		"/in/./orders", "/in/x/../orders", "/in/\xff", "/in/" + strings.Repeat("a", 5000),
	} {
		got := s.get(t, target, "")
		want.header.Set("Date", got.header.Get("Date"))
		wantEqual(t, target, got, want)
	}
	preflight := s.send(t, "OPTIONS /in/gone HTTP/1.1\nHost: cap\nOrigin: http://a\nAccess-Control-Request-Method: PUT\n\n", "")
	wantEqual(t, "a preflight", preflight.status, 404)
	s.wantStored(t, "of unknown slugs", 0)
}

// TestPlausible sends what no capture URL takes, and the most of what it does. Pages of any origin may read why.
func TestPlausible(t *testing.T) {
	s := start(t, nil)
	long := func(n int) string { return "/in/orders/" + strings.Repeat("a", n-len("/in/orders/")) }
	method := func(n int) string {
		return strings.Repeat("M", n) + " /in/orders HTTP/1.1\nHost: cap\n\n"
	}
	for about, test := range map[string]struct {
		head string
		want int
	}{
		"a long method":        {method(hook.MaxMethodLen), 200},
		"a longer method":      {method(hook.MaxMethodLen + 1), 400},
		"a long target":        {"GET " + long(hook.MaxTargetLen) + " HTTP/1.1\nHost: cap\n\n", 200},
		"a longer target":      {"GET " + long(hook.MaxTargetLen+1) + " HTTP/1.1\nHost: cap\n\n", 414},
		"many header lines":    {"GET /in/orders HTTP/1.1\nHost: cap\n" + strings.Repeat("X-A: 1\n", hook.MaxHeaderLines) + "\n", 200},
		"one header line more": {"GET /in/orders HTTP/1.1\nHost: cap\n" + strings.Repeat("X-A: 1\n", hook.MaxHeaderLines+1) + "\n", 431},
		"HTTP/1.2":             {"GET /in/orders HTTP/1.2\nHost: cap\n\n", 200},
		"HTTP/1.0":             {"GET /in/orders HTTP/1.0\n\n", 200},
		"HTTP/1.0 with length": {"POST /in/orders HTTP/1.0\nContent-Length: 0\n\n", 200},
		"HTTP/1.0 without":     {"POST /in/orders HTTP/1.0\n\n", 400},
		"HTTP/1.0 in chunks":   {"POST /in/orders HTTP/1.0\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n", 400},
		"HTTP/1.0 DELETE":      {"DELETE /in/orders HTTP/1.0\n\n", 400},
	} {
		before := len(s.stored(t))
		a := s.send(t, test.head, "")
		wantEqual(t, about, a.status, test.want)
		wantPublic(t, about, a)
		wantEqual(t, about+": who may read it", a.header.Get("Access-Control-Allow-Origin"), "*")
		if stored := len(s.stored(t)) - before; (stored == 1) != (test.want == 200) {
			t.Errorf("%s: %d stored", about, stored)
		}
	}
}

// TestTrailers come after a body in chunks.
func TestTrailers(t *testing.T) {
	s := start(t, nil)
	head := func(lines string) string {
		return "POST /in/orders HTTP/1.1\nHost: cap\n" + lines + "Transfer-Encoding: chunked\n\n"
	}
	trailers := func(n int) string {
		return "2\r\nhi\r\n0\r\n" + strings.Repeat("X-T: 1\r\n", n) + "\r\n"
	}
	wantEqual(t, "status", s.send(t, head("Trailer: X-T\n"), "2\r\nhi\r\n0\r\nX-T: 1\r\nx-u: \xff\r\nX-U: 2\r\n\r\n").status, 200)
	got := s.last(t)
	wantEqual(t, "trailers", got.Trailers, []hook.Header{
		{Name: "X-T", Value: "1"}, {Name: "X-U", Value: "\xff"}, {Name: "X-U", Value: "2"},
	})
	wantEqual(t, "body and framing", []any{string(got.Body), got.Chunked, got.BodySize}, []any{"hi", true, int64(2)})
	wantEqual(t, "many", s.send(t, head(""), trailers(hook.MaxTrailerLines)).status, 200)
	wantEqual(t, "stored of many", len(s.last(t).Trailers), hook.MaxTrailerLines)
	a := s.send(t, head(""), trailers(hook.MaxTrailerLines+1))
	wantEqual(t, "one too many", a.status, 431)
	wantPublic(t, "one too many", a)
	wantEqual(t, "too long", s.send(t, head(""), trailers(10_000)).status/100, 4)
	s.wantStored(t, "after all", 2)
}

// TestClientAddress believes the header of a trusted proxy; the tests are on loopback, which is one here.
func TestClientAddress(t *testing.T) {
	s := start(t, nil)
	s.get(t, "/in/orders", "X-Forwarded-For: 1.1.1.1, 203.0.113.9\nX-Forwarded-Proto: https\nX-Real-IP: 6.6.6.6\n")
	got := s.last(t)
	wantEqual(t, "the client", []string{got.ClientAddr, got.Scheme, got.TLS}, []string{"203.0.113.9", "https", ""})
	if !strings.HasPrefix(got.RemoteAddr, "127.0.0.1:") {
		t.Errorf("the peer is %s", got.RemoteAddr)
	}
}

func TestTLSIsNoted(t *testing.T) {
	s := newSite(t, nil)
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = false
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for version, want := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		s.dial = func() (net.Conn, error) {
			return tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{
				RootCAs: roots, ServerName: "example.com", MinVersion: version, MaxVersion: version,
			})
		}
		wantEqual(t, "status", s.get(t, "/in/orders", "").status, 200)
		got := s.last(t)
		wantEqual(t, "TLS", []string{got.Scheme, got.TLS}, []string{"https", want})
	}
}

// TestPipelined sends two requests at once on one connection: both are stored, in order.
func TestPipelined(t *testing.T) {
	s := start(t, nil)
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 2 {
		fmt.Fprintf(conn, "POST /in/orders/%d HTTP/1.1\r\nHost: cap\r\nContent-Length: 2\r\n%s\r\nhi", i, []string{"", "Connection: close\r\n"}[i])
	}
	content, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "answers", strings.Count(string(content), "HTTP/1.1 200 OK"), 2)
	var paths []string
	for _, r := range s.stored(t) {
		paths = append(paths, r.Path)
	}
	wantEqual(t, "stored", paths, []string{"/in/orders/0", "/in/orders/1"})
}
