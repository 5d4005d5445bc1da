package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

func captured(headers ...hook.Header) *hook.Request {
	return &hook.Request{
		Summary: hook.Summary{ID: 1 << 40, Method: "PUT", Path: "/in/orders/a%20b/c", Query: "x=1&y=%zz"},
		Headers: headers, Body: []byte(`{"a": 1}`),
	}
}

func toSubscription(sub hook.Subscription, r *hook.Request) *message {
	return &message{
		delivery: &hook.Delivery{ID: 2 << 40, RequestID: r.ID}, request: r, sub: &sub, signing: sub.Signing, number: 3,
		at: time.Unix(1_700_000_000, 0), version: "1.2.3",
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target, path string
		append       bool
		want         string
	}{
		{"https://a.example", "/in/orders/b?q=1", false, "https://a.example"},
		{"https://a.example", "/in/orders/b?q=1", true, "https://a.example/b?q=1"},
		{"https://a.example/", "/in/orders/b", true, "https://a.example/b"},
		{"https://a.example/base/", "/in/orders/b/", true, "https://a.example/base/b/"},
		{"https://a.example/base?k=1", "/in/orders/b?q=1", true, "https://a.example/base/b?k=1&q=1"},
		{"https://a.example/base?k=1", "/in/orders", true, "https://a.example/base?k=1"},
		{"https://a.example?k=1", "/in/orders?q=%zz", true, "https://a.example?k=1&q=%zz"},
		{"https://a.example/base", "/in/orders//b//c", true, "https://a.example/base//b//c"},
		{"https://a.example", "/in/orders/..%", true, "https://a.example/..%"},
		{"https://a.example", "/in/orders/a..b/...", true, "https://a.example/a..b/..."},
	} {
		sub := hook.NewSubscription()
		sub.TargetURL, sub.AppendPath = c.target, c.append
		r := captured()
		r.Path, r.Query, _ = strings.Cut(c.path, "?")
		if got, err := toSubscription(sub, r).url(); err != nil || got != c.want {
			t.Errorf("%s + %s: %q, %v; want %q", c.target, c.path, got, err, c.want)
		}
	}
}

// TestPathLeavesTheTarget: no spelling of a dot segment gets out of the target's path.
func TestPathLeavesTheTarget(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/..", "/../b", "/a/../b", "/.", "/a/./b", "/%2e%2e/b", "/.%2E/b", "/%2e", "/a%2f..%2fb", "/a\\..\\b", "/a%5C%2e%2e%5cb",
		"/..;x=1/b", "/a/..", "/%2e%2e%2fb",
	} {
		sub := hook.NewSubscription()
		sub.TargetURL, sub.AppendPath = "https://a.example/base", true
		r := captured()
		r.Path = "/in/orders" + path
		if got, err := toSubscription(sub, r).url(); err == nil {
			t.Errorf("%s is sent to %s", path, got)
		}
		m := toSubscription(sub, captured())
		m.edit = &hook.Edit{Method: "POST", Path: path}
		if got, err := m.url(); err == nil {
			t.Errorf("edited: %s is sent to %s", path, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	sub := hook.NewSubscription()
	sub.Headers = []hook.Header{{Name: "X-Api-Key", Value: "secret"}, {Name: "accept", Value: "text/plain"}}
	sub.Signing.Secrets = []hook.Secret{{Text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
	r := captured(
		hook.Header{Name: "Host", Value: "hooks.example"}, hook.Header{Name: "Accept", Value: "*/*"},
		hook.Header{Name: "Authorization", Value: "Bearer x"}, hook.Header{Name: "Connection", Value: "close, X-Hop"},
		hook.Header{Name: "Content-Length", Value: "8"}, hook.Header{Name: "Content-Type", Value: "application/json"},
		hook.Header{Name: "Cookie", Value: "a=b"}, hook.Header{Name: "Forwarded", Value: "for=1.2.3.4"},
		hook.Header{Name: "Hookkeeper-Hops", Value: "2"}, hook.Header{Name: "Hookkeeper-Other", Value: "x"},
		hook.Header{Name: "Keep-Alive", Value: "1"}, hook.Header{Name: "Te", Value: "trailers"},
		hook.Header{Name: "Transfer-Encoding", Value: "chunked"}, hook.Header{Name: "Upgrade", Value: "h2c"},
		hook.Header{Name: "User-Agent", Value: "Stripe/1.0"}, hook.Header{Name: "Webhook-Id", Value: "theirs"},
		hook.Header{Name: "X-Forwarded-For", Value: "1.2.3.4"}, hook.Header{Name: "X-Hop", Value: "x"},
		hook.Header{Name: "X-Real-Ip", Value: "1.2.3.4"}, hook.Header{Name: "X-Two", Value: "1"}, hook.Header{Name: "X-Two", Value: "2"},
	)
	about := []hook.Header{
		{Name: "Hookkeeper-Request-Id", Value: "req_0000100000000"},
		{Name: "Hookkeeper-Delivery-Id", Value: "dlv_0000200000000"},
		{Name: "Hookkeeper-Attempt", Value: "3"},
		{Name: "Hookkeeper-Hops", Value: "3"},
		{Name: "User-Agent", Value: "Hookkeeper/1.2.3"},
	}
	signature := []hook.Header{
		{Name: "Webhook-Id", Value: "req_0000100000000"}, {Name: "Webhook-Timestamp", Value: "1700000000"},
	}
	all, added, err := toSubscription(sub, r).headers()
	if err != nil {
		t.Fatal(err)
	}
	mac := all[len(all)-1]
	if mac.Name != "Webhook-Signature" || !strings.HasPrefix(mac.Value, "v1,") {
		t.Errorf("the last header is %v", mac)
	}
	own := append(append(append([]hook.Header{}, about...), signature...), mac)
	wantHeaders(t, "sent", all, append([]hook.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "X-Two", Value: "1"},
		{Name: "X-Two", Value: "2"},
		{Name: "X-Api-Key", Value: "secret"},
		{Name: "Accept", Value: "text/plain"},
	}, own...))
	wantHeaders(t, "shown", added, append(own[:len(own):len(own)], hook.Header{Name: "X-Api-Key", Value: "••••"},
		hook.Header{Name: "Accept", Value: "••••"}))

	sub.ForwardCredentials, sub.KeepUserAgent, sub.Signing.Scheme, sub.Headers = true, true, hook.SignNone, nil
	all, _, err = toSubscription(sub, r).headers()
	if err != nil {
		t.Fatal(err)
	}
	wantHeaders(t, "with everything passed on", all, append([]hook.Header{
		{Name: "Accept", Value: "*/*"},
		{Name: "Authorization", Value: "Bearer x"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Cookie", Value: "a=b"},
		{Name: "User-Agent", Value: "Stripe/1.0"},
		{Name: "Webhook-Id", Value: "theirs"},
		{Name: "X-Two", Value: "1"},
		{Name: "X-Two", Value: "2"},
	}, about[:4]...))
}

func wantHeaders(t *testing.T, what string, got, want []hook.Header) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestEditedCopy is sent as it was written, under an id of its own, and cannot pretend to come from nowhere.
func TestEditedCopy(t *testing.T) {
	t.Parallel()
	sub := hook.NewSubscription()
	sub.TargetURL, sub.Method = "https://a.example", "POST"
	m := toSubscription(sub, captured(hook.Header{Name: "Hookkeeper-Hops", Value: "4"}))
	m.signing.Scheme = hook.SignStandard
	m.signing.Secrets = []hook.Secret{{Text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
	m.delivery.Edited = true
	m.edit = &hook.Edit{
		Method: "PATCH", Path: "/b", Query: "q", Body: []byte("new"),
		Headers: []hook.Header{{Name: "authorization", Value: "mine"}, {Name: "user-agent", Value: "mine"}, {Name: "Hookkeeper-Hops", Value: "0"}},
	}
	all, _, err := m.headers()
	if err != nil {
		t.Fatal(err)
	}
	wantHeaders(t, "sent", all[:7], []hook.Header{
		{Name: "Authorization", Value: "mine"},
		{Name: "User-Agent", Value: "mine"},
		{Name: "Hookkeeper-Request-Id", Value: "req_0000100000000"},
		{Name: "Hookkeeper-Delivery-Id", Value: "dlv_0000200000000"},
		{Name: "Hookkeeper-Attempt", Value: "3"},
		{Name: "Hookkeeper-Hops", Value: "5"},
		{Name: "Webhook-Id", Value: "msg_0000200000000"}, // and no User-Agent of ours
	})
	url, err := m.url()
	if err != nil || url != "https://a.example/b?q" || m.method() != "PATCH" || string(m.body()) != "new" {
		t.Errorf("%s %s %s, %v", m.method(), url, m.body(), err)
	}
	for _, h := range all {
		if h.Name == "Webhook-Id" && h.Value != "msg_0000200000000" {
			t.Errorf("the id is %s", h.Value)
		}
	}
}
