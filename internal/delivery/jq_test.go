package delivery_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// endless is a jq condition that uses up its time on every body.
var endless = strings.Repeat("(true,true)|", 100) + "empty"

func withJQ(jq string) func(*hook.Subscription) {
	return func(s *hook.Subscription) { s.Filter.JQ = jq }
}

// captureJSON stores a request with a JSON body for subscriptions.
func (h *house) captureJSON(body string, subs ...hook.Subscription) *hook.Request {
	h.t.Helper()
	r := storetest.Routed(subs[0].CaptureURLID, 0)
	r.Body, r.BodySize = []byte(body), int64(len(body))
	for _, s := range subs {
		r.Routes = append(r.Routes, hook.Route{Subscription: s.ID, Refused: hook.Delivered})
	}
	if err := h.store.Capture(r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

// failed counts the deliveries of subscriptions that have failed.
func (h *house) failed(subs []hook.Subscription) (n int64) {
	h.t.Helper()
	for _, s := range subs {
		now, err := h.store.Subscription(h.t.Context(), hook.System, s.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		n += now.Counts.Failed
	}
	return n
}

// TestJQ: what the condition lets pass is sent, the rest is skipped or fails, each with its reason.
func TestJQ(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	for name, ordered := range map[string]bool{"side by side": false, "in order": true} {
		sub := h.subscribe(s.URL, withJQ(".a"), func(s *hook.Subscription) { s.Ordered = ordered })
		large := h.captureJSON(`"`+strings.Repeat("x", hook.MaxJQBody)+`"`, sub)
		first, no, broken, last := h.captureJSON(`{"a":1}`, sub), h.captureJSON(`{}`, sub), h.captureJSON(`{`, sub), h.captureJSON(`{"a":2}`, sub)
		h.wait(first.ID, hook.Succeeded)
		h.wait(last.ID, hook.Succeeded)
		sent := []string{string(s.next(t).Body), string(s.next(t).Body)}
		if !ordered {
			slices.Sort(sent)
		}
		wantEqual(t, name+": sent", sent, []string{`{"a":1}`, `{"a":2}`})
		d, _ := h.wait(no.ID, hook.Skipped)
		wantEqual(t, name+": reason", d.Reason, "jq: .a")
		d, _ = h.wait(broken.ID, hook.Skipped)
		wantEqual(t, name+": reason", d.Reason, "jq: the body is not JSON: unexpected EOF")
		d, _ = h.wait(large.ID, hook.Failed)
		wantEqual(t, name+": reason", d.Reason, "the jq condition could not be decided: the body is larger than 1048576 bytes, the most that a jq program is run on")
	}
	wantEqual(t, "sent", len(s.got), 0)
}

// TestSlowJQ: the conditions of one owner that use up their time delay those of another by a turn, however many deliveries
// wait for them.
func TestSlowJQ(t *testing.T) {
	t.Parallel()
	h := openHouse(t, store.Options{})
	s := newSink(t, nil)
	var slow []hook.Subscription
	h.url = storetest.CaptureURL(t, h.store)
	for range 20 {
		slow = append(slow, h.subscribe(s.URL, withJQ(endless)))
	}
	for range 3 {
		h.captureJSON(`1`, slow...)
	}
	h.url = storetest.CaptureURL(t, h.store)
	h.captureJSON(`{"a":true}`, h.subscribe(s.URL, withJQ(".a")))
	h.start()
	s.next(t)
	if n := h.failed(slow); n > 6 {
		t.Errorf("%d slow conditions were decided before the one of another owner", n)
	}
}
