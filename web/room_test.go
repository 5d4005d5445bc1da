package web

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// What a page may be at most, whatever strangers sent. Chromium lays out this much in well under a second.
const (
	mostElements = 32_000
	mostHTML     = 4 << 20
)

// wantBounded wants a page that a browser can show, and returns it.
func wantBounded(t *testing.T, about string, a answer) htmltest.Document {
	t.Helper()
	page := a.parse(t)
	if n := len(page.Elements()); a.status != 200 || n > mostElements || len(a.body) > mostHTML {
		t.Errorf("%s: status %d, %d elements, %d bytes", about, a.status, n, len(a.body))
	}
	return page
}

// hostileRequest returns a request whose body is of a type.
func hostileRequest(captureURL hook.ID, contentType, body string) *hook.Request {
	r := storetest.Request(captureURL, 0)
	r.ContentType, r.Body, r.BodySize = contentType, []byte(body), int64(len(body))
	return r
}

// TestHostileRequestsAreShown: many pieces, each within its own limits, are not more than a page can hold in all, and the
// page says that something is left out.
func TestHostileRequestsAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, _ := s.filled(0)
	part := "--b\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("\x01a", 7500) + "\"\r\n\r\n" + strings.Repeat("a\x01", 2048) + "\r\n"
	headers := hostileRequest(u.ID, "text/plain", "x")
	for i := range 190 {
		headers.Headers = append(headers.Headers, hook.Header{Name: "X-" + strconv.Itoa(i), Value: strings.Repeat("a\xff", 150)})
	}
	query := hostileRequest(u.ID, "text/plain", strings.Repeat("a\x01", 30_000))
	query.Query = strings.Repeat("a%01&", 1600)
	long := hostileRequest(u.ID, "text/plain", "x")
	long.Path = "/in/x/" + strings.Repeat("a\xff", 4000)
	for _, tc := range []struct {
		name, tab, left string
		request         *hook.Request
	}{
		{"parts", "", "There are more parts than the", hostileRequest(u.ID, "multipart/form-data; boundary=b", strings.Repeat(part, 100)+"--b--\r\n")},
		{"long parts", "", "There are more parts than the", hostileRequest(u.ID, "multipart/form-data; boundary=b",
			strings.Repeat(strings.ReplaceAll(part, "\x01", "<"), 100)+"--b--\r\n")},
		{"form", "", "of 1,000 fields. Raw and Download have all of them.", hostileRequest(u.ID, "application/x-www-form-urlencoded",
			strings.Repeat(strings.Repeat("a%01", 64)+"&", 1000))},
		{"headers", "?tab=headers", "headers. The API has all of them.", headers},
		{"query", "", "of 1,600 fields. Copy has all of them.", query},
		{"raw", "?tab=raw", "Download has all of it.", query},
		{"path", "", "bytes more", long},
	} {
		if err := s.store.Capture(tc.request); err != nil {
			t.Fatal(err)
		}
		page := wantBounded(t, tc.name, b.get(requestPath(u.ID, tc.request.ID)+tc.tab))
		if !strings.Contains(page.One("main").Text(), tc.left) {
			t.Errorf("%s: the page does not say %q", tc.name, tc.left)
		}
	}
}

// TestHostileRowsAreShown: a list of long targets leaves room for the request beside it.
func TestHostileRowsAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, _ := s.filled(0)
	var last *hook.Request
	for range listRows {
		last = hostileRequest(u.ID, "text/plain; "+strings.Repeat("\xffa", 10_000), "the body")
		last.Path = "/in/x/" + strings.Repeat("a\xff", 4000)
		if err := s.store.Capture(last); err != nil {
			t.Fatal(err)
		}
	}
	page := wantBounded(t, "list", b.get(requestPath(u.ID, last.ID)))
	if got := page.One("pre.body").Text(); got != "the body" {
		t.Errorf("the body is %q", got)
	}
}

// TestHostileAnswersAreShown: a delivery page shows the newest answers, and each of the others alone.
func TestHostileAnswersAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, u, _ := s.filled(0)
	sub := storetest.Subscription(t, s.store, u.ID)
	d := s.answered(storetest.Routed(u.ID, 10, sub.ID), 40, func(a *hook.Attempt) {
		a.ResponseBody = []byte(fmt.Sprintf("answer %d", a.Number) + strings.Repeat("a\x00", hook.MaxResponseKept/2-10))
		a.ResponseHeaders = []hook.Header{{Name: "X-A", Value: strings.Repeat("a\xff", 10_000)}}
		for range 5_000 {
			a.ResponseHeaders = append(a.ResponseHeaders, hook.Header{Name: "A"})
		}
	})
	path := deliveryPath(d.ID)
	page := wantBounded(t, "all attempts", b.get(path))
	if n := len(page.All("details.attempt")); n != 40 {
		t.Errorf("%d attempts are shown, want 40", n)
	}
	links := page.All("#attempt-3 a.link[href=" + path + "?attempt=3]")
	if len(links) != 1 {
		t.Fatalf("%d links lead to what is left out of attempt 3, want 1", len(links))
	}
	page = wantBounded(t, "one attempt", b.get(links[0].Attr("href")))
	if n := len(page.All("details.attempt[open]")); n != 1 || len(page.All("#attempt-3")) != 1 {
		t.Errorf("%d attempts are open, want attempt 3 alone", n)
	}
	for _, number := range []string{"41", "0", "03", "x"} {
		wantStatus(t, "attempt "+number, b.get(path+"?attempt="+number), 404)
	}
}

// answered stores a request and n attempts of its delivery, and returns the delivery.
func (s *site) answered(r *hook.Request, n int, change func(*hook.Attempt)) hook.Delivery {
	s.t.Helper()
	ctx := context.Background()
	if err := s.store.Capture(r); err != nil {
		s.t.Fatal(err)
	}
	var d hook.Delivery
	for number := 1; number <= n; number++ {
		found, err := s.store.Due(ctx, store.Queue{ID: r.Routes[0].Subscription, Now: time.Now(), Limit: 1})
		if err != nil {
			s.t.Fatal(err)
		}
		recorded, err := s.store.Record(ctx, store.Turn{Claims: found.Claims})
		if err != nil || len(recorded.Leased) != 1 {
			s.t.Fatalf("%d claims, %v", len(recorded.Leased), err)
		}
		a := hook.Attempt{DeliveryID: recorded.Leased[0].ID, Number: number, StartedAt: time.Now(), Status: 500, Method: "POST"}
		change(&a)
		result := store.Result{Claim: recorded.Leased[0], Next: hook.Next{State: hook.Waiting, At: time.Now()}, Attempt: &a}
		if _, err = s.store.Record(ctx, store.Turn{Results: []store.Result{result}}); err != nil {
			s.t.Fatal(err)
		}
		d = recorded.Leased[0].Delivery
	}
	return d
}
