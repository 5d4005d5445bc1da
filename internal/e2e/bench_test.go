package e2e

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// startBare runs the yardstick in a process of its own and returns its address.
func startBare(t testing.TB) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOOKKEEPER_E2E_BARE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// BenchmarkCapture measures durable captures through the real server, with a viewer that reads and retention at work,
// against a handler that only reads the body, in turns: 64 connections, 1 KB each. Run it with -benchtime 5x or more; it
// reports medians.
func BenchmarkCapture(b *testing.B) {
	bare := startBare(b)
	s := start(b, "HOOKKEEPER_KEEP_REQUESTS=5000")
	u := s.newURL(nil)
	view := s.watch(u.ID)
	go drainViewer(view)
	const round = 2 * time.Second
	ours, theirs := post("/in/"+u.Slug, s.Addr, 1024), post("/", bare, 1024)
	load(b, s.Addr, ours, 64, round) // fills the capture URL, so that retention has work
	var captures, yardstick, ratios []float64
	for b.Loop() {
		_, x := load(b, bare, theirs, 64, round)
		_, y := load(b, s.Addr, ours, 64, round)
		captures, yardstick, ratios = append(captures, y), append(yardstick, x), append(ratios, y/x)
	}
	b.ReportMetric(median(captures), "captures/s")
	b.ReportMetric(median(yardstick), "bare/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func percentile(values []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*p))]
}

// login signs in as the admin and returns the session cookie.
func (s *server) login() *http.Cookie {
	s.t.Helper()
	session, status := s.loginOrNot()
	if session == nil {
		s.t.Fatalf("no session after the login: %s", status)
	}
	return session
}

// loginOrNot returns the session cookie of the admin, nil when the server gave none, and its status.
func (s *server) loginOrNot() (session *http.Cookie, status string) {
	s.t.Helper()
	body := strings.NewReader("email=" + adminEmail + "&password=" + strings.ReplaceAll(adminPassword, " ", "+"))
	req, err := http.NewRequest(http.MethodPost, s.url("/login"), body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		if c.Name == "hookkeeper" {
			return c, resp.Status
		}
	}
	return nil, resp.Status
}

// watch opens the live view of a capture URL.
func (s *server) watch(captureURL string) *websocket.Conn {
	s.t.Helper()
	return s.watchAs(s.login(), captureURL)
}

func (s *server) watchAs(session *http.Cookie, captureURL string) *websocket.Conn {
	s.t.Helper()
	conn, resp, err := dialLive(s, session, captureURL)
	if err != nil {
		s.t.Fatalf("%v %v", err, resp)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func dialLive(s *server, session *http.Cookie, captureURL string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{"Cookie": {session.String()}, "Origin": {"http://" + s.Addr}}
	return websocket.DefaultDialer.DialContext(context.Background(), "ws://"+s.Addr+"/urls/"+captureURL+"/live", header)
}

// drainViewer reads what comes until the socket is closed.
func drainViewer(conn *websocket.Conn) {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
}

// BenchmarkPages measures the list page of a capture URL with many requests, and one detail page, on the server's side of
// the socket: HOOKKEEPER_TEST_LONG makes it 1,000,000 requests instead of 20,000.
func BenchmarkPages(b *testing.B) {
	s, u := filled(b)
	session := s.login()
	latest := s.latest(u.ID)
	for name, path := range map[string]string{
		"list":   "/urls/" + u.ID,
		"older":  "/urls/" + u.ID + "?before=" + latest,
		"detail": "/urls/" + u.ID + "/requests/" + latest,
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if status := s.get(path, session); status != http.StatusOK {
					b.Fatalf("%s: status %d", path, status)
				}
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64(percentile(took, 0.5).Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(percentile(took, 0.99).Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkStart measures the time from the start of the process to its readiness with the same database.
func BenchmarkStart(b *testing.B) {
	s, _ := filled(b)
	var took []time.Duration
	for b.Loop() {
		if err := s.terminate(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		s.restart()
		took = append(took, time.Since(start))
	}
	b.ReportMetric(float64(percentile(took, 0.5).Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(s.memory())/(1<<20), "MB")
}

// filled starts a server whose capture URL holds many requests.
func filled(b *testing.B) (*server, captureURL) {
	b.Helper()
	want := int64(20_000)
	if long() {
		want = 1_000_000
	}
	s := start(b, "HOOKKEEPER_KEEP_REQUESTS=10000000", "HOOKKEEPER_KEEP_BYTES=100GiB")
	u := s.newURL(nil)
	for n := int64(0); n < want; {
		answered, _ := load(b, s.Addr, post("/in/"+u.Slug+"/orders", s.Addr, 200), 64, time.Second)
		n += answered
	}
	return s, u
}

func (s *server) latest(captureURL string) string {
	s.t.Helper()
	var r apiRequest
	s.api("GET", "/api/v1/capture-urls/"+captureURL+"/requests/latest", nil, http.StatusOK, &r)
	return r.ID
}

// get fetches a page as a browser with a session does and returns the status.
func (s *server) get(path string, session *http.Cookie) int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url(path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.AddCookie(session)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		if _, err := resp.Body.Read(buf); err != nil {
			return resp.StatusCode
		}
	}
}

// BenchmarkViewers measures the memory of idle viewers: HOOKKEEPER_TEST_LONG opens 2,000 of them, else 200.
func BenchmarkViewers(b *testing.B) {
	viewers := 200
	if long() {
		viewers = 2000
	}
	s := start(b)
	u := s.newURL(nil)
	idle := s.memory()
	var session *http.Cookie
	for i := range viewers {
		if i%20 == 0 { // a session has 20 sockets
			session = s.login()
		}
		go drainViewer(s.watchAs(session, u.ID))
	}
	for b.Loop() {
		s.sendOne(post("/in/"+u.Slug, s.Addr, 100))
	}
	b.ReportMetric(float64(idle)/(1<<20), "idle-MB")
	b.ReportMetric(float64(s.memory()-idle)/(1<<20), "more-MB")
	b.ReportMetric(float64(viewers), "viewers")
	b.ReportMetric(0, "ns/op")
}
