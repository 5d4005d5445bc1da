package store_test

import (
	"bytes"
	"crypto/sha256"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// everyByte is what text columns and careless conversions break on: NUL, control characters, invalid UTF-8.
var everyByte = func() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()

func TestRequestComesBackAsItWas(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	full := hook.Summary{
		ReceivedAt: time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC), Method: "M-SEARCH", Scheme: "https", Host: everyByte,
		Path: "/in/" + everyByte, Query: everyByte, Proto: "HTTP/1.2", RemoteAddr: "[2001:db8::1%eth0]:65535", ClientAddr: "10.0.0.1",
		TLS: "TLS 1.3", ContentType: everyByte, BodySize: 12, ResponseStatus: 599,
	}
	with := func(change func(*hook.Request)) *hook.Request {
		r := &hook.Request{Summary: full}
		change(r)
		return r
	}
	for about, r := range map[string]*hook.Request{
		"every byte everywhere": with(func(r *hook.Request) {
			r.Headers = []hook.Header{{Name: "Host", Value: everyByte}, {Name: "X-A", Value: ""}, {Name: "X-A", Value: everyByte}, {Name: everyByte}}
			r.Trailers = []hook.Header{{Name: "X-T", Value: everyByte}}
			r.Body = []byte(strings.Repeat(everyByte, 1000))
		}),
		"nothing anywhere":    {},
		"a body of one NUL":   with(func(r *hook.Request) { r.Body = []byte{0} }),
		"an empty body":       with(func(r *hook.Request) { r.Body = []byte{} }),
		"a body of 3 MB":      with(func(r *hook.Request) { r.Body = make([]byte, 3<<20) }),
		"a long header value": with(func(r *hook.Request) { r.Headers = []hook.Header{{Name: "X", Value: strings.Repeat("é", 1<<16)}} }),
		"truncated":           with(func(r *hook.Request) { r.Truncated, r.BodySize = true, 1<<40 }),
		"chunked":             with(func(r *hook.Request) { r.Chunked = true }),
		"a cookie removed":    with(func(r *hook.Request) { r.CookieRemoved = true }),
		"a bare query":        with(func(r *hook.Request) { r.Query, r.BareQuery = "", true }),
		"every flag":          with(func(r *hook.Request) { r.Truncated, r.Chunked, r.CookieRemoved, r.BareQuery = true, true, true, true }),
	} {
		r.CaptureURLID = u.ID
		must(t, s.Capture(r))
		wantStored(t, s, about, *r)
	}
}

// wantStored compares what the store gives with the request that was handed in, which has got its id.
func wantStored(t *testing.T, s *store.Store, about string, want hook.Request) {
	t.Helper()
	if want.ID == 0 || want.ReceivedAt.IsZero() || want.BodySHA256 != sha256.Sum256(want.Body) {
		t.Errorf("%s: Capture set id %d, time %s, hash %x", about, want.ID, want.ReceivedAt, want.BodySHA256)
	}
	want.ReceivedAt = want.ReceivedAt.UTC().Truncate(time.Microsecond)
	got, err := s.Request(t.Context(), hook.System, want.ID)
	must(t, err)
	summaries, err := s.Requests(t.Context(), hook.System, want.CaptureURLID, store.RequestPage{Limit: 1})
	must(t, err)
	wantEqual(t, about+", in a list", summaries, []hook.Summary{want.Summary})
	if !bytes.Equal(got.Body, want.Body) {
		t.Errorf("%s: the body of %d bytes is not the one of %d bytes", about, len(got.Body), len(want.Body))
	}
	got.Body, want.Body = nil, nil
	wantEqual(t, about, got, &want)
}

// TestAnyRequestComesBackAsItWas tries requests that nobody thought of.
func TestAnyRequestComesBackAsItWas(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	anyText := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) })
	asciiText := rapid.StringMatching(`[ -~]*`)
	anyHeaders := rapid.SliceOf(rapid.Custom(func(t *rapid.T) hook.Header {
		return hook.Header{Name: anyText.Draw(t, "name"), Value: anyText.Draw(t, "value")}
	}))
	rapid.Check(t, func(rt *rapid.T) {
		r := &hook.Request{
			Summary: hook.Summary{
				CaptureURLID: u.ID, ReceivedAt: time.UnixMicro(rapid.Int64Range(1, 1<<52).Draw(rt, "received")),
				Method: asciiText.Draw(rt, "method"), Scheme: asciiText.Draw(rt, "scheme"), Host: anyText.Draw(rt, "host"),
				Path: anyText.Draw(rt, "path"), Query: anyText.Draw(rt, "query"), BareQuery: rapid.Bool().Draw(rt, "bare"),
				Proto: asciiText.Draw(rt, "proto"), Chunked: rapid.Bool().Draw(rt, "chunked"), RemoteAddr: asciiText.Draw(rt, "remote"),
				ClientAddr: asciiText.Draw(rt, "client"), TLS: asciiText.Draw(rt, "TLS"), ContentType: anyText.Draw(rt, "type"),
				BodySize: rapid.Int64().Draw(rt, "size"), Truncated: rapid.Bool().Draw(rt, "truncated"),
				CookieRemoved: rapid.Bool().Draw(rt, "cookie"), ResponseStatus: rapid.IntRange(100, 599).Draw(rt, "status"),
			},
			Body: rapid.SliceOf(rapid.Byte()).Draw(rt, "body"),
		}
		if headers := anyHeaders.Draw(rt, "headers"); len(headers) > 0 {
			r.Headers = headers
		}
		if trailers := anyHeaders.Draw(rt, "trailers"); len(trailers) > 0 {
			r.Trailers = trailers
		}
		must(t, s.Capture(r))
		wantStored(t, s, "a drawn request", *r)
	})
}

func TestPagesOfRequests(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	owner := storetest.User(t, s, false)
	u, other := storetest.CaptureURLOf(t, s, owner), storetest.CaptureURLOf(t, s, owner)
	var all []hook.ID // oldest first
	for range 5 {
		all = append(all, capture(t, s, u.ID, 10))
		capture(t, s, other.ID, 10)
	}
	for _, test := range []struct {
		about string
		page  store.RequestPage
		want  []hook.ID
	}{
		{"the newest", store.RequestPage{Limit: 2}, []hook.ID{all[4], all[3]}},
		{"older ones", store.RequestPage{Before: all[3], Limit: 2}, []hook.ID{all[2], all[1]}},
		{"the oldest", store.RequestPage{Before: all[1], Limit: 2}, []hook.ID{all[0]}},
		{"nothing is older", store.RequestPage{Before: all[0], Limit: 2}, nil},
		{"newer ones", store.RequestPage{After: all[1], Limit: 2}, []hook.ID{all[2], all[3]}},
		{"from the start", store.RequestPage{After: 1, Limit: 2}, []hook.ID{all[0], all[1]}},
		{"nothing is newer", store.RequestPage{After: all[4], Limit: 2}, nil},
		{"no room", store.RequestPage{}, nil},
	} {
		rows, err := s.Requests(t.Context(), hook.System, u.ID, test.page)
		must(t, err)
		var got []hook.ID
		for _, r := range rows {
			got = append(got, r.ID)
		}
		wantEqual(t, test.about, got, test.want)
	}
	latest, err := s.LatestRequest(t.Context(), hook.System, u.ID)
	must(t, err)
	wantEqual(t, "the latest", latest.ID, all[4])
	for i, id := range all {
		newer, older, err := s.Neighbours(t.Context(), hook.System, u.ID, id)
		must(t, err)
		around := append(append([]hook.ID{0}, all...), 0)
		wantEqual(t, "neighbours", []hook.ID{older, newer}, []hook.ID{around[i], around[i+2]})
	}
}

func TestDeleteRequest(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	first, second := capture(t, s, u.ID, 10), capture(t, s, u.ID, 1000)
	before := stats(t, s, u.ID)
	must(t, s.DeleteRequest(t.Context(), hook.System, second, true))
	wantEqual(t, "what is left", ids(t, s, u.ID), []hook.ID{first})
	after := stats(t, s, u.ID)
	if after.Kept != 1 || after.Received != 2 || before.Bytes-after.Bytes < 1000 || after.LastRequestID != second {
		t.Errorf("counts were %+v, are %+v", before, after)
	}
	wantKind(t, "reading it", errOf(s.Request(t.Context(), hook.System, second)), hook.NotFound)
	wantKind(t, "deleting it again", s.DeleteRequest(t.Context(), hook.System, second, true), hook.NotFound)
	must(t, s.DeleteRequest(t.Context(), hook.System, first, true))
	wantKind(t, "the latest of none", errOf(s.LatestRequest(t.Context(), hook.System, u.ID)), hook.NotFound)
	wantEqual(t, "counts", stats(t, s, u.ID).Kept+stats(t, s, u.ID).Bytes, int64(0))
}

func errOf[T any](_ T, err error) error { return err }

// TestClearRequests deletes all at once: nobody sees them any more, and the rows go later.
func TestClearRequests(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	none, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	wantEqual(t, "clearing nothing", none, hook.ID(0))
	const many = 450 // more than two batches of the purge
	var last hook.ID
	for range many {
		last = capture(t, s, u.ID, 10)
	}
	upTo, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	wantEqual(t, "cleared up to", upTo, last)
	wantCleared(t, s, u.ID, last)
	wantEqual(t, "rows that wait for the purge", number(t, s, "SELECT count(*) FROM requests"), int64(many))
	newer := capture(t, s, u.ID, 10)
	wantEqual(t, "a later one", ids(t, s, u.ID), []hook.ID{newer})
	purge(t, s)
	wantEqual(t, "rows after the purge", number(t, s, "SELECT count(*) FROM requests"), int64(1))
	again, err := s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	wantEqual(t, "cleared up to", again, newer)
	again, err = s.ClearRequests(t.Context(), hook.System, u.ID, true)
	must(t, err)
	wantEqual(t, "cleared up to, once more", again, newer)
}

// wantCleared looks for a cleared request in every way there is.
func wantCleared(t *testing.T, s *store.Store, captureURL, id hook.ID) {
	t.Helper()
	ctx := t.Context()
	wantEqual(t, "what is left", ids(t, s, captureURL), []hook.ID(nil))
	rows, err := s.Requests(ctx, hook.System, captureURL, store.RequestPage{After: 1, Limit: 10})
	must(t, err)
	wantEqual(t, "what is newer than the start", len(rows), 0)
	newer, older, err := s.Neighbours(ctx, hook.System, captureURL, id-1)
	must(t, err)
	wantEqual(t, "neighbours", []hook.ID{newer, older}, []hook.ID{0, 0})
	wantKind(t, "reading", errOf(s.Request(ctx, hook.System, id)), hook.NotFound)
	wantKind(t, "whose", errOf(s.CaptureURLOf(ctx, hook.System, id)), hook.NotFound)
	wantKind(t, "the latest", errOf(s.LatestRequest(ctx, hook.System, captureURL)), hook.NotFound)
	wantKind(t, "deleting", s.DeleteRequest(ctx, hook.System, id, true), hook.NotFound)
	got := stats(t, s, captureURL)
	if got.Kept != 0 || got.Bytes != 0 || got.Received == 0 {
		t.Errorf("counts are %+v", got)
	}
}

func TestClearedStaysClearedAfterRestart(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	last := capture(t, s, u.ID, 10)
	if _, err := s.ClearRequests(t.Context(), hook.System, u.ID, true); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = reopen(t, path)
	wantCleared(t, s, u.ID, last)
	purge(t, s)
	wantEqual(t, "rows after the purge", number(t, s, "SELECT count(*) FROM requests"), int64(0))
}

func TestSeenNeverGoesBack(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	ctx := t.Context()
	for _, upTo := range []hook.ID{5, 3, 7, 6} {
		must(t, s.MarkSeen(ctx, u.OwnerID, u.ID, upTo))
	}
	seen, err := s.SeenUpTo(ctx, u.OwnerID)
	must(t, err)
	wantEqual(t, "seen", seen, map[hook.ID]hook.ID{u.ID: 7})
	seen, err = s.SeenUpTo(ctx, storetest.User(t, s, true).ID)
	must(t, err)
	wantEqual(t, "seen by another user", seen, map[hook.ID]hook.ID{})
	wantKind(t, "of a capture URL that is gone", s.MarkSeen(ctx, u.OwnerID, 1, 7), hook.NotFound)
}

// TestAnnouncedSizeHoldsNothing: a body that was not kept has the size that a stranger announced, which may be any. An edited copy of it is
// claimed like any other delivery, and so is what waits beside it.
func TestAnnouncedSizeHoldsNothing(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	cut := storetest.Request(u.ID, 0)
	cut.Truncated, cut.BodySize = true, math.MaxInt64
	must(t, s.Capture(cut))
	for _, to := range []hook.Resend{{SubscriptionID: sub.ID}, {TargetURL: "https://a.example"}} {
		to.RequestID, to.Edit = cut.ID, &hook.Edit{Method: "POST", Body: []byte("typed")}
		must(t, errOf(s.Resend(t.Context(), hook.System, "", to)))
	}
	other := route(t, s, u.ID, sub.ID)
	waiting, _ := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due", waiting, []hook.ID{cut.ID, other})
	byHand, err := s.DueByHand(t.Context(), store.Queue{ID: sub.ID, Now: time.Now(), Limit: 10})
	must(t, err)
	for _, c := range append(byHand, claim(t, s, -u.ID)...) {
		if c.BodySize < 0 || c.BodySize > 1000 {
			t.Errorf("it counts as %d bytes", c.BodySize)
		}
	}
}

// TestCopyOfWhatWasNotKept: an edited copy of a request whose body was not kept has a body of its own, which may be empty.
func TestCopyOfWhatWasNotKept(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	cut := storetest.Request(u.ID, 0)
	cut.Truncated, cut.BodySize = true, 1<<30
	must(t, s.Capture(cut))
	resend := hook.Resend{RequestID: cut.ID, TargetURL: "https://a.example", Edit: &hook.Edit{Method: "PUT"}}
	if _, err := s.Resend(t.Context(), hook.System, "", resend); !hook.Is(err, hook.Conflict) {
		t.Errorf("without a body: %v", err)
	}
	resend.Edit.Body = []byte{}
	must(t, errOf(s.Resend(t.Context(), hook.System, "", resend)))
	gone := hook.Resend{RequestID: route(t, s, u.ID), TargetURL: "https://a.example", EditOf: 1}
	if _, err := s.Resend(t.Context(), hook.System, "", gone); !hook.Is(err, hook.NotFound) {
		t.Errorf("the edited copy of what is gone: %v", err)
	}
}
