package hook

import (
	"strings"
	"testing"
	"time"
)

// TestParseRetryAfter is row F14 of the corpus.
func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 21, 7, 28, 0, 0, time.UTC)
	for _, tc := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"0", MinRetryAfter, true},
		{"120", 2 * time.Minute, true},
		{" 120 ", 2 * time.Minute, true},
		{"31536000", MaxRetryAfter, true},
		{"99999999999999999999999", MaxRetryAfter, true},
		{"Wed, 21 Oct 2026 07:30:00 GMT", 2 * time.Minute, true},
		{"Wed, 21 Oct 2020 07:30:00 GMT", MinRetryAfter, true},
		{"Wed, 21 Oct 2093 07:30:00 GMT", MaxRetryAfter, true},
		{"", 0, false},
		{"-1", 0, false},
		{"1e99", 0, false},
		{"Wed, 21 Oct", 0, false},
		{"soon", 0, false},
	} {
		if got, ok := ParseRetryAfter(tc.value, now); got != tc.want || ok != tc.ok {
			t.Errorf("%q: %v, %v; want %v, %v", tc.value, got, ok, tc.want, tc.ok)
		}
	}
}

// TestDefaultScheduleIsThatOfStandardWebhooks: ten attempts, the last after 75:35:05.
func TestDefaultScheduleIsThatOfStandardWebhooks(t *testing.T) {
	r := NewSubscription().Retry
	var total time.Duration
	for n := 1; n < r.MaxAttempts; n++ {
		total += r.Pause(n)
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; total != want || r.MaxAttempts != 10 {
		t.Errorf("%d attempts over %v, want 10 over %v", r.MaxAttempts, total, want)
	}
	if r.Pause(100) != 24*time.Hour {
		t.Errorf("the last pause does not repeat: %v", r.Pause(100))
	}
}

// TestJitterOnlyAdds: a pause that a target asked for is never undercut.
func TestJitterOnlyAdds(t *testing.T) {
	now := time.Now()
	r := Retry{MaxAttempts: 3, Backoff: []time.Duration{time.Second}}
	for range 1000 {
		for retryAfter, floor := range map[time.Duration]time.Duration{0: time.Second, time.Minute: time.Minute} {
			next := r.After(1, "answered 503", now, retryAfter)
			pause := next.At.Sub(now)
			if next.State != Waiting || pause < floor || pause > floor*6/5 {
				t.Fatalf("%v after %v; want %v and at most a fifth more", next, retryAfter, floor)
			}
		}
	}
	if next := r.After(3, "answered 500", now, 0); next.State != Failed || next.Reason != "attempt 3 of 3: answered 500" {
		t.Errorf("after the last attempt: %+v", next)
	}
}

// TestHealth goes through the life of a target.
func TestHealth(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	var h Health
	fail := func(delivery ID, d time.Duration) Change {
		return h.FailedAttempt(delivery, "answered 500", at(d), h.Down())
	}
	for i := range ID(20) { // one poisonous request
		if change := fail(1, time.Duration(i)*10*time.Second); change != NoChange || h.Down() {
			t.Fatalf("down by one delivery, failure %d", i+1)
		}
	}
	if change := fail(2, 200*time.Second); change != NoChange {
		t.Fatal("down by two deliveries")
	}
	if change := fail(3, 201*time.Second); change != WentDown || h.ProbeAt != at(201*time.Second+FirstProbe) {
		t.Fatalf("change %d, probe at %v", change, h.ProbeAt)
	}
	now := 300 * time.Second
	for _, seconds := range []int{60, 120, 240, 480, 600, 600} {
		wait := time.Duration(seconds) * time.Second
		fail(4, now)
		if got := h.ProbeAt.Sub(at(now)); got != wait {
			t.Errorf("the next probe is in %v, want %v", got, wait)
		}
	}
	if !h.Succeeded(at(now)) || h.Down() || h.Failures != 0 || h.LastOK != at(now) {
		t.Errorf("after a success: %+v", h)
	}
	if h.Succeeded(at(now)) {
		t.Error("recovered twice")
	}

	h = Health{}
	for i := range ID(DownFailures) { // many at once are no proof yet
		if fail(i, DownFor-time.Second) != NoChange {
			t.Fatal("down within a minute")
		}
	}
	h = Health{}
	fail(1, 0)
	if fail(2, DeadAfter-1) == Died || fail(3, DeadAfter) != Died {
		t.Error("dead at another time than after five days")
	}
	h = Health{}
	fail(1, 0)
	h.Resumed(at(time.Hour), at(time.Hour+DeadAfter))
	if fail(2, DeadAfter) == Died || fail(3, 2*DeadAfter) != Died {
		t.Error("the time on hold counts, or nothing does")
	}
}

// TestValidateTargetURL is rows F07 to F10, as far as they are about form.
func TestValidateTargetURL(t *testing.T) {
	for _, target := range []string{
		"https://example.com", "http://127.0.0.1:8080/a?b=c", "HTTP://127.0.0.1", "https://[2606:4700::1111]:8443/x", "http://shop.internal/",
	} {
		if err := ValidateTargetURL(target); err != nil {
			t.Errorf("%q: %v", target, err)
		}
	}
	for _, target := range []string{
		"http://user:pass@127.0.0.1", "http://evil.com@127.0.0.1", `http://127.0.0.1:80\@evil.com`, "http:///x", "http:", "//h/", " http://a",
		"\thttp://a", "http://a%0d%0aX:y", "http://a\r\nX: y", "file:///etc/passwd", "gopher://a", "ftp://a", "data:text/html,x", "javascript:x",
		"unix:/x", "http+unix://x", "http://a:65536", "http://a:-1", "http://a:80a", "http://a:", "http://a/#x", "http://", "", "a",
		"https://a/" + strings.Repeat("x", MaxTargetURL),
	} {
		if ValidateTargetURL(target) == nil {
			t.Errorf("%q is taken", target)
		}
	}
}

// TestSubscriptionValidate names each mistake at its place.
func TestSubscriptionValidate(t *testing.T) {
	good := func() Subscription {
		s := NewSubscription()
		s.Name, s.TargetURL = "shop", "https://example.com"
		return s
	}
	s := good()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for location, change := range map[string]func(*Subscription){
		"name":            func(s *Subscription) { s.Name = " " },
		"target_url":      func(s *Subscription) { s.TargetURL = "ftp://a" },
		"method":          func(s *Subscription) { s.Method = "CONNECT" },
		"headers":         func(s *Subscription) { s.Headers = make([]Header, MaxTargetHeaders+1) },
		"headers[0].name": func(s *Subscription) { s.Headers = []Header{{Name: "content-length", Value: "1"}} },
		"headers[1].name": func(s *Subscription) { s.Headers = []Header{{Name: "A", Value: "1"}, {Name: "webhook-id", Value: "1"}} },
		"headers[0].value": func(s *Subscription) {
			s.Headers = []Header{{Name: "X", Value: "a\r\nY: b"}}
		},
		"signing.scheme":      func(s *Subscription) { s.Signing.Scheme = "rot13" },
		"timeout_ms":          func(s *Subscription) { s.Retry.Timeout = MaxDeliveryTimeout + 1 },
		"max_attempts":        func(s *Subscription) { s.Retry.MaxAttempts = MaxAttempts + 1 },
		"backoff":             func(s *Subscription) { s.Retry.Backoff = nil },
		"backoff[1]":          func(s *Subscription) { s.Retry.Backoff = []time.Duration{time.Second, MaxBackoff + 1} },
		"rate_per_second":     func(s *Subscription) { s.Rate = MaxRate + 1 },
		"concurrency":         func(s *Subscription) { s.Concurrency = MaxConcurrency + 1 },
		"filter":              func(s *Subscription) { s.Filter.Conditions = make([]Condition, MaxConditions+1) },
		"filter.all[0].field": func(s *Subscription) { s.Filter.Conditions = []Condition{{Field: "cookie", Op: OpExists}} },
		"filter.all[0].op":    func(s *Subscription) { s.Filter.Conditions = []Condition{{Field: "method", Op: "matches"}} },
		"filter.any[0].value": func(s *Subscription) {
			s.Filter = Filter{Any: true, Conditions: []Condition{{Field: "path", Op: OpGlob}}}
		},
		"filter.jq": func(s *Subscription) { s.Filter.JQ = strings.Repeat(".", MaxJQ+1) },
	} {
		s := good()
		change(&s)
		err := s.Validate()
		e, ok := err.(*Error) //nolint:errorlint // Validate returns it bare
		if !ok || e.Kind != Invalid || len(e.Fields) != 1 || e.Fields[0].Location != location {
			t.Errorf("%s: %v %+v", location, err, e)
		}
	}
}
