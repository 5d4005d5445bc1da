package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is a name server whose answers a test decides: answers gets a name and how often it was asked for (from 0) and
// returns its IPv4 addresses, a name it is an alias of, or nothing at all to be silent.
type zone struct {
	answers func(name string, times int) (addrs []string, alias string, silent bool)

	mu    sync.Mutex
	asked map[string]int
}

// resolver starts the name server and returns what asks it, over TCP: a hundred addresses do not fit into a packet.
func (z *zone) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	z.asked = map[string]int{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go z.serve(conn)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	}}
}

// serve answers the questions of one connection, each with its length before it (RFC 1035, 4.2.2).
func (z *zone) serve(conn net.Conn) {
	defer conn.Close()
	for {
		length := make([]byte, 2)
		if _, err := io.ReadFull(conn, length); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(length))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		reply := z.reply(packet)
		if reply == nil {
			continue // silence
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil { //nolint:gosec // fits
			return
		}
	}
}

func (z *zone) reply(packet []byte) []byte {
	var question dnsmessage.Message
	if question.Unpack(packet) != nil || len(question.Questions) != 1 {
		return nil
	}
	q := question.Questions[0]
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true, RecursionDesired: true},
		Questions: question.Questions,
	}
	name := strings.TrimSuffix(q.Name.String(), ".")
	times := 0
	if q.Type == dnsmessage.TypeA {
		z.mu.Lock()
		times = z.asked[name]
		z.asked[name]++
		z.mu.Unlock()
	}
	addrs, alias, silent := z.answers(name, times)
	switch {
	case silent:
		return nil
	case len(addrs) == 0 && alias == "":
		reply.RCode = dnsmessage.RCodeNameError
	}
	owner := q.Name
	if alias != "" {
		target := dnsmessage.MustNewName(alias + ".")
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: target},
		})
		owner = target
	}
	for _, text := range addrs {
		addr := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET}
		switch {
		case addr.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// TestNameServers is row F12: a verdict is about the address that is dialled, each time anew. 127.0.0.2 stands for the public
// address of a target, 127.0.0.1 for a private one: only the first is allowed.
func TestNameServers(t *testing.T) {
	t.Parallel()
	var private atomic.Int64
	count := func(http.ResponseWriter, *http.Request) { private.Add(1) }
	inside := httptest.NewServer(http.HandlerFunc(count))
	t.Cleanup(inside.Close)
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	outside := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("this system has no second loopback address: ", err)
	}
	_ = outside.Listener.Close()
	outside.Listener = listener
	outside.Start()
	t.Cleanup(outside.Close)

	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.0.%d", i+1)
	}
	z := &zone{answers: func(name string, times int) ([]string, string, bool) {
		switch name {
		case "flips.test":
			return []string{[]string{"127.0.0.2", "127.0.0.1"}[min(times, 1)]}, "", false
		case "mixed.test":
			return []string{"127.0.0.1", "10.0.0.7", "127.0.0.2", "::1"}, "", false
		case "alias.test":
			return []string{"169.254.169.254"}, "metadata.test", false
		case "private.test":
			return []string{"127.0.0.1", "10.0.0.7"}, "", false
		case "hundred.test":
			return many, "", false
		case "hundred-and-one.test":
			return append(slices.Clone(many), "127.0.0.2"), "", false
		case "slow.test":
			return nil, "", true
		}
		return nil, "", false
	}}
	guard := New(Options{Allow: allowing(t, "127.0.0.2/32"), Resolver: z.resolver(t)})
	t.Cleanup(guard.Close)
	guard.connectTimeout = time.Second
	post := func(name string) error {
		_, err := guard.Do(t.Context(), Request{Method: "POST", URL: "http://" + name + ":" + port + "/", Body: []byte("secret")})
		return err
	}
	for _, name := range []string{"mixed.test", "flips.test", "hundred-and-one.test"} {
		if err := post(name); err != nil {
			t.Errorf("%s has an address that is allowed: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"flips.test":   "127.0.0.1 is a loopback address",
		"alias.test":   "169.254.169.254 is a cloud metadata address, which is always refused",
		"private.test": "is a",
		"hundred.test": "is a private address",
	} {
		err := post(name)
		if _, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it refused: %q", name, err, want)
		}
	}
	for name, want := range map[string]string{"slow.test": "no answer from the name server within 1 s", "nowhere.test": "no such host"} {
		err := post(name)
		if failed, ok := errors.AsType[*Error](err); !ok || failed.Phase != PhaseDNS || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if n := private.Load(); n > 0 {
		t.Errorf("the private address got %d requests", n)
	}
}
