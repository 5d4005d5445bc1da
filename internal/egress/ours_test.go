package egress

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestOurs: what this machine lacks is not held against the target, and nothing else is excused by it.
func TestOurs(t *testing.T) {
	t.Parallel()
	dial := func(call string, number syscall.Errno, ip string) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, Err: os.NewSyscallError(call, number)}
	}
	lookup := func(text string) error { return &net.DNSError{Err: text, Name: "shop.example"} }
	for _, test := range []struct {
		err  error
		ours bool
	}{
		{dial("socket", syscall.EMFILE, "192.0.2.1"), true},
		{dial("socket", syscall.ENFILE, "2001:db8::1"), true},
		{dial("connect", syscall.ENOBUFS, "192.0.2.1"), true},
		{dial("connect", syscall.ENOMEM, "192.0.2.1"), true},
		{dial("connect", syscall.EADDRNOTAVAIL, "192.0.2.1"), true},
		{dial("connect", syscall.EADDRNOTAVAIL, "2001:db8::1"), false},
		{dial("connect", syscall.ECONNREFUSED, "192.0.2.1"), false},
		{lookup("dial udp 192.0.2.53:53: socket: too many open files"), true},
		{lookup("server misbehaving"), false},
	} {
		d := &dialling{}
		failure, ok := errors.AsType[*Error](d.failure(test.err, time.Second))
		if !ok || failure.Ours() != test.ours {
			t.Errorf("%v: %+v", test.err, failure)
		}
	}
	if (&Error{PhaseAnswer, "no memory", syscall.ENOMEM}).Ours() {
		t.Error("a request that was sent is excused")
	}
}
