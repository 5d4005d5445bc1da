package capture

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// TestConfiguredAnswer sends each kind of answer that a capture URL can have.
func TestConfiguredAnswer(t *testing.T) {
	s := start(t, nil)
	header := func(pairs ...string) (list []hook.Header) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, hook.Header{Name: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	for _, test := range []struct {
		about    string
		response hook.Response
		body     string
		want     map[string]string // values of a header, joined by |
	}{
		{
			"the default", hook.DefaultResponse(), "",
			map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Length": "0", "Access-Control-Allow-Origin": "*"},
		},
		{"a body", hook.Response{Status: 202, Body: []byte("ok\x00\xff")}, "ok\x00\xff", map[string]string{"Content-Length": "4"}},
		{
			"a large body",
			hook.Response{Status: 200, Body: make([]byte, hook.MaxResponseBody)},
			string(make([]byte, hook.MaxResponseBody)),
			nil,
		},
		{"no body", hook.Response{Status: 204}, "", map[string]string{"Content-Length": ""}},
		{"not modified", hook.Response{Status: 304}, "", nil},
		{"a server error", hook.Response{Status: 599, Body: []byte("x")}, "x", nil},
		{"another type", hook.Response{Status: 200, Headers: header("content-type", "application/json"), Body: []byte("{}")}, "{}", map[string]string{
			"Content-Type": "application/json",
		}},
		{"no type", hook.Response{Status: 200, Headers: header("Content-Type", "")}, "", map[string]string{"Content-Type": ""}},
		{"repeated headers", hook.Response{Status: 200, Headers: header("X-A", "1", "x-b", "2", "x-a", "3", "X-A", "")}, "", map[string]string{
			"X-A": "1|3|", "X-B": "2",
		}},
		{"bytes in a header", hook.Response{Status: 200, Headers: header("X-A", "\xe9\t\xff")}, "", map[string]string{"X-A": "\xe9\t\xff"}},
		{"other CORS", hook.Response{Status: 200, Headers: header(
			"access-control-allow-origin", "https://a", "Access-Control-Allow-Credentials", "true", "Access-Control-Expose-Headers", "X-A",
		)}, "", map[string]string{
			"Access-Control-Allow-Origin": "https://a", "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-A",
		}},
		{"a redirect", hook.Response{Status: 307, Headers: header("Location", "/elsewhere")}, "", map[string]string{"Location": "/elsewhere"}},
	} {
		s.answering(t, test.response)
		for _, method := range []string{"POST", "GET", "HEAD", "OPTIONS", "TRACE", "DELETE"} {
			about := test.about + ", " + method
			a := s.send(t, method+" /in/orders HTTP/1.1\nHost: cap\nContent-Length: 0\n\n", "")
			wantPublic(t, about, a)
			body := test.body
			if method == http.MethodHead {
				body = ""
			}
			wantEqual(t, about, []any{a.status, a.body}, []any{test.response.Status, body})
			for name, want := range test.want {
				if name != "Content-Length" || method != http.MethodHead {
					wantEqual(t, about+": "+name, strings.Join(a.header[name], "|"), want)
				}
			}
			got := s.last(t)
			wantEqual(t, about+", stored", []any{got.Method, got.ResponseStatus}, []any{method, test.response.Status})
		}
	}
}

// TestBrowserStateOnASharedOrigin: headers that were saved while capture URLs had a host of their own.
func TestBrowserStateOnASharedOrigin(t *testing.T) {
	for _, shared := range []bool{false, true} {
		s := start(t, func(u *hook.CaptureURL) {
			u.Response.Headers = []hook.Header{{Name: "set-cookie", Value: "a=b"}, {Name: "Clear-Site-Data", Value: `"*"`}, {Name: "X-A", Value: "1"}}
		})
		s.SharedOrigin = shared
		a := s.get(t, "/in/orders", "")
		wantEqual(t, "headers", []bool{a.header["Set-Cookie"] != nil, a.header["Clear-Site-Data"] != nil, a.header["X-A"] != nil},
			[]bool{!shared, !shared, true})
	}
}

func TestPreflight(t *testing.T) {
	for _, cors := range []bool{true, false} {
		s := start(t, func(u *hook.CaptureURL) { u.CORS, u.Response.Status = cors, 201 })
		options := func(lines string) answer {
			return s.send(t, "OPTIONS /in/orders/x HTTP/1.1\nHost: cap\n"+lines+"\n", "")
		}
		a := options("Origin: https://shop.example\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-a, content-type\n")
		wantPublic(t, "a preflight", a)
		if !cors {
			wantEqual(t, "without CORS it is a request like any other", a.status, 201)
			s.wantStored(t, "a preflight without CORS", 1)
			continue
		}
		wantEqual(t, "status", a.status, 204)
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "x-a, content-type",
			"Content-Type": "", "Hookkeeper-Request-Id": "", "Access-Control-Allow-Credentials": "",
		} {
			wantEqual(t, name, a.header.Get(name), want)
		}
		plain := options("Origin: https://shop.example\nAccess-Control-Request-Method: GET\n")
		wantEqual(t, "without names", plain.header["Access-Control-Allow-Headers"], nil)
		odd := options("Origin: a\nAccess-Control-Request-Method: G\xffE\tT\n")
		wantEqual(t, "only what can be part of a list comes back", odd.header.Get("Access-Control-Allow-Methods"), "GET")
		s.wantStored(t, "preflights", 0)
		wantEqual(t, "OPTIONS without an origin", options("Access-Control-Request-Method: PUT\n").status, 201)
		wantEqual(t, "OPTIONS without a method", options("Origin: https://shop.example\n").status, 201)
		s.wantStored(t, "what is no preflight", 2)
	}
}

// TestCORSOnEveryAnswer lets a page of any origin read why its request was refused, or not.
func TestCORSOnEveryAnswer(t *testing.T) {
	for _, cors := range []bool{true, false} {
		want := []string(nil)
		if cors {
			want = []string{"*"}
		}
		change := func(paused bool) func(u *hook.CaptureURL) {
			return func(u *hook.CaptureURL) { u.CORS, u.Paused = cors, paused }
		}
		s, paused, draining := start(t, change(false)), start(t, change(true)), start(t, change(false))
		draining.Drain()
		closed := start(t, change(false))
		if err := closed.Store.Close(); err != nil {
			t.Fatal(err)
		}
		tooLarge, _ := framed(testMaxBody+1, false)
		for about, test := range map[string]struct {
			site   *site
			head   string
			status int
		}{
			"stored":        {s, "GET /in/orders HTTP/1.1\nHost: cap\n\n", 200},
			"too large":     {s, tooLarge, 413},
			"run by a page": {s, "GET /in/orders HTTP/1.1\nHost: cap\nSec-Fetch-Site: same-origin\nSec-Fetch-Dest: script\n\n", 403},
			"a loop":        {s, "GET /in/orders HTTP/1.1\nHost: cap\nHookkeeper-Hops: 6\n\n", 508},
			"bad framing":   {s, "POST /in/orders HTTP/1.1\nHost: cap\nTransfer-Encoding: chunked\n\nzz\n\n", 400},
			"not framed":    {s, "POST /in/orders HTTP/1.0\nHost: cap\n\n", 400},
			"long":          {s, "GET /in/orders/" + strings.Repeat("a", hook.MaxTargetLen) + " HTTP/1.1\nHost: cap\n\n", 414},
			"paused":        {paused, "GET /in/orders HTTP/1.1\nHost: cap\n\n", 503},
			"draining":      {draining, "GET /in/orders HTTP/1.1\nHost: cap\n\n", 503},
			"not storable":  {closed, "GET /in/orders HTTP/1.1\nHost: cap\n\n", 503},
		} {
			a := test.site.send(t, test.head, "")
			wantEqual(t, about, a.status, test.status)
			wantPublic(t, about, a)
			wantEqual(t, about+": who may read it", a.header["Access-Control-Allow-Origin"], want)
			if test.status == 503 && a.header.Get("Retry-After") == "" {
				t.Errorf("%s: 503 without Retry-After", about)
			}
		}
	}
}

func TestPaused(t *testing.T) {
	s := start(t, func(u *hook.CaptureURL) { u.Paused = true })
	a := s.post(t, "/in/orders", "", "hi")
	wantEqual(t, "status", a.status, 503)
	wantEqual(t, "come again", a.header["Retry-After"], []string{"60"})
	s.wantStored(t, "while paused", 0)
}

// TestStopping tells senders to go elsewhere, and then takes nothing.
func TestStopping(t *testing.T) {
	s := start(t, nil)
	wantEqual(t, "before", s.post(t, "/in/orders", "", "hi").closed, false)
	s.Announce()
	a := s.post(t, "/in/orders", "", "hi")
	wantEqual(t, "announced", []any{a.status, a.closed}, []any{200, true})
	wantEqual(t, "announced, an unknown slug", s.get(t, "/in/unknown", "").closed, true)
	s.wantStored(t, "until then", 2)
	s.Drain()
	a = s.post(t, "/in/orders", "", "hi")
	wantEqual(t, "draining", []any{a.status, a.closed, a.header.Get("Retry-After")}, []any{503, true, "5"})
	s.wantStored(t, "after all", 2)
	wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: hook.LimitUnknownURL, Count: 1}, {Limit: hook.LimitDraining, Count: 1}})
	s.Drain() // a second time does no harm
}

// TestStoreRefuses: what cannot be stored is never 2xx.
func TestStoreRefuses(t *testing.T) {
	s := start(t, nil)
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 2, testMaxBody, testMaxBody + 1} {
		head, body := framed(n, false)
		a := s.send(t, head, body)
		wantEqual(t, "status", a.status, 503)
		wantEqual(t, "come again", a.header["Retry-After"], []string{"5"})
		wantEqual(t, "the id of nothing", a.header["Hookkeeper-Request-Id"], nil)
	}
}

func TestHops(t *testing.T) {
	s := start(t, nil)
	for value, want := range map[string]int{
		"": 200, "0": 200, "1": 200, "5": 200, "6": 508, "99999999999999999999": 508, "-1": 508, "x": 508, "1, 1": 508, "0x1": 508,
	} {
		a := s.get(t, "/in/orders", "Hookkeeper-Hops: "+value+"\n")
		wantEqual(t, "hops "+value, a.status, want)
	}
	s.wantStored(t, "of few hops", 4)
}

// TestPagesCannotRunAnswers: the browser of somebody who is logged in must not run what a capture URL answers.
func TestPagesCannotRunAnswers(t *testing.T) {
	s := start(t, nil)
	stored := 0
	for site, dests := range map[string]map[string]int{
		"same-origin": {
			"script": 403, "style": 403, "worker": 403, "sharedworker": 403, "serviceworker": 403, "object": 403, "embed": 403,
			"empty": 200, "document": 200, "image": 200, "iframe": 200, "": 200,
		},
		"cross-site": {"script": 200, "empty": 200},
		"same-site":  {"script": 200},
		"none":       {"document": 200},
		"":           {"script": 200},
	} {
		for dest, want := range dests {
			a := s.get(t, "/in/orders", "Sec-Fetch-Site: "+site+"\nSec-Fetch-Dest: "+dest+"\n")
			about := site + " " + dest
			wantEqual(t, about, a.status, want)
			wantPublic(t, about, a)
			if want == 200 {
				stored++
				continue
			}
			wantEqual(t, about, []string{a.body, a.header.Get("Cross-Origin-Resource-Policy")}, []string{"", "same-origin"})
		}
	}
	s.wantStored(t, "of all", stored)
}

// TestLeavingSenderIsStored: a request that has arrived is kept, also when nobody waits for the answer.
func TestLeavingSenderIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := startInBubble(t, nil)
		s.answering(t, hook.Response{Status: 200, Body: make([]byte, hook.MaxResponseBody)})
		conn := s.open(t)
		write(t, conn, "POST /in/orders HTTP/1.1\r\nHost: cap\r\nContent-Length: 2\r\n\r\nhi")
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		<-done
		s.wantStored(t, "of a sender that left", 1)
	})
}
