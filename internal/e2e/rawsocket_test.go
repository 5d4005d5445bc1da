package e2e

import (
	"bufio"
	wire "encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/htmltest"
)

// First bytes of frames, RFC 6455 section 5.2: the bit for the last fragment, and what is in it.
const (
	frameMore   = 0x0
	frameFinal  = 0x80
	frameText   = frameFinal | 0x1
	frameBinary = frameFinal | 0x2
	frameClose  = frameFinal | 0x8
	framePing   = frameFinal | 0x9
	framePong   = frameFinal | 0xA
)

// rawSocket is a WebSocket whose bytes are written by hand, so that they can be wrong.
type rawSocket struct {
	t      testing.TB
	conn   net.Conn
	reader *bufio.Reader
	answer // to the upgrade
}

// upgrade asks for a WebSocket at a path, with more header lines. It follows what was answered, 101 or not.
func (s *server) upgrade(path string, more ...string) *rawSocket {
	s.t.Helper()
	if !slices.ContainsFunc(more, func(line string) bool { return strings.HasPrefix(line, "Host: ") }) {
		more = append(more, "Host: "+s.Addr)
	}
	asking := head(append([]string{
		"GET " + path + " HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, more...)...)
	conn := s.dial()
	s.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, asking); err != nil {
		s.t.Fatal(err)
	}
	r := &rawSocket{t: s.t, conn: conn, reader: bufio.NewReader(conn)}
	r.answer = readAnswer(r.reader, http.MethodGet)
	return r
}

// view opens a live view as a page of the dashboard does.
func (s *server) view(session *http.Cookie, path string) *rawSocket {
	s.t.Helper()
	r := s.upgrade(path, "Origin: http://"+s.Addr, "Cookie: "+session.String())
	if r.status != http.StatusSwitchingProtocols {
		s.t.Fatalf("%s: %+v", path, r.answer)
	}
	return r
}

func livePath(u captureURL) string { return "/urls/" + u.ID + "/live" }

// masked is a frame as a client sends it. The mask is zeros, which leave the payload readable.
func masked(first byte, payload string) string {
	return string(append(frameHead(first, 0x80, len(payload)), 0, 0, 0, 0)) + payload
}

// frameHead is a frame up to its mask: the length takes one byte, or the marker 126 or 127 and two or eight.
func frameHead(first, mask byte, length int) []byte {
	switch {
	case length < 126:
		return []byte{first, mask | byte(length)}
	case length < 1<<16:
		return wire.BigEndian.AppendUint16([]byte{first, mask | 126}, uint16(length))
	}
	return wire.BigEndian.AppendUint64([]byte{first, mask | 127}, uint64(length))
}

func (r *rawSocket) send(frames ...string) {
	_, _ = io.WriteString(r.conn, strings.Join(frames, "")) // fails when the server has closed, which the test will see
}

// frame reads one frame of the server, and answers it when it is a ping or says that it closes. They are whole and not masked.
func (r *rawSocket) frame() (first byte, payload []byte, err error) {
	start := make([]byte, 2)
	if _, err := io.ReadFull(r.reader, start); err != nil {
		return 0, nil, err
	}
	length := uint64(start[1])
	if more := map[byte]int{126: 2, 127: 8}[start[1]]; more > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(r.reader, long[8-more:]); err != nil {
			return 0, nil, err
		}
		length = wire.BigEndian.Uint64(long)
	}
	if length > 1<<20 {
		return 0, nil, errors.New("a frame of the server is too long")
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r.reader, payload); err != nil {
		return 0, nil, err
	}
	switch start[0] {
	case framePing:
		r.send(masked(framePong, string(payload)))
	case frameClose:
		r.send(masked(frameClose, string(payload)))
	}
	return start[0], payload, nil
}

// closeCode reads to the end, hangs up and returns why the server closed, 0 when it did not say.
func (r *rawSocket) closeCode() int {
	r.t.Helper()
	defer r.conn.Close()
	code := 0
	for {
		first, payload, err := r.frame()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.t.Fatal("the socket stays open")
		case err != nil:
			return code
		case first == frameClose && len(payload) >= 2:
			code = int(wire.BigEndian.Uint16(payload))
		}
	}
}

// news is a message of the server to a page.
type news struct {
	Type     string
	HTML     string
	First    string
	Last     string
	LeftOut  int `json:"left_out"`
	Kept     int64
	Received int64
	Items    []struct{ ID string }
	Removed  []string
}

// next reads the next message.
func (r *rawSocket) next() news {
	r.t.Helper()
	for {
		first, payload, err := r.frame()
		if err != nil {
			r.t.Fatal(err)
		}
		if first != frameText {
			continue
		}
		var n news
		if err := json.Unmarshal(payload, &n); err != nil {
			r.t.Fatalf("%v: %q", err, payload)
		}
		return n
	}
}

// rows returns the ids of the requests in a message, oldest first.
func (n news) rows(t testing.TB) (ids []string) {
	t.Helper()
	for _, row := range htmltest.Parse(t, n.HTML).All("li[data-id]") {
		ids = append(ids, row.Attr("data-id"))
	}
	slices.Reverse(ids)
	return ids
}

// readTo reads messages until one has told of the request, and returns the ids of all, oldest first, and how many were
// left out.
func (r *rawSocket) readTo(id string) (ids []string, leftOut int) {
	r.t.Helper()
	for len(ids) == 0 || ids[len(ids)-1] < id {
		n := r.next()
		if n.Type != "rows" {
			continue
		}
		rows := n.rows(r.t)
		if len(rows) == 0 || rows[0] != n.First || rows[len(rows)-1] != n.Last {
			r.t.Fatalf("a message from %s to %s has the rows %q", n.First, n.Last, rows)
		}
		ids = append(ids, rows...)
		leftOut += n.LeftOut
	}
	return ids, leftOut
}

// signIn logs in at a host with an address and a password, and returns all cookies that a browser would keep.
func (s *server) signIn(host, email, password string) []*http.Cookie {
	s.t.Helper()
	a := s.postForm(host, "/login", nil, url.Values{"email": {email}, "password": {password}})
	if a.status != http.StatusSeeOther {
		s.t.Fatalf("login of %s: %+v", email, a)
	}
	return (&http.Response{Header: a.header}).Cookies()
}

// postForm sends a form with cookies, as a program does that is no browser.
func (s *server) postForm(host, path string, cookies []*http.Cookie, form url.Values) answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return s.exchange(req)
}

// sessionOf returns the cookie of the session, which is the one that is not the device's.
func sessionOf(cookies []*http.Cookie) *http.Cookie {
	i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return strings.TrimPrefix(c.Name, "__Host-") == "hookkeeper" })
	return cookies[i]
}
