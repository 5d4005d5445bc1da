package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Phase is how far a request came.
type Phase string

// The phases, in their order.
const (
	PhaseRequest Phase = "request" // it cannot be sent as it is
	PhaseDNS     Phase = "dns"
	PhaseConnect Phase = "connect"
	PhaseTLS     Phase = "tls"
	PhaseAnswer  Phase = "answer" // sending the request, and waiting for the headers of the answer
	PhaseBody    Phase = "body"   // of the answer
)

// Error is the error of a request that got no answer, or not all of one.
type Error struct {
	Phase   Phase
	Message string // what went wrong, for people; nothing of the request, and of the answer only what is quoted
	err     error
}

// Error returns Message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, context.Canceled for instance. Its text is not for people.
func (e *Error) Unwrap() error { return e.err }

// Ours reports whether there was no connection for want of something that this machine lacks: descriptors, buffers, memory or
// local ports. The target has nothing to do with that.
func (e *Error) Ours() bool {
	if e.Phase != PhaseDNS && e.Phase != PhaseConnect {
		return false
	}
	dns, isDNS := errors.AsType[*net.DNSError](e.err)
	for _, number := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(e.err, number) || isDNS && strings.HasSuffix(dns.Err, number.Error()) { // net keeps only the text of that
			return true
		}
	}
	return errors.Is(e.err, syscall.EADDRNOTAVAIL) && isIPv4(e.err)
}

// isIPv4 reports whether err is about connecting to an IPv4 address. Where there is no IPv6, some systems say of all its
// addresses what they say of IPv4 when the ports are used up.
func isIPv4(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return false
	}
	addr, ok := op.Addr.(*net.TCPAddr)
	return ok && addr.IP.To4() != nil
}

func lookupFailure(err error, timeout time.Duration) error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isTimeout(err):
		return &Error{PhaseDNS, "no answer from the name server within " + seconds(timeout), err}
	case isDNS && dns.IsNotFound:
		return &Error{PhaseDNS, "no such host", err}
	}
	return &Error{PhaseDNS, "the host name cannot be looked up: " + quoted(cause(err)), err}
}

func connectFailure(err error, timeout time.Duration) error {
	if isTimeout(err) {
		return &Error{PhaseConnect, "no connection within " + seconds(timeout), err}
	}
	return &Error{PhaseConnect, cause(err), err}
}

// cause returns the text of the system's error, "connection refused", without the addresses around it.
func cause(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	return err.Error()
}

func handshakeFailure(err error, host string, timeout time.Duration) error {
	return &Error{PhaseTLS, handshakeMessage(err, host, timeout), err}
}

func handshakeMessage(err error, host string, timeout time.Duration) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return validity(invalid.Cert)
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for " + names(wrong.Certificate) + ", not " + host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an authority that is not trusted here"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "TLS handshake failed: the target does not speak TLS on this port"
	}
	switch {
	case isTimeout(err):
		return "no TLS handshake within " + seconds(timeout)
	case isClosed(err):
		return "TLS handshake failed: the connection was closed"
	}
	return "TLS handshake failed: " + quoted(strings.TrimPrefix(cause(err), "tls: "))
}

func validity(cert *x509.Certificate) string {
	if time.Now().Before(cert.NotBefore) {
		return "the certificate is not valid before " + cert.NotBefore.UTC().Format(time.DateOnly)
	}
	return "the certificate has expired (" + cert.NotAfter.UTC().Format(time.DateOnly) + ")"
}

// names returns the hosts that a certificate is for. Whoever made it wrote them.
func names(cert *x509.Certificate) string {
	hosts := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	if len(hosts) == 0 {
		return "no host"
	}
	const enough = 3
	if len(hosts) > enough {
		hosts = append(hosts[:enough:enough], "others")
	}
	return quoted(strings.Join(hosts, ", "))
}

// exchangeFailure is the error of a request that was sent and not answered.
func exchangeFailure(err error) error {
	switch {
	case isClosed(err):
		return &Error{PhaseAnswer, "the connection was closed before an answer came", err}
	case strings.Contains(err.Error(), "server response headers exceeded"): // net/http has no value for it
		return &Error{PhaseAnswer, "the answer's headers are larger than 64 KiB", err}
	}
	text := strings.TrimPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	return &Error{PhaseAnswer, "the answer is not valid HTTP: " + quoted(text), err}
}

// isClosed reports whether the other side ended the connection, one way or another.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http has no value for it
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// quoted returns text that others had a hand in: short, and with anything but printable ASCII written out.
func quoted(text string) string {
	const enough = 200
	if len(text) > enough {
		text = text[:enough] + "…"
	}
	literal := strconv.QuoteToASCII(text)
	if inner := literal[1 : len(literal)-1]; inner == text {
		return text
	}
	return literal
}

// seconds writes a duration as a user sets it: "15 s", "0.5 s".
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }
