package capture

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// pipes is a listener within the process. Its connections have deadlines and no sockets, so that a synctest bubble knows
// when they wait.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// pipeEnd is the server's end of a connection; it comes from loopback.
type pipeEnd struct{ net.Conn }

func (pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321} }

// startInBubble serves a site in a synctest bubble. done gets a value each time that the handler has returned.
func startInBubble(t *testing.T, change func(*site)) (s *site, done chan struct{}) {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // ids begin in 2020
	s = newSite(t, nil)
	if change != nil {
		change(s)
	}
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	done = make(chan struct{}, 1000)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		s.ServeHTTP(w, r)
	})}
	configure(server)
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	s.dial = func() (net.Conn, error) {
		client, end := net.Pipe()
		listener.conns <- pipeEnd{end}
		return client, nil
	}
	return s, done
}
