package delivery_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// retries makes a schedule of one pause.
func retries(attempts int, pause time.Duration) func(*hook.Subscription) {
	return func(s *hook.Subscription) {
		s.Retry = hook.Retry{Timeout: 5 * time.Second, MaxAttempts: attempts, Backoff: []time.Duration{pause}}
	}
}

// failing answers with a status n times and then with 200.
func failing(n int64, status int) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) <= n {
			w.WriteHeader(status)
		}
	}
}

// TestRetried: an attempt that failed is followed by another one, not before the schedule says, under the same id and with a
// number of its own.
func TestRetried(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, failing(1, 500))
	r := h.capture(h.subscribe(s.URL, retries(3, time.Second)))
	first, second := s.next(t), s.next(t)
	wantEqual(t, "number", second.Header.Get("Hookkeeper-Attempt"), "2")
	wantEqual(t, "delivery", second.Header.Get("Hookkeeper-Delivery-Id"), first.Header.Get("Hookkeeper-Delivery-Id"))
	_, attempts := h.wait(r.ID, hook.Succeeded)
	wantEqual(t, "triggers", []hook.Trigger{attempts[0].Trigger, attempts[1].Trigger}, []hook.Trigger{hook.TriggerCapture, hook.TriggerRetry})
	if pause := attempts[1].StartedAt.Sub(attempts[0].StartedAt); pause < time.Second {
		t.Errorf("the second attempt follows after %v", pause)
	}
}

// TestGivesUp: when the schedule is used up the delivery has failed, and says why.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	r := h.capture(h.subscribe(newSink(t, status(500)).URL, retries(2, time.Second)))
	d, _ := h.wait(r.ID, hook.Failed)
	wantEqual(t, "reason", d.Reason, "attempt 2 of 2: answered 500")
	wantEqual(t, "attempts", d.AttemptCount, 2)
}

// TestWaitingSaysWhen: between attempts a delivery says why and when the next one is.
func TestWaitingSaysWhen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	before := time.Now()
	r := h.capture(h.subscribe(newSink(t, status(500)).URL))
	d, _ := h.wait(r.ID, hook.Waiting)
	wantEqual(t, "reason", d.Reason, "answered 500")
	if d.NextAt.Before(before.Add(5 * time.Second)) {
		t.Errorf("the next attempt is at %v", d.NextAt)
	}
}

// TestRedirectIsAFailure: it is not followed, and the attempt shows where it pointed (SECURITY T4, F11).
func TestRedirectIsAFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	other := newSink(t, nil)
	r := h.capture(h.subscribe(newSink(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}).URL))
	d, attempts := h.wait(r.ID, hook.Waiting)
	wantEqual(t, "reason", d.Reason, "answered 307: redirects are not followed")
	wantEqual(t, "location", attempts[0].Answer("Location"), other.URL)
	wantEqual(t, "arrived elsewhere", len(other.got), 0)
}

// TestGone: 410 fails its delivery and disables the subscription; the others are held and none is lost.
func TestGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	sub := h.subscribe(newSink(t, failing(1, http.StatusGone)).URL, func(s *hook.Subscription) { s.Concurrency = 1 })
	gone := h.capture(sub)
	h.wait(gone.ID, hook.Failed)
	c := <-h.changes
	wantEqual(t, "change", c.Change, hook.Disabled)
	held := h.capture(sub)
	d, _ := h.wait(held.ID, hook.Held)
	wantEqual(t, "reason", d.Reason, "disabled: the target answered 410 Gone")
	_, err := h.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(s *hook.Subscription) error {
		s.Hold = hook.Hold{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.wait(held.ID, hook.Succeeded)
}

// TestRetryAfter: the target's pause holds the whole subscription, not just the delivery that was told, which comes back after
// it. What is said of the pause is what the target asked for, and no longer.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	var told atomic.Bool
	s := newSink(t, func(w http.ResponseWriter, _ *http.Request) {
		if !told.Swap(true) {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	sub := h.subscribe(s.URL, retries(3, time.Second), func(s *hook.Subscription) { s.Concurrency = 1 })
	first := h.capture(sub)
	d, attempts := h.wait(first.ID, hook.Waiting)
	began := time.Now()
	status, err := h.store.Subscription(t.Context(), hook.System, sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	until := status.Health.QuietUntil
	asked := attempts[0].StartedAt.Add(attempts[0].Duration + 2*time.Second)
	if wrong := until.Sub(asked).Abs(); wrong > 5*time.Millisecond {
		t.Errorf("the pause that the target asked for is %v wrong", wrong)
	}
	if d.NextAt.Before(until.Truncate(time.Microsecond)) {
		t.Errorf("the delivery that was told is tried at %v, the pause ends at %v", d.NextAt, until)
	}
	second := h.capture(sub)
	_, attempts = h.wait(second.ID, hook.Succeeded)
	if pause := attempts[0].StartedAt.Sub(began); pause < 1500*time.Millisecond {
		t.Errorf("the next delivery is sent %v after the target asked for 2 s", pause)
	}
	h.wait(first.ID, hook.Succeeded)
}

// TestPausedIsHeld: nothing is sent and nothing lost; resuming delivers.
func TestPausedIsHeld(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL, func(s *hook.Subscription) {
		s.Hold = hook.Hold{Paused: true, PausedBy: "ann@example.com", PausedAt: time.Now()}
	})
	r := h.capture(sub)
	d, _ := h.wait(r.ID, hook.Held)
	wantEqual(t, "reason", d.Reason, "paused by ann@example.com")
	other := h.capture(h.subscribe(s.URL))
	h.wait(other.ID, hook.Succeeded) // the worker has had its turn
	s.next(t)
	wantEqual(t, "sent while paused", len(s.got), 0)
	_, err := h.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(s *hook.Subscription) error {
		s.Hold = hook.Hold{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.wait(r.ID, hook.Succeeded)
}

// TestDiscarded: what a pause held is cancelled at once and not sent when the subscription goes on.
func TestDiscarded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL, func(s *hook.Subscription) { s.Hold.Paused = true })
	r := h.capture(sub)
	n, err := h.store.DiscardHeld(t.Context(), hook.System, sub.ID, "discarded by ann@example.com")
	if err != nil || n != 1 {
		t.Fatalf("%d discarded, %v", n, err)
	}
	d, _ := h.wait(r.ID, hook.Cancelled)
	wantEqual(t, "reason", d.Reason, "discarded by ann@example.com")
	_, err = h.store.UpdateSubscription(t.Context(), hook.System, sub.ID, func(s *hook.Subscription) error {
		s.Hold = hook.Hold{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	later := h.capture(sub)
	h.wait(later.ID, hook.Succeeded)
	wantEqual(t, "arrived", len(s.got), 1)
}

// TestOrdered: a delivery waits for the one before it, also when that fails.
func TestOrdered(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, failing(1, 500))
	sub := h.subscribe(s.URL, retries(3, time.Second), func(s *hook.Subscription) { s.Ordered = true })
	var want, got []string
	for range 4 {
		want = append(want, h.capture(sub).ID.Text(hook.RequestPrefix))
	}
	want = append(want[:1:1], want...) // the head is sent twice
	for range want {
		got = append(got, s.next(t).Header.Get("Hookkeeper-Request-Id"))
	}
	wantEqual(t, "order", got, want)
}

// TestOneAtATime: with a concurrency of 1 first attempts keep their order.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	var under, most atomic.Int64
	s := newSink(t, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		under.Add(-1)
	})
	sub := h.subscribe(s.URL, func(s *hook.Subscription) { s.Concurrency = 1 })
	var want, got []string
	for range 50 {
		want = append(want, h.capture(sub).ID.Text(hook.RequestPrefix))
	}
	for range want {
		got = append(got, s.next(t).Header.Get("Hookkeeper-Request-Id"))
	}
	wantEqual(t, "order", got, want)
	wantEqual(t, "at a time", most.Load(), int64(1))
}

// TestRate: no more attempts a second than the subscription says.
func TestRate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL, func(s *hook.Subscription) { s.Rate = 10 })
	began := time.Now()
	for range 11 {
		h.capture(sub)
	}
	for range 11 {
		s.next(t)
	}
	if took := time.Since(began); took < 950*time.Millisecond {
		t.Errorf("11 attempts took %v at 10 a second", took)
	}
}

// TestRefusedTarget: a target that may not be reached fails at once and names the setting.
func TestRefusedTarget(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	r := h.capture(h.subscribe("http://169.254.169.254/latest"))
	d, attempts := h.wait(r.ID, hook.Failed)
	wantEqual(t, "attempts", len(attempts), 1)
	wantEqual(t, "status", attempts[0].Status, 0)
	if !strings.Contains(d.Reason, "169.254.169.254") {
		t.Errorf("the reason is %q", d.Reason)
	}
}

// TestResendToURL: it is tried once, unsigned, and says nothing about any subscription.
func TestResendToURL(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, status(500))
	r := h.capture()
	_, err := h.store.Resend(t.Context(), hook.System, "ann@example.com", hook.Resend{RequestID: r.ID, TargetURL: s.URL + "/there"})
	if err != nil {
		t.Fatal(err)
	}
	got := s.next(t)
	wantEqual(t, "target", got.URI, "/there")
	wantEqual(t, "signature", got.Header.Get("Webhook-Signature"), "")
	d, attempts := h.wait(r.ID, hook.Failed)
	wantEqual(t, "reason", d.Reason, "answered 500")
	wantEqual(t, "by", attempts[0].By, "ann@example.com")
	wantEqual(t, "trigger", attempts[0].Trigger, hook.TriggerManual)
}

// TestEditedCopies: what an edited copy changes is sent, the rest is the request's, and a copy can be sent again.
func TestEditedCopies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	r := h.capture()
	for _, c := range []struct {
		edit hook.Edit
		body string
	}{
		{hook.Edit{Method: "PATCH"}, string(r.Body)},
		{hook.Edit{Method: "PUT", Body: []byte{}}, ""},
		{hook.Edit{Method: "PUT", Body: []byte("new")}, "new"},
	} {
		made, err := h.store.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: r.ID, TargetURL: s.URL, Edit: &c.edit})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.store.ResendDelivery(t.Context(), hook.System, "", made[0].ID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := s.next(t)
			wantEqual(t, "method", got.Method, c.edit.Method)
			wantEqual(t, "body", string(got.Body), c.body)
		}
	}
	h.stop()
	storetest.WantSound(t, h.store)
}

// TestTypedURLsDoNotWaitForOthers: resends to a slow URL that somebody typed in hold up those from other capture URLs no more than
// deliveries of subscriptions.
func TestTypedURLsDoNotWaitForOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	hangs, goOn := make(chan struct{}, 100), make(chan struct{})
	slow := newSink(t, func(http.ResponseWriter, *http.Request) {
		hangs <- struct{}{}
		<-goOn
	})
	defer close(goOn)
	first := h.capture()
	for range 2 * hook.DefaultConcurrency {
		h.resendTo(slow.URL, first.ID)
	}
	for range hook.DefaultConcurrency {
		<-hangs
	}
	other := storetest.Routed(storetest.CaptureURL(t, h.store).ID, 10)
	if err := h.store.Capture(other); err != nil {
		t.Fatal(err)
	}
	h.resendTo(newSink(t, nil).URL, other.ID)
	h.wait(other.ID, hook.Succeeded)
	if n := len(hangs); n > 0 {
		t.Errorf("%d more are sent to the slow URL than a queue may have under way", n)
	}
}

// resendTo resends a request to a typed URL.
func (h *house) resendTo(url string, request hook.ID) {
	h.t.Helper()
	if _, err := h.store.Resend(h.t.Context(), hook.System, "", hook.Resend{RequestID: request, TargetURL: url}); err != nil {
		h.t.Fatal(err)
	}
}

// TestSignAs signs a resend to a typed URL with a subscription's secret.
func TestSignAs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe("https://shop.example.com", func(s *hook.Subscription) {
		s.Signing = hook.Signing{Scheme: hook.SignStandard, Secrets: []hook.Secret{{Text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}}
	})
	r := h.capture()
	_, err := h.store.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: r.ID, TargetURL: s.URL, SignAs: sub.ID})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.next(t).Header.Get("Webhook-Signature"); !strings.HasPrefix(got, "v1,") {
		t.Errorf("the signature is %q", got)
	}
}

// TestDeletedSubscription: its unfinished deliveries are cancelled and not sent.
func TestDeletedSubscription(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	sub := h.subscribe(s.URL, func(s *hook.Subscription) { s.Hold.Paused = true })
	r := h.capture(sub)
	if err := h.store.DeleteSubscription(t.Context(), hook.System, sub.ID, false); !hook.Is(err, hook.Conflict) {
		t.Errorf("deleting with an unfinished delivery: %v", err)
	}
	if err := h.store.DeleteSubscription(t.Context(), hook.System, sub.ID, true); err != nil {
		t.Fatal(err)
	}
	d, _ := h.wait(r.ID, hook.Cancelled)
	wantEqual(t, "the name stays", d.Subscription, "shop")
	wantEqual(t, "arrived", len(s.got), 0)
}

// TestUndecidedFilter: what was too much work while the sender waited is decided before the first attempt, and in all of the
// body.
func TestUndecidedFilter(t *testing.T) {
	t.Parallel()
	h := newHouse(t, store.Options{})
	s := newSink(t, nil)
	looksFor := func(word string) hook.Subscription {
		return h.subscribe(s.URL, func(sub *hook.Subscription) {
			sub.Filter.Conditions = []hook.Condition{
				{Field: "method", Op: hook.OpIs, Value: "POST"}, {Field: "body", Op: hook.OpContains, Value: word},
			}
		})
	}
	capture := func(sub hook.Subscription, refused int) hook.ID {
		r := storetest.Request(h.url.ID, 10)
		r.Body = append(bytes.Repeat([]byte("x"), 1<<20), "needle"...)
		r.BodySize, r.Routes = int64(len(r.Body)), []hook.Route{{Subscription: sub.ID, Refused: refused}}
		if err := h.store.Capture(r); err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	_, attempts := h.wait(capture(looksFor("needle"), hook.Undecided), hook.Succeeded)
	wantEqual(t, "attempts", len(attempts), 1)
	other := looksFor("another")
	d, attempts := h.wait(capture(other, hook.Undecided), hook.Skipped)
	wantEqual(t, "reason", d.Reason, `body contains "another"`)
	wantEqual(t, "attempts", len(attempts), 0)
	h.wait(capture(other, hook.Delivered), hook.Succeeded) // what was decided is not decided again
}
