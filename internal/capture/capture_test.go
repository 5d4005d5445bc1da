package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// testMaxBody is above hook.SmallBody, so that bodies of both kinds fit.
const testMaxBody = 100_000

// site is a handler on a real store, and one capture URL.
type site struct {
	*Handler
	url  hook.CaptureURL
	dial func() (net.Conn, error)
}

// newSite makes one that nobody can reach yet. change alters the capture URL.
func newSite(t *testing.T, change func(*hook.CaptureURL)) *site {
	t.Helper()
	return newSiteOn(t, storetest.Open(t, store.Options{}), change)
}

func newSiteOn(t *testing.T, s *store.Store, change func(*hook.CaptureURL)) *site {
	t.Helper()
	u := hook.CaptureURL{
		OwnerID: storetest.User(t, s, true).ID, Name: "orders", Slug: "orders", CORS: true, Response: hook.DefaultResponse(),
	}
	if change != nil {
		change(&u)
	}
	if err := s.CreateCaptureURL(context.Background(), &u); err != nil {
		t.Fatal(err)
	}
	return &site{url: u, Handler: New(Options{
		Store: s, Tally: &tally.Tally{}, MaxBody: testMaxBody, Cookies: []string{"session", "__Host-session"}, Log: slog.New(slog.DiscardHandler),
		Proxies: netid.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Header: "x-forwarded-for"},
	})}
}

// start serves one on a socket.
func start(t *testing.T, change func(*hook.CaptureURL)) *site {
	t.Helper()
	return newSite(t, change).serve(t)
}

func (s *site) serve(t *testing.T) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	configure(server.Config)
	server.Start()
	t.Cleanup(server.Close)
	s.dial = func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) }
	return s
}

// configure sets what the product's server sets.
func configure(server *http.Server) {
	server.ReadHeaderTimeout = hook.HeaderTimeout
	server.ReadTimeout = hook.HeaderTimeout + hook.BodyTimeout
	server.WriteTimeout = hook.MaxResponseDelay + 35*1e9
	server.MaxHeaderBytes = hook.MaxHeaderBytes
	server.DisableGeneralOptionsHandler = true
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
}

type answer struct {
	status int
	header http.Header
	body   string
	closed bool // the server said that it will close the connection
}

// send sends a request as it stands on a connection of its own; \n becomes \r\n in its head. A connection that is closed
// without an answer gives status 0.
func (s *site) send(t *testing.T, head, body string) answer {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+body); err != nil {
		t.Log(err) // the server may answer before it has read everything
	}
	return receive(t, conn, head)
}

func receive(t *testing.T, conn net.Conn, head string) answer {
	t.Helper()
	method, _, _ := strings.Cut(head, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.Contains(err.Error(), "reset") {
		return answer{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{response.StatusCode, response.Header, string(content), response.Close}
}

// post sends a POST with a Content-Length and the header lines.
func (s *site) post(t *testing.T, target, lines, body string) answer {
	t.Helper()
	return s.send(t, fmt.Sprintf("POST %s HTTP/1.1\nHost: cap\nContent-Length: %d\n%s\n", target, len(body), lines), body)
}

// get sends a GET with the header lines.
func (s *site) get(t *testing.T, target, lines string) answer {
	t.Helper()
	return s.send(t, "GET "+target+" HTTP/1.1\nHost: cap\n"+lines+"\n", "")
}

// stored returns what is stored, oldest first.
func (s *site) stored(t *testing.T) (requests []*hook.Request) {
	t.Helper()
	ctx := context.Background()
	list, err := s.Store.Requests(ctx, hook.System, s.url.ID, store.RequestPage{After: 1, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, summary := range list {
		r, err := s.Store.Request(ctx, hook.System, summary.ID)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, r)
	}
	return requests
}

// last returns the request that was stored last.
func (s *site) last(t *testing.T) *hook.Request {
	t.Helper()
	list := s.stored(t)
	if len(list) == 0 {
		t.Fatal("nothing is stored")
	}
	return list[len(list)-1]
}

// wantStored counts what is stored.
func (s *site) wantStored(t *testing.T, about string, want int) {
	t.Helper()
	if got := len(s.stored(t)); got != want {
		t.Errorf("%s: %d requests are stored, want %d", about, got, want)
	}
}

func wantEqual[T any](t *testing.T, about string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", about, diff)
	}
}

// wantPublic looks for what every answer carries, whatever it says.
func wantPublic(t *testing.T, about string, a answer) {
	t.Helper()
	wantEqual(t, about+": nosniff", a.header["X-Content-Type-Options"], []string{"nosniff"})
	wantEqual(t, about+": sandbox", a.header["Content-Security-Policy"], []string{"sandbox"})
	if a.status >= 200 && a.status < 300 && a.status != http.StatusNoContent && a.header.Get("Hookkeeper-Request-Id") == "" {
		t.Errorf("%s: %d without the id of a request", about, a.status)
	}
}
