package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serveBare is the yardstick: a handler that only reads the body, in a process of its own like the server.
func serveBare() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	os.Exit(0)
}

// post is the bytes of a POST with a body of n bytes.
func post(path, host string, n int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"+
		"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, host, n, bytes.Repeat([]byte("x"), n))
}

// sender keeps one connection busy. It is as cheap as it can be, because it shares the cores with what it measures.
type sender struct {
	conn   net.Conn
	reader *bufio.Reader
	last   bool // the answer said that the connection will be closed
}

func newSender(addr string) (*sender, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &sender{conn: conn, reader: bufio.NewReaderSize(conn, 1024)}, nil
}

// send sends a request and returns the status and the id of the answer.
func (s *sender) send(request []byte) (status int, id string, err error) {
	if _, err := s.conn.Write(request); err != nil {
		return 0, "", err
	}
	return s.receive()
}

// receive reads the answer to a request.
func (s *sender) receive() (status int, id string, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := s.reader.ReadSlice('\n')
		if err != nil {
			return 0, "", err
		}
		switch {
		case first:
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, "", err
			}
		case len(line) <= 2:
			_, err := s.reader.Discard(length)
			return status, id, err
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[16:]))); err != nil {
				return 0, "", err
			}
		case bytes.Equal(line, []byte("Connection: close\r\n")):
			s.last = true
		case bytes.HasPrefix(line, []byte("Hookkeeper-Request-Id: ")):
			id = string(bytes.TrimSpace(line[23:]))
		}
	}
}

// load sends a request over and over on many connections for a while, and returns how many were answered 200 and how
// long each took.
func load(t testing.TB, addr string, request []byte, connections int, d time.Duration) (answered int64, perSecond float64) {
	t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, connections)
	start := time.Now()
	stop := start.Add(d)
	for range connections {
		wg.Go(func() {
			s, err := newSender(addr)
			if err != nil {
				failed <- err
				return
			}
			defer s.conn.Close()
			for time.Now().Before(stop) {
				status, _, err := s.send(request)
				if err == nil && status != http.StatusOK {
					err = errors.New("status " + strconv.Itoa(status))
				}
				if err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	return count.Load(), float64(count.Load()) / elapsed.Seconds()
}

// pace lets time pass that is part of a load. Nothing is waited for.
func pace(d time.Duration) { <-time.After(d) }
