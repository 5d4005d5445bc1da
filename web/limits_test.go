package web

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// TestLimitsAreCounted meets one limit of the dashboard after another: it alone is counted, with the status of the answer.
func TestLimitsAreCounted(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/capture-urls"
	many := func(n int, ask func() answer) (last answer) {
		for range n {
			last = ask()
		}
		return last
	}
	login := func(s *site) answer { return s.browser().post("/login", "email", "nobody@example.com") }
	wrongToken := func(s *site) answer { return s.api("hk_wrong", "GET", path, "") }
	for _, test := range []struct {
		limit  hook.Limit
		before hook.Limit // is met on the way
		meet   func(*site, *browser, hook.User) answer
	}{
		{hook.LimitNoLogin, 0, func(s *site, _ *browser, _ hook.User) answer { return wrongToken(s) }},
		{hook.LimitNotAllowed, 0, func(_ *site, b *browser, _ hook.User) answer {
			return b.post("/settings/users", "email", "x@example.com")
		}},
		{hook.LimitUnknownHost, 0, func(_ *site, b *browser, _ hook.User) answer { return b.get("/", "Host", "evil.example") }},
		{hook.LimitNotNow, 0, func(s *site, b *browser, _ hook.User) answer { s.web.Drain(); return b.get("/readyz") }},
		{hook.LimitFormSize, 0, func(_ *site, b *browser, _ hook.User) answer {
			return b.post("/settings/tokens", "name", strings.Repeat("x", hook.MaxFormBytes))
		}},
		{hook.LimitJSONSize, 0, func(s *site, _ *browser, u hook.User) answer {
			return s.api(s.token(u), "POST", path, `{"name":"a"}`+strings.Repeat(" ", hook.MaxJSONBytes))
		}},
		{hook.LimitTokens, 0, func(s *site, b *browser, _ hook.User) answer {
			return many(hook.MaxTokens+1, func() answer { return b.post("/settings/tokens", "name", "ci") })
		}},
		{hook.LimitSubscriptions, 0, func(s *site, b *browser, u hook.User) answer {
			token, at := s.token(u), path+"/"+s.ownURLs(u)[0].ID.Text(hook.CaptureURLPrefix)+"/subscriptions"
			return many(hook.MaxSubscriptions+1, func() answer {
				return s.api(token, "POST", at, `{"name":"a","target_url":"https://a.example/"}`)
			})
		}},
		{hook.LimitReplays, 0, func(s *site, _ *browser, u hook.User) answer {
			sub := storetest.Subscription(t, s.store, s.ownURLs(u)[0].ID)
			token, at := s.token(u), "/api/v1/subscriptions/"+sub.ID.Text(hook.SubscriptionPrefix)+"/replays"
			return many(hook.MaxReplays+1, func() answer { return s.api(token, "POST", at, "") })
		}},
		{hook.LimitSelected, 0, func(s *site, b *browser, u hook.User) answer {
			form := slices.Repeat([]string{"request", hook.ID(1).Text(hook.RequestPrefix)}, hook.MaxSelected+1)
			return b.post(urlPath(s.ownURLs(u)[0].ID)+"/resend", form...)
		}},
		{hook.LimitLogins, hook.LimitNoLogin, func(s *site, _ *browser, _ hook.User) answer {
			return many(hook.LoginFailures+1, func() answer { return login(s) })
		}},
		{hook.LimitWrongTokens, hook.LimitNoLogin, func(s *site, _ *browser, _ hook.User) answer {
			return many(hook.LoginFailuresAddr+1, func() answer { return wrongToken(s) })
		}},
		{hook.LimitTries, 0, func(s *site, _ *browser, u hook.User) answer {
			sub := storetest.Subscription(t, s.store, storetest.CaptureURLOf(t, s.store, u).ID)
			_, err := s.web.tries.begin(u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return s.api(s.token(u), "POST", "/api/v1/subscriptions/"+sub.ID.Text(hook.SubscriptionPrefix)+"/dry-run", "")
		}},
		{hook.LimitFault, 0, func(s *site, b *browser, _ hook.User) answer {
			s.web.mux.Handle("GET /fault", s.web.wrap(route{access: anybody, handle: func(http.ResponseWriter, *http.Request) error {
				return errors.New("a fault")
			}}))
			s.web.routes = append(s.web.routes, route{pattern: "GET /fault"})
			return b.get("/fault")
		}},
		{hook.LimitSockets, 0, func(s *site, b *browser, u hook.User) answer {
			for range hook.MaxSockets {
				mustRegister(t, s.web.sockets, viewer{}, "", nil)
			}
			return b.openSocket()
		}},
		{hook.LimitSocketsAddr, 0, func(s *site, b *browser, u hook.User) answer {
			s.web.sockets.perAddr = 1
			mustRegister(t, s.web.sockets, viewer{addr: netip.MustParseAddr("192.0.2.1")}, "", nil)
			return b.openSocket("X-Forwarded-For", "192.0.2.1")
		}},
	} {
		counts := &tally.Tally{}
		s := newSite(t, trustLoopback, func(o *Options) { o.Tally = counts })
		u := s.user(false)
		wantStatus(t, test.limit.Met().Why, test.meet(s, s.loggedIn(u), u), test.limit.Status())
		var rows []tally.Row
		for _, row := range counts.Rows() {
			if row.Limit != test.before {
				rows = append(rows, row)
			}
		}
		if diff := cmp.Diff([]tally.Row{{Limit: test.limit, Count: 1}}, rows); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.limit.Met().Why, diff)
		}
	}
}

// openSocket asks for the live view of the list of capture URLs.
func (b *browser) openSocket(headers ...string) answer {
	return b.get("/live", append(headers, "Connection", "Upgrade", "Upgrade", "websocket", "Origin", b.url)...)
}
