package web

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// pacedSite is a server in a synctest bubble, whose connections have no buffers: what is written was read.
type pacedSite struct {
	*site
	conns *connsSite
	user  hook.User
	url   hook.CaptureURL
}

func newPacedSite(t *testing.T) *pacedSite {
	t.Helper()
	<-time.After(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2020
	server, st := newServer(t, "", io.Discard)
	server.Log = slog.New(slog.DiscardHandler)
	s := &pacedSite{site: &site{t: t, web: server, store: st}, user: storetest.User(t, st, false)}
	s.url = storetest.CaptureURLOf(t, st, s.user)
	s.conns = serveConns(t, &Conns{PerAddr: hook.MaxConns}, server.ServeHTTP)
	return s
}

// ask sends a request of the API and reads the head of the answer, unless nothing is to be read.
func (s *pacedSite) ask(conn net.Conn, in *bufio.Reader, path string) *http.Response {
	s.t.Helper()
	send(s.t, conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+s.token(s.user)+"\r\n\r\n")
	if in == nil {
		return nil
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// wantClosed waits until the server has closed a connection.
func wantClosed(t *testing.T, about string, conn net.Conn, began time.Time, within time.Duration) {
	t.Helper()
	_, _ = io.WriteString(conn, "it takes one byte, to see who has left")
	if took := time.Since(began); took > within {
		t.Errorf("%s: closed after %v, want %v at most", about, took, within)
	}
}

// TestSlowReaderGetsAll: whoever reads as fast as a sender has to send gets all of a large answer, however long that takes, and
// has the connection for what is asked next.
func TestSlowReaderGetsAll(t *testing.T) {
	const size = 10 << 20
	synctest.Test(t, func(t *testing.T) {
		s := newPacedSite(t)
		path := requestPathOf(s.request(s.url.ID, strings.Repeat("x", size)).ID)
		for _, path := range []string{path, path + "/body"} {
			conn := s.conns.dial("192.0.2.1")
			in := bufio.NewReader(conn)
			began, body, got := time.Now(), s.ask(conn, in, path).Body, int64(0)
			for err := error(nil); err == nil; <-time.After(time.Second) {
				var n int64
				n, err = io.CopyN(io.Discard, body, hook.BodyRate)
				got += n
			}
			if took := time.Since(began); got < size || took < 2*exchangeTimeout {
				t.Fatalf("GET %s: %d bytes of %d in %v", path, got, size, took)
			}
			if next := s.ask(conn, in, path); next.StatusCode != http.StatusOK {
				t.Errorf("GET %s again: status %d", path, next.StatusCode)
			}
		}
	})
}

// TestWhoDoesNotReadIsLetGo: an answer is held for those who read it.
func TestWhoDoesNotReadIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPacedSite(t)
		request := requestPathOf(s.request(s.url.ID, strings.Repeat("x", 8<<20)).ID)
		for _, path := range []string{request, request + "/body", requestsPathOf(s.url.ID), "/login"} {
			conn, began := s.conns.dial("192.0.2.1"), time.Now()
			s.ask(conn, nil, path)
			wantClosed(t, path, conn, began, hook.BodyTimeout+time.Second)
		}
		for _, path := range []string{request, request + "/body"} {
			conn, began := s.conns.dial("192.0.2.1"), time.Now()
			body := s.ask(conn, bufio.NewReader(conn), path).Body
			if _, err := io.CopyN(io.Discard, body, 4<<20); err != nil {
				t.Fatal(err)
			}
			wantClosed(t, path+", half of it read", conn, began, hook.ReadPause)

			conn, began = s.conns.dial("192.0.2.1"), time.Now()
			body = s.ask(conn, bufio.NewReader(conn), path).Body
			for err := error(nil); err == nil; <-time.After(time.Second) {
				_, err = io.CopyN(io.Discard, body, hook.BodyRate/8)
			}
			wantClosed(t, path+", read a little at a time", conn, began, hook.BodyTimeout*3/2)
		}
		s.takeAllRoom()()
	})
}
