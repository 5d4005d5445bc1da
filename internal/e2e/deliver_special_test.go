package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestNoProxyOfTheEnvironment: a proxy would connect to targets behind the guard's back, and sees what is delivered.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	var connections atomic.Int64
	go func() {
		for {
			conn, err := proxy.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	address := "http://" + proxy.Addr().String()
	// Go never uses a proxy for loopback addresses: the name makes the request one that it would use it for.
	g := newReceiver(t)
	s := start(t, "HOOKKEEPER_ALLOW_TARGETS=127.0.0.1,shop.test", "HTTP_PROXY="+address, "HTTPS_PROXY="+address, "ALL_PROXY="+address,
		"http_proxy="+address, "https_proxy="+address, "all_proxy="+address, "NO_PROXY=", "no_proxy=")
	u := s.newURL(nil)
	s.subscribe(u, g.URL, nil)
	s.subscribe(u, "http://shop.test/", map[string]any{"name": "elsewhere"})
	s.subscribe(u, "https://shop.test/", map[string]any{"name": "elsewhere"})
	id := s.capture(u, "x")
	eventually(t, "all three have been tried", func() bool {
		var page struct {
			Items []struct {
				AttemptCount int `json:"attempt_count"`
			}
		}
		s.api("GET", "/api/v1/deliveries?request_id="+id, nil, http.StatusOK, &page)
		tried := 0
		for _, d := range page.Items {
			tried += min(d.AttemptCount, 1)
		}
		return tried == 3
	})
	if n := connections.Load(); n > 0 {
		t.Errorf("the proxy got %d connections", n)
	}
	if requests, _ := g.received(); requests != 1 {
		t.Errorf("the target got %d requests", requests)
	}
	if log := s.log.String(); !strings.Contains(log, "HTTPS_PROXY") || strings.Contains(log, address) {
		t.Error("the log does not say that a proxy is ignored, or says which")
	}
}

// TestLoopEnds: two capture URLs that deliver to each other pass a request on five times.
func TestLoopEnds(t *testing.T) {
	t.Parallel()
	s := start(t, allowLoopback)
	a, b := s.newURL(nil), s.newURL(nil)
	subs := []string{s.subscribe(a, s.url("/in/"+b.Slug), nil), s.subscribe(b, s.url("/in/"+a.Slug), nil)}
	s.capture(a, "x")
	eventually(t, "a delivery is answered with 508", func() bool {
		for _, sub := range subs {
			var page struct {
				Items []struct {
					LastStatus int `json:"last_status"`
				}
			}
			s.api("GET", "/api/v1/deliveries?subscription_id="+sub, nil, http.StatusOK, &page)
			for _, d := range page.Items {
				if d.LastStatus == http.StatusLoopDetected {
					return true
				}
			}
		}
		return false
	})
	stored := 0
	for _, u := range []captureURL{a, b} {
		var page struct{ Items []json.RawMessage }
		s.api("GET", "/api/v1/capture-urls/"+u.ID+"/requests", nil, http.StatusOK, &page)
		stored += len(page.Items)
	}
	if stored != 6 {
		t.Errorf("%d requests are stored, want the first and five hops", stored)
	}
}

// TestAlerts has a subscription disabled by its target, and the operator told so with a post that verifies.
func TestAlerts(t *testing.T) {
	t.Parallel()
	type post struct {
		header http.Header
		body   []byte
	}
	posts := make(chan post, 10)
	operator := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header, body}
	}))
	t.Cleanup(operator.Close)
	g := newReceiver(t)
	g.status.Store(http.StatusGone)
	s := start(t, allowLoopback, "HOOKKEEPER_ALERT_URL="+operator.URL)
	u := s.newURL(nil)
	sub := s.subscribe(u, g.URL+"/hook?token=in-the-url", nil)
	s.capture(u, "x")
	got := <-posts
	secret, err := os.ReadFile(filepath.Join(s.DataDir, "alert.secret"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhook(strings.TrimSpace(string(secret)))
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("the alert does not verify: %v", err)
	}
	var alert struct {
		Type      string
		Timestamp string
		Data      struct {
			SubscriptionID string `json:"subscription_id"`
			CaptureURLID   string `json:"capture_url_id"`
			Name, Reason   string
			Unfinished     int
		}
	}
	if err := json.Unmarshal(got.body, &alert); err != nil {
		t.Fatal(err)
	}
	if alert.Type != "subscription.disabled" || alert.Data.SubscriptionID != sub || alert.Data.CaptureURLID != u.ID || alert.Data.Name != "shop" ||
		!strings.Contains(alert.Data.Reason, "410") || alert.Timestamp == "" {
		t.Errorf("the alert is %s", got.body)
	}
}
