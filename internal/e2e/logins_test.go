package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// behindProxy makes a server believe who its tests say they are: each login then comes from an address of its own.
const behindProxy = "HOOKKEEPER_TRUSTED_PROXIES=127.0.0.0/8"

// addUsers adds users with the admin's password, user0@example.com and so on, as fast as no command could.
func (s *server) addUsers(n int) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.DataDir, "hookkeeper.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < $1 - 1)
		INSERT INTO users (id, email, email_key, password_hash, admin, session_epoch, created_at)
		SELECT u.id + i + 1, 'user' || i || '@example.com', 'user' || i || '@example.com', u.password_hash, FALSE, 0, u.created_at FROM users u, n`, n)
	if err != nil {
		s.t.Fatal(err)
	}
}

// tryLogin logs in from an address of its own and returns the status and how long the answer took.
func (s *server) tryLogin(client *http.Client, i int, email, password string) (status int, took time.Duration) {
	s.t.Helper()
	form := url.Values{"email": {email}, "password": {password}}
	req, err := http.NewRequest(http.MethodPost, s.url("/login"), strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Error(err)
		return 0, 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", i/250, i%250))
	begin := time.Now()
	resp, err := client.Transport.RoundTrip(req)
	if err != nil {
		s.t.Error(err)
		return 0, 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode, time.Since(begin)
}

// TestLoginsAtOnce has 200 people log in at the same moment: all of them come in, and the server does not take 100 MB more.
func TestLoginsAtOnce(t *testing.T) {
	const logins = 200
	s := start(t, behindProxy)
	s.addUsers(logins)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: logins}}
	defer client.CloseIdleConnections()
	s.login() // which hashes once
	before := s.memory()
	most := s.watchMemory()
	var all sync.WaitGroup
	for i := range logins {
		all.Go(func() {
			if status, _ := s.tryLogin(client, i, fmt.Sprintf("user%d@example.com", i), adminPassword); status != http.StatusSeeOther {
				t.Errorf("login %d: status %d", i, status)
			}
		})
	}
	all.Wait()
	grown := most() - before
	t.Logf("%d logins at once: %d MB more", logins, grown>>20)
	if grown > 100<<20 {
		t.Errorf("%d logins at once took %d MB", logins, grown>>20)
	}
}

// BenchmarkLogin measures wrong passwords of users that are there and of users that are not, 500 each, in turns, over HTTP.
func BenchmarkLogin(b *testing.B) {
	const users = 500
	s := start(b, behindProxy)
	s.addUsers(users)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var known, unknown []time.Duration
	for i := range users {
		for _, try := range []struct {
			name string
			took *[]time.Duration
		}{{"user", &known}, {"nobody", &unknown}} {
			status, took := s.tryLogin(client, i, fmt.Sprintf("%s%d@example.com", try.name, i), "not the password")
			if status != http.StatusUnauthorized && status != http.StatusUnprocessableEntity {
				b.Fatalf("status %d", status)
			}
			*try.took = append(*try.took, took)
		}
	}
	for b.Loop() { // the figures are of the 500 each
	}
	k, u := percentile(known, 0.5), percentile(unknown, 0.5)
	b.ReportMetric(float64(k.Microseconds())/1000, "known-ms")
	b.ReportMetric(float64(u.Microseconds())/1000, "unknown-ms")
	b.ReportMetric(float64(k)/float64(u), "known/unknown")
	b.ReportMetric(0, "ns/op")
}
