package capture

import (
	"context"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// TestLimitsAreCounted meets one limit after another: the answer has its status, and it alone is counted.
func TestLimitsAreCounted(t *testing.T) {
	pause := func(u *hook.CaptureURL) { u.Paused = true }
	lines := strings.Repeat("X-A: 1\r\n", hook.MaxTrailerLines+1)
	for _, test := range []struct {
		limit      hook.Limit
		change     func(*hook.CaptureURL)
		head, body string
	}{
		{hook.LimitMethod, nil, strings.Repeat("M", hook.MaxMethodLen+1) + " /in/orders HTTP/1.1\nHost: cap\n\n", ""},
		{hook.LimitProtocol, nil, "POST /in/orders HTTP/1.0\n\n", ""},
		{hook.LimitBodyCut, nil, "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\n", "zz\r\n"},
		{hook.LimitInPage, nil, "GET /in/orders HTTP/1.1\nHost: cap\nSec-Fetch-Site: same-origin\nSec-Fetch-Dest: script\n\n", ""},
		{hook.LimitUnknownURL, nil, "GET /in/unknown HTTP/1.1\nHost: cap\n\n", ""},
		{hook.LimitBodySize, nil, "POST /in/orders HTTP/1.1\nHost: cap\nContent-Length: 100001\n\n", ""},
		{hook.LimitTarget, nil, "GET /in/orders/" + strings.Repeat("a", hook.MaxTargetLen) + " HTTP/1.1\nHost: cap\n\n", ""},
		{hook.LimitHeaderLines, nil, "GET /in/orders HTTP/1.1\nHost: cap\n" + strings.Repeat("X-A: 1\n", hook.MaxHeaderLines+1) + "\n", ""},
		{hook.LimitTrailerLines, nil, "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\n", "0\r\n" + lines + "\r\n"},
		{hook.LimitPaused, pause, "GET /in/orders HTTP/1.1\nHost: cap\n\n", ""},
		{hook.LimitHops, nil, "GET /in/orders HTTP/1.1\nHost: cap\nHookkeeper-Hops: 6\n\n", ""},
	} {
		s := start(t, test.change)
		wantEqual(t, test.limit.Met().Why, s.send(t, test.head, test.body).status, test.limit.Status())
		wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: test.limit, Count: 1}})
	}
}

// TestWhyNothingIsStored: each reason of the store for a 503 is counted apart.
func TestWhyNothingIsStored(t *testing.T) {
	noticed := make(chan struct{}, 10)
	for _, test := range []struct {
		limit   hook.Limit
		options store.Options
		meet    func(*site)
	}{
		{hook.LimitDisk, store.Options{DiskReserve: 1 << 60, OnDegraded: func(string) { noticed <- struct{}{} }}, func(s *site) {
			ctx, end := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- s.Store.Run(ctx) }()
			<-noticed
			end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}},
		{hook.LimitDraining, store.Options{}, func(s *site) { _ = s.Store.Close() }},
		{hook.LimitFull, store.Options{Keep: hook.Keep{Requests: 1000, Days: 1, Bytes: hook.MinKeepBytes}}, func(s *site) {
			sub := storetest.Subscription(t, s.Store, s.url.ID)
			for range 2 {
				if err := s.Store.Capture(storetest.Routed(s.url.ID, hook.MinKeepBytes, sub.ID)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		s := newSiteOn(t, storetest.Open(t, test.options), nil).serve(t)
		test.meet(s)
		refused := s.post(t, "/in/orders", "", "hi")
		wantEqual(t, test.limit.Met().Why, refused.status, test.limit.Status())
		wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: test.limit, Count: 1}})
		wantEqual(t, "the sender is told of "+test.limit.Met().Why, strings.Contains(refused.body, "This capture URL is full"), test.limit == hook.LimitFull)
	}
}
