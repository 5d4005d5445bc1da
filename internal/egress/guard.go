package egress

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	connectTimeout   = 5 * time.Second // name lookup and connecting together
	handshakeTimeout = 5 * time.Second // of TLS

	idleTimeout = 60 * time.Second
)

// MaxIdle is how many connections are kept open, to all targets, unless Options say otherwise.
const MaxIdle = 2048

// Options are the parts of a Guard that its maker decides.
type Options struct {
	Allow    AllowList
	Resolver *net.Resolver  // nil: Go's own, which takes only the usual spelling of addresses
	MaxIdle  int            // 0: MaxIdle
	RootCAs  *x509.CertPool // nil: the system's; something else in tests only
}

// Guard sends requests and keeps connections for the next ones. It is safe for concurrent use.
type Guard struct {
	allow            AllowList
	resolver         *net.Resolver
	tls              *tls.Config
	transport        *http.Transport
	connectTimeout   time.Duration
	handshakeTimeout time.Duration
}

// New returns a Guard without connections.
func New(o Options) *Guard {
	g := &Guard{
		allow:            o.Allow,
		resolver:         o.Resolver,
		tls:              &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs, NextProtos: []string{"http/1.1"}},
		connectTimeout:   connectTimeout,
		handshakeTimeout: handshakeTimeout,
	}
	if g.resolver == nil {
		g.resolver = &net.Resolver{PreferGo: true}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	g.transport = &http.Transport{
		Proxy:                  nil, // also not the one of the environment
		DialContext:            g.dialPlain,
		DialTLSContext:         g.dialTLS,
		Protocols:              protocols,
		DisableCompression:     true, // neither ask for it nor undo it
		MaxResponseHeaderBytes: hook.MaxTargetAnswerHeaders,
		MaxIdleConns:           cmp.Or(o.MaxIdle, MaxIdle),
		MaxIdleConnsPerHost:    hook.MaxConcurrency,
		IdleConnTimeout:        idleTimeout,
	}
	return g
}

// Close closes the connections that no request uses.
func (g *Guard) Close() { g.transport.CloseIdleConnections() }
