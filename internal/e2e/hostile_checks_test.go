package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

// head is the head of a request: its lines, and the empty one behind them.
func head(list ...string) string { return strings.Join(list, "\r\n") + "\r\n\r\n" }

// thenEnd ends the sender's half of a connection, as a client that crashed properly.
func thenEnd(conn net.Conn) { _ = conn.(*net.TCPConn).CloseWrite() }

// thenReset ends a connection as a machine does that knows nothing of it.
func thenReset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// thenDrip sends text byte by byte, one a second, until the server has had enough.
func thenDrip(text string) func(net.Conn) {
	return func(conn net.Conn) {
		tick := time.NewTicker(900 * time.Millisecond) // no byte meets the end of a time that is counted in seconds: a reset would eat the answer
		defer tick.Stop()
		for i := range len(text) {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
			<-tick.C
		}
	}
}

// check returns what is wrong with a stored request, "" when nothing is.
type check func(captureURL, apiRequest) string

func mismatch(what string, got, want any) string {
	return fmt.Sprintf("%s is %.300q, want %.300q", what, got, want)
}

// equal compares one property; SLUG in what is wanted stands for the slug.
func equal(what string, of func(apiRequest) string, want string) check {
	return func(u captureURL, r apiRequest) string {
		if got, want := of(r), strings.ReplaceAll(want, "SLUG", u.Slug); got != want {
			return mismatch(what, got, want)
		}
		return ""
	}
}

func bodyIs(want string) check { return equal("the body", apiRequest.bodyBytes, want) }
func pathIs(want string) check { return equal("the path", apiRequest.pathBytes, want) }
func queryIs(want string) check {
	return equal("the query", func(r apiRequest) string { return r.Query }, want)
}

func hostIs(want string) check {
	return equal("the host", func(r apiRequest) string { return r.Host }, want)
}

func methodIs(want string) check {
	return equal("the method", func(r apiRequest) string { return r.Method }, want)
}

func protocolIs(want string) check {
	return equal("the protocol", func(r apiRequest) string { return r.Proto }, want)
}

func framingIs(want string) check {
	return equal("the framing", func(r apiRequest) string { return r.Framing }, want)
}

func clientIs(want string) check {
	return equal("the client", func(r apiRequest) string { return r.ClientAddr }, want)
}

func headerIs(name string, want ...string) check  { return inList("header", headersOf, name, want) }
func trailerIs(name string, want ...string) check { return inList("trailer", trailersOf, name, want) }

func headersOf(r apiRequest) []apiHeader  { return r.Headers }
func trailersOf(r apiRequest) []apiHeader { return r.Trailers }

// inList compares the values that a name has, in their order; none are wanted when want is empty.
func inList(what string, list func(apiRequest) []apiHeader, name string, want []string) check {
	return func(_ captureURL, r apiRequest) string {
		var got []string
		for _, h := range list(r) {
			if h.Name == name {
				got = append(got, h.bytes())
			}
		}
		if !slices.Equal(got, want) {
			return mismatch(what+" "+name, got, want)
		}
		return ""
	}
}

// size compares the size of a body that is too long to be repeated; truncated tells whether it was kept.
func sizeIs(want int64, truncated bool) check {
	return func(_ captureURL, r apiRequest) string {
		if r.BodySize != want || r.Truncated != truncated {
			return fmt.Sprintf("the body has %d bytes, truncated %t; want %d, %t", r.BodySize, r.Truncated, want, truncated)
		}
		return ""
	}
}

func (h apiHeader) bytes() string {
	if h.ValueBase64 != nil {
		return string(h.ValueBase64)
	}
	return h.Value
}

func (r apiRequest) bodyBytes() string {
	if r.Body != nil {
		return *r.Body
	}
	return string(r.BodyBase64)
}

func (r apiRequest) pathBytes() string {
	if r.PathBase64 == nil {
		return r.Path
	}
	raw, err := base64.StdEncoding.DecodeString(*r.PathBase64)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// fetch asks for a page or an API document as whoever the session belongs to.
func (s *server) fetch(path string, session *http.Cookie) answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url(path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if session != nil {
		req.AddCookie(session)
	}
	return s.exchange(req)
}

// exchange sends a request, follows nothing and reads the answer.
func (s *server) exchange(req *http.Request) answer {
	s.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b.String()}
}

// pageTexts returns the text that a page shows, and the pieces of it that are set apart from what was sent.
func (s *server) pageTexts(path string, session *http.Cookie) (shown string, marked []string) {
	s.t.Helper()
	a := s.fetch(path, session)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s: status %d", path, a.status)
	}
	page := htmltest.Parse(s.t, a.body)
	return page.One("html").RawText(), page.Texts(".esc")
}
