package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestOurCookies: a browser that is logged in sends its cookies to capture URLs as well. They are cut out before anything
// is stored, so that neither the reader of a request nor who gets hold of the database can use them; what other sites on
// the host have set stays.
func TestOurCookies(t *testing.T) {
	t.Parallel()
	t.Run("http", func(t *testing.T) { testOurCookies(t, start(t), "") })
	t.Run("https", func(t *testing.T) {
		testOurCookies(t, start(t, "HOOKKEEPER_PUBLIC_URL=https://hooks.example", "HOOKKEEPER_ALLOWED_HOSTS=127.0.0.1"), "hooks.example")
	})
}

func testOurCookies(t *testing.T, s *server, host string) {
	if host == "" {
		host = s.Addr
	}
	u := s.newURL(nil)
	cookies := s.signIn(host, adminEmail, adminPassword)
	if len(cookies) != 2 {
		t.Fatalf("a login sets %d cookies; this test knows of two: %v", len(cookies), cookies)
	}
	ours, secrets := make([]string, len(cookies)), make([]string, len(cookies))
	for i, c := range cookies {
		ours[i], secrets[i] = c.Name+"="+c.Value, c.Value
	}
	for _, c := range []struct {
		sent, stored []string // Cookie lines; A and B stand for our cookies
	}{
		{[]string{"theme=others-1; A; B; lang=others-2"}, []string{"theme=others-1; lang=others-2"}},
		{[]string{"A; B"}, nil},
		{[]string{"A;B;theme=others-3"}, []string{"theme=others-3"}},
		{[]string{"A; A; x=others-4; B"}, []string{"x=others-4"}},
		{[]string{" A ;  B  "}, nil},
		{[]string{"A", "y=others-5", "B; z=others-6"}, []string{"y=others-5", "z=others-6"}},
		{[]string{"x=others-7"}, []string{"x=others-7"}},
	} {
		sent := make([]string, len(c.sent))
		for i, line := range c.sent {
			sent[i] = "Cookie: " + strings.NewReplacer("A", ours[0], "B", ours[1]).Replace(line)
		}
		s.checkCookies(t, host, u, sent, c.stored)
	}
	// A request that is too large is stored without its body, but with its head.
	large := []string{"Host: " + host, "Cookie: " + strings.Join(ours, "; "), fmt.Sprintf("Content-Length: %d", hook.DefaultMaxBody+1)}
	if a := s.trade(headOf(u, large), "POST"); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large request: %+v", a)
	}
	s.kill() // leaves the -wal file as it is
	s.wantOnDisk(t, secrets)
	s.restart()
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	s.wantOnDisk(t, secrets)
}

func headOf(u captureURL, more []string) string {
	return head(append([]string{"POST /in/" + u.Slug + " HTTP/1.1"}, more...)...)
}

// checkCookies sends a request with Cookie lines and compares those that are stored.
func (s *server) checkCookies(t *testing.T, host string, u captureURL, sent, stored []string) {
	t.Helper()
	id := s.trade(headOf(u, append([]string{"Host: " + host, "Content-Length: 0"}, sent...)), "POST").header.Get("Hookkeeper-Request-Id")
	if problem := headerIs("Cookie", stored...)(u, s.request(id)); problem != "" {
		t.Errorf("%q: %s", sent, problem)
	}
}

// wantOnDisk searches every file of the data directory: for the secrets, which must not be there, and for a cookie of
// others, which shows that the search finds what is there.
func (s *server) wantOnDisk(t *testing.T, secrets []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.DataDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	foundOthers := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		foundOthers = foundOthers || bytes.Contains(content, []byte("others-2"))
		for i, secret := range secrets {
			if n := bytes.Count(content, []byte(secret)); n > 0 {
				t.Errorf("%s holds the value of cookie %d, %d times", filepath.Base(file), i, n)
			}
		}
	}
	if !foundOthers {
		t.Errorf("the cookies of others are not found in %q", files)
	}
}
