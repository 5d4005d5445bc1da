package hook

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func valid() *CaptureURL { return &CaptureURL{Name: "orders", Response: DefaultResponse()} }

// locations returns where err found mistakes; it fails the test when err is no Invalid error with words for people.
func locations(t *testing.T, about string, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Invalid || e.Message == "" || len(e.Fields) == 0 {
		t.Fatalf("%s: got %#v, want an Invalid error with fields", about, err)
	}
	var found []string
	for _, field := range e.Fields {
		if field.Message == "" {
			t.Errorf("%s: %s says nothing", about, field.Location)
		}
		found = append(found, field.Location)
	}
	return found
}

func TestValidateCaptureURL(t *testing.T) {
	set := func(change func(*CaptureURL)) *CaptureURL {
		u := valid()
		change(u)
		return u
	}
	name := func(name string) *CaptureURL { return set(func(u *CaptureURL) { u.Name = name }) }
	keep := func(k Keep) *CaptureURL { return set(func(u *CaptureURL) { u.Keep = k }) }
	answer := func(r Response) *CaptureURL { return set(func(u *CaptureURL) { u.Response = r }) }
	headers := func(headers ...Header) *CaptureURL {
		return answer(Response{Status: 200, Headers: headers})
	}
	many := func(n int) []Header { return slices.Repeat([]Header{{"X-A", "1"}}, n) }
	for _, test := range []struct {
		about string
		url   *CaptureURL
		want  string // the location, "" = nothing wrong
	}{
		{"the least", valid(), ""},
		{"a name at the limit", name(strings.Repeat("é", MaxNameLen)), ""},
		{"a name over the limit", name(strings.Repeat("é", MaxNameLen+1)), "name"},
		{"no name", name(""), "name"},
		{"a name of spaces", name(" \t\u00a0"), "name"},
		{"a name with a line break", name("a\nb"), "name"},
		{"a name with NUL", name("a\x00b"), "name"},
		{"a name with C1", name("a\u0085b"), "name"},
		{"a name that is not UTF-8", name("a\xff"), "name"},
		{"a name of markup", name("<script>alert(1)</script>"), ""},

		{"the least of everything kept", keep(Keep{1, 1, MinKeepBytes}), ""},
		{"the most of everything kept", keep(Keep{MaxKeepRequests, MaxKeepDays, MaxKeepBytes}), ""},
		{"too many requests", keep(Keep{Requests: MaxKeepRequests + 1}), "keep.requests"},
		{"fewer than no requests", keep(Keep{Requests: -1}), "keep.requests"},
		{"too many days", keep(Keep{Days: MaxKeepDays + 1}), "keep.days"},
		{"fewer than no days", keep(Keep{Days: -1}), "keep.days"},
		{"too many bytes", keep(Keep{Bytes: MaxKeepBytes + 1}), "keep.bytes"},
		{"too few bytes", keep(Keep{Bytes: MinKeepBytes - 1}), "keep.bytes"},

		{"status 199", answer(Response{Status: 199}), "response.status"},
		{"status 599", answer(Response{Status: 599}), ""},
		{"status 600", answer(Response{Status: 600}), "response.status"},
		{"no status", answer(Response{}), "response.status"},
		{"a body at the limit", answer(Response{Status: 200, Body: make([]byte, MaxResponseBody)}), ""},
		{"a body over the limit", answer(Response{Status: 200, Body: make([]byte, MaxResponseBody+1)}), "response.body"},
		{"204 with a body", answer(Response{Status: 204, Body: []byte("x")}), "response.body"},
		{"304 with a body", answer(Response{Status: 304, Body: []byte("x")}), "response.body"},
		{"204 without a body", answer(Response{Status: 204, Body: []byte{}}), ""},
		{"the longest delay", answer(Response{Status: 200, Delay: MaxResponseDelay}), ""},
		{"a longer delay", answer(Response{Status: 200, Delay: MaxResponseDelay + 1}), "response.delay_ms"},
		{"a delay into the past", answer(Response{Status: 200, Delay: -time.Nanosecond}), "response.delay_ms"},

		{"as many headers as can be", headers(many(MaxResponseHeaders)...), ""},
		{"one header more", headers(many(MaxResponseHeaders + 1)...), "response.headers"},
		{"a header", headers(Header{"Content-Type", "application/json"}), ""},
		{"a long header name", headers(Header{strings.Repeat("a", MaxHeaderName), "x"}), ""},
		{"a longer header name", headers(Header{strings.Repeat("a", MaxHeaderName+1), "x"}), "response.headers[0].name"},
		{"a long header value", headers(Header{"X-A", strings.Repeat("a", MaxHeaderValue)}), ""},
		{"a longer header value", headers(Header{"X-A", strings.Repeat("a", MaxHeaderValue+1)}), "response.headers[0].value"},
		{"an empty header value", headers(Header{"X-A", ""}), ""},
		{"bytes in a header value", headers(Header{"X-A", "\t\xe9\xff"}), ""},
		{"an empty header name", headers(Header{"", "x"}), "response.headers[0].name"},
		{"the second header is wrong", headers(Header{"X-A", "x"}, Header{"a b", "x"}), "response.headers[1].name"},
		{"a line break in a value", headers(Header{"X", "a\r\nY: z"}), "response.headers[0].value"},
		{"DEL in a value", headers(Header{"X", "\x7f"}), "response.headers[0].value"},
		{"NUL in a value", headers(Header{"X", "\x00"}), "response.headers[0].value"},
	} {
		var want []string
		if test.want != "" {
			want = []string{test.want}
		}
		if diff := cmp.Diff(want, locations(t, test.about, test.url.Validate(ValidateRules{}))); diff != "" {
			t.Errorf("%s: %s", test.about, diff)
		}
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	u := &CaptureURL{Keep: Keep{-1, -1, -1}, Response: Response{Status: 1, Delay: -1, Headers: []Header{{"a b", "\n"}}}}
	want := []string{
		"name", "keep.requests", "keep.days", "keep.bytes", "response.status", "response.delay_ms",
		"response.headers[0].name", "response.headers[0].value",
	}
	if diff := cmp.Diff(want, locations(t, "all wrong", u.Validate(ValidateRules{}))); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedResponseHeaders(t *testing.T) {
	const (
		taken = iota
		refused
		refusedOnSharedOrigin
	)
	for names, want := range map[string]int{
		"Connection Keep-Alive Proxy-Authenticate Proxy-Authorization Proxy-Connection TE Trailer Transfer-Encoding Upgrade": refused,
		"Content-Length Date Content-Security-Policy X-Content-Type-Options":                                                 refused,
		"Hookkeeper-Request-Id Hookkeeper-Hops Hookkeeper-":                                                                  refused,
		"X-Accel-Redirect X-Accel-Buffering X-Sendfile X-LIGHTTPD-Send-File X-Reproxy-URL":                                   refused,
		"Set-Cookie Strict-Transport-Security Alt-Svc Clear-Site-Data Service-Worker-Allowed NEL Report-To " +
			"Reporting-Endpoints WWW-Authenticate": refusedOnSharedOrigin,
		"Accept-CH Accept-CH-Lifetime Activate-Storage-Access Attribution-Reporting-Register-Source " +
			"Attribution-Reporting-Register-Trigger Critical-CH Expect-CT IdP-SignIn-Status Observe-Browsing-Topics " +
			"Origin-Agent-Cluster Origin-Trial Public-Key-Pins Public-Key-Pins-Report-Only Sec-Session-Registration " +
			"Sec-Session-Challenge Secure-Session-Registration Secure-Session-Challenge Set-Cookie2 Set-Login " +
			"Shared-Storage-Write Speculation-Rules Use-As-Dictionary": refusedOnSharedOrigin,
		"Content-Type Content-Encoding Location Cache-Control ETag Retry-After Access-Control-Allow-Origin X-Accelerate " +
			"Hookkeeper X-Hookkeeper-A Vary": taken,
		"Cross-Origin-Opener-Policy Link No-Vary-Search Permissions-Policy Refresh Referrer-Policy Second Secure " +
			"Service-Worker SourceMap Timing-Allow-Origin X-Frame-Options": taken, // of one answer, or of none
	} {
		for name := range strings.FieldsSeq(names) {
			for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
				for _, shared := range []bool{false, true} {
					u := valid()
					u.Response.Headers = []Header{{spelled, "x"}}
					got := u.Validate(ValidateRules{SharedOrigin: shared}) != nil
					if want := want == refused || want == refusedOnSharedOrigin && shared; got != want {
						t.Errorf("%s with a shared origin = %t: refused = %t, want %t", spelled, shared, got, want)
					}
				}
			}
		}
	}
}

func TestCookiesMustNotHaveADomain(t *testing.T) {
	for value, want := range map[string]bool{
		"a=b": false, "a=b; Path=/; Secure": false, "domain=b": false, "a=domain": false, "a=b; x-domain=c": false,
		"a=b; Domain=example.com": true, "a=b;domain=": true, "a=b; DOMAIN": true, "a=b;\tDomain = example.com;x": true,
	} {
		u := valid()
		u.Response.Headers = []Header{{"set-cookie", value}}
		if got := u.Validate(ValidateRules{}) != nil; got != want {
			t.Errorf("%q: refused = %t, want %t", value, got, want)
		}
	}
}

func TestHeaderNames(t *testing.T) {
	const symbols = "!#$%&'*+-.^_`|~"
	for c := range 256 {
		name := "A" + string([]byte{byte(c)})
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if want := letter || strings.IndexByte(symbols, byte(c)) >= 0; ValidHeaderName(name) != want {
			t.Errorf("%q: valid = %t", name, !want)
		}
	}
}

func TestKeepOr(t *testing.T) {
	def := Keep{Requests: 1, Days: 2, Bytes: 3}
	for _, test := range []struct{ keep, want Keep }{
		{Keep{}, def},
		{Keep{Requests: 7}, Keep{7, 2, 3}},
		{Keep{Days: 7}, Keep{1, 7, 3}},
		{Keep{Bytes: 7}, Keep{1, 2, 7}},
	} {
		if got := test.keep.Or(def); got != test.want {
			t.Errorf("%v: got %v, want %v", test.keep, got, test.want)
		}
	}
}

func TestSlugs(t *testing.T) {
	generated := NewSlug()
	for _, test := range []struct {
		slug          string
		valid, chosen bool
	}{
		{generated, true, ValidChosenSlug(generated)}, // one of 150,000 has no capital letter
		{"ABCDEFGHIJKLMNOPQRSTUV", true, false},
		{"ABCDEFGHIJKLMNOPQRSTU", false, false},
		{"ABCDEFGHIJKLMNOPQRSTUVW", false, false},
		{"ABCDEFGHIJKLMNOPQRSTU-", false, false},
		{"abc", true, true},
		{"ab", false, false},
		{"a-1", true, true},
		{"a--", true, true},
		{"-ab", false, false},
		{"1ab", true, true},
		{strings.Repeat("a", 63), true, true},
		{strings.Repeat("a", 64), false, false},
		{"Abc", false, false},
		{"a_b", false, false},
		{"a.b", false, false},
		{"a/b", false, false},
		{"a b", false, false},
		{"a%2fb", false, false},
		{"åbc", false, false},
		{"abc\x00", false, false},
		{"abc\n", false, false},
		{"", false, false},
	} {
		if ValidSlug(test.slug) != test.valid || ValidChosenSlug(test.slug) != test.chosen {
			t.Errorf("%q: valid %t, chosen %t", test.slug, ValidSlug(test.slug), ValidChosenSlug(test.slug))
		}
	}
}

// TestNewSlugsUseTheirWholeAlphabet finds a generator that leaves characters out: each of the 62 is missing from 2,000
// slugs with a chance of (61/62)^44000, which is never.
func TestNewSlugsUseTheirWholeAlphabet(t *testing.T) {
	seen := map[string]bool{}
	var all strings.Builder
	for range 2000 {
		slug := NewSlug()
		if seen[slug] || !ValidSlug(slug) {
			t.Fatalf("%q is no new slug", slug)
		}
		seen[slug] = true
		all.WriteString(slug)
		if chosen := "a-" + NewSlugSuffix(); !ValidChosenSlug(chosen) || len(chosen) != 10 {
			t.Fatalf("%q cannot be chosen", chosen)
		}
	}
	for _, c := range base62 {
		if !strings.ContainsRune(all.String(), c) {
			t.Errorf("%q never occurs", c)
		}
	}
}
