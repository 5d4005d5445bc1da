package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// setUp is what there is to know about how a connection came to be, or did not.
type setUp struct {
	dns, connect, tls time.Duration
	remote            string // ip:port, "" when no address was tried
	version           string // of TLS, "" without
}

// conn is a connection that remembers its set-up.
type conn struct {
	net.Conn
	setUp setUp
}

// dialError is the end of a set-up that failed. The error is a *Refused or an *Error.
type dialError struct {
	setUp setUp
	err   error
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func (g *Guard) dialPlain(ctx context.Context, _, address string) (net.Conn, error) {
	return g.dial(ctx, address)
}

func (g *Guard) dialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	plain, err := g.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err // address has been dialled, so there is none
	}
	config := g.tls.Clone()
	config.ServerName = canonical(host)
	ctx, cancel := context.WithTimeout(ctx, g.handshakeTimeout)
	defer cancel()
	began := time.Now()
	encrypted := tls.Client(plain.Conn, config)
	err = encrypted.HandshakeContext(ctx)
	plain.setUp.tls = time.Since(began)
	if err != nil {
		plain.Close()
		return nil, &dialError{plain.setUp, handshakeFailure(err, config.ServerName, g.handshakeTimeout)}
	}
	plain.setUp.version = tls.VersionName(encrypted.ConnectionState().Version)
	return &conn{encrypted, plain.setUp}, nil
}

// dial connects to the first of the addresses of host:port that may be reached and answers.
func (g *Guard) dial(ctx context.Context, address string) (*conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &dialError{err: &Error{PhaseRequest, "the target has no host and port", err}}
	}
	d := &dialling{allow: g.allow, host: canonical(host), began: time.Now()}
	dialer := net.Dialer{Timeout: g.connectTimeout, Resolver: g.resolver, ControlContext: d.control}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	made := d.setUp(time.Now())
	if err != nil {
		return nil, &dialError{made, d.failure(err, g.connectTimeout)}
	}
	made.remote = connection.RemoteAddr().String()
	return &conn{connection, made}, nil
}

// dialling is one name being dialled. The addresses it resolves to may be tried two at a time (RFC 8305).
type dialling struct {
	allow AllowList
	host  string // canonical
	began time.Time

	mu       sync.Mutex
	resolved time.Time // zero while there is no address
	last     string    // the address that was let through last, ip:port
}

// control is called with each address before a socket connects to it: here is the gate.
func (d *dialling) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	now := time.Now()
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Refused{Addr: address, Why: "is not an address that can be judged", Always: true}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resolved.IsZero() {
		d.resolved = now
	}
	if refused := d.allow.judge(d.host, target.Addr(), target.Port()); refused != nil {
		return refused
	}
	d.last = address
	return nil
}

func (d *dialling) setUp(ended time.Time) setUp {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resolved.IsZero() {
		return setUp{dns: ended.Sub(d.began)}
	}
	return setUp{dns: d.resolved.Sub(d.began), connect: ended.Sub(d.resolved), remote: d.last}
}

// failure returns the error of a dial that failed. Of a name with several addresses, some of them refused, it is about
// the others: those may answer next time.
func (d *dialling) failure(err error, timeout time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	refused, isRefused := errors.AsType[*Refused](err)
	_, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isRefused && d.last == "":
		return refused
	case isRefused:
		return &Error{PhaseConnect, "no connection to the addresses that are allowed", err}
	case isDNS || d.resolved.IsZero() && isTimeout(err):
		return lookupFailure(err, timeout)
	}
	return connectFailure(err, timeout)
}
