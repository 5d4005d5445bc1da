package templates

import (
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

func TestHeaderProblems(t *testing.T) {
	typed := "X-A: 1\r\n\r\n  Set-Cookie : a=b\n: c\n" + strings.Repeat("é", maxLabel) + "\nX\u202ey: 1"
	for location, want := range map[string]string{
		"headers":          "is bad",
		"headers[0].name":  `header "X-A" is bad`,
		"headers[1].value": `header "Set-Cookie" is bad`,
		"headers[2].name":  "header without a name is bad",
		"headers[3]":       `header "` + strings.Repeat("é", maxLabel/2) + `…" is bad`,
		"headers[4].name":  `header "X\u202ey" is bad`,
		"headers[9].name":  "header 10 is bad",
		"headers[x].name":  "",
		"response.headers": "",
	} {
		if got := headerProblems(FieldErrors{{Location: location, Message: "is bad"}}, "headers", typed); got != want {
			t.Errorf("%s: %q, want %q", location, got, want)
		}
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration][2]string{
		-time.Hour:                   {"now", "just now"}, // a clock that was set back
		999 * time.Millisecond:       {"now", "just now"},
		time.Second:                  {"1 s", "1 second ago"},
		59 * time.Second:             {"59 s", "59 seconds ago"},
		time.Minute:                  {"1 min", "1 minute ago"},
		time.Hour - time.Millisecond: {"59 min", "59 minutes ago"},
		time.Hour:                    {"1 h", "1 hour ago"},
		47 * time.Hour:               {"1 d", "1 day ago"},
		29 * 24 * time.Hour:          {"29 d", "29 days ago"},
		30 * 24 * time.Hour:          {"24 Oct 2026", "24 Oct 2026, 09:52 UTC"},
	} {
		if got := age(now, now.Add(-d)); got != want[0] {
			t.Errorf("age of %v: %q, want %q", d, got, want[0])
		}
		if got := ageLong(now, now.Add(-d)); got != want[1] {
			t.Errorf("long age of %v: %q, want %q", d, got, want[1])
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, query, list, common, rest string }{
		{"/in/x", "", "/", "/in/x", ""},
		{"/in/x/", "", "/", "/in/x", "/"},
		{"/in/x/a//b/..", "", "/a//b/..", "/in/x", "/a//b/.."},
		{"/in/x", "a=1", "/?a=1", "/in/x", "?a=1"},
		{"/in/x/x", "x", "/x?x", "/in/x", "/x?x"},
	} {
		s := &hook.Summary{Path: test.path, Query: test.query}
		if got := target(s); got != test.list {
			t.Errorf("%s: the list has %q, want %q", test.path, got, test.list)
		}
		if common, rest := slugPart(s); common != test.common || rest != test.rest {
			t.Errorf("%s: split into %q and %q, want %q and %q", test.path, common, rest, test.common, test.rest)
		}
	}
}

func TestSenders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ client, remote, sender, via string }{
		{"203.0.113.9", "203.0.113.9:443", "203.0.113.9", ""},
		{"203.0.113.9", "10.0.0.2:443", "203.0.113.9", "10.0.0.2:443"},
		{"2001:db8::1", "[2001:db8::1]:443", "2001:db8::1", ""},
		{"", "10.0.0.2:443", "10.0.0.2", ""},
		{"", "", "", ""},
	} {
		s := &hook.Summary{ClientAddr: test.client, RemoteAddr: test.remote}
		if got := sender(s); got != test.sender {
			t.Errorf("%+v: sender %q", test, got)
		}
		if got := viaAddr(s); got != test.via {
			t.Errorf("%+v: via %q", test, got)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ got, want string }{
		{counted(1, "request", "requests"), "1 request"},
		{counted(1204, "request", "requests"), "1,204 requests"},
		{sentence("is empty: type one"), "Is empty: type one."},
		{sentence("éa."), "Éa."},
		{exactSize(1842), "1,842 bytes"},
		{exactSize(12_000), "11.7 KiB (12,000 bytes)"},
		{keptText(hook.Stats{Kept: 1204, Bytes: 5000}, hook.Keep{Requests: 10_000, Bytes: 10_000_000}), "1,204 kept · oldest goes at 10,000"},
		{keptText(hook.Stats{Kept: 1204, Bytes: 9 << 20}, hook.Keep{Requests: 10_000, Bytes: 10 << 20}), "1,204 kept · 9.0 MiB, oldest goes at 10.0 MiB"},
		{
			fullText(hook.Stats{Kept: 1, Bytes: 5000}, hook.Keep{Requests: 10_000, Bytes: 10 << 20, Days: 1}),
			"Now 1 request of 10,000, and 4.9 KiB of 10.0 MiB. What is older than 1 day goes, too.",
		},
		{shortName("ann@example.com"), "ann"},
		{mediaType("text/html ; charset=x"), "text/html"},
		{methodClass("PATCH"), "method patch"},
		{methodClass("M-SEARCH"), "method"},
		{statusClass(204) + statusClass(404) + statusClass(503), "goodwarnbad"},
		{statusText(200) + "|" + statusText(299), "200 OK|299"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
