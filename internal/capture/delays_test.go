package capture

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// TestDelaysOfOneURL: a thousand answers of a capture URL wait for their delay. One more is stored and answered at once, as
// configured, and another capture URL still has its delay.
func TestDelaysOfOneURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := startInBubble(t, nil)
		go func() {
			for range done { // as many as there are
			}
		}()
		defer close(done)
		slow := hook.Response{Status: 202, Delay: hook.MaxResponseDelay}
		s.answering(t, slow)
		other := hook.CaptureURL{OwnerID: s.url.OwnerID, Name: "other", Slug: "other", Response: slow}
		if err := s.Store.CreateCaptureURL(t.Context(), &other); err != nil {
			t.Fatal(err)
		}
		var closed bool // with the answer
		took := func(target string) time.Duration {
			begin := time.Now()
			a := s.post(t, target, "", "hi")
			wantEqual(t, target, a.status, 202)
			closed = a.closed
			return time.Since(begin).Truncate(time.Second) // a commit takes a little
		}
		for range hook.MaxDelaysOfURL {
			write(t, s.open(t), "POST /in/orders HTTP/1.1\r\nHost: cap\r\nContent-Length: 2\r\n\r\nhi")
		}
		time.Sleep(time.Second) // of the bubble: the writer gathers
		wantEqual(t, "one more", took("/in/orders"), 0)
		wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: hook.LimitDelays, Count: 1}})
		wantEqual(t, "its connection is closed", closed, true)
		wantEqual(t, "another one", took("/in/other"), hook.MaxResponseDelay)
		wantEqual(t, "its connection is closed", closed, false)
		wantEqual(t, "when they are over", took("/in/orders"), hook.MaxResponseDelay)
		u, err := s.Store.CaptureURL(t.Context(), hook.System, s.url.ID)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "stored", u.Received, int64(hook.MaxDelaysOfURL+2))
	})
}

func TestDelaysInAll(t *testing.T) {
	var d delays
	for n := range hook.MaxDelays {
		wantEqual(t, "below the limit", d.begin(hook.ID(n/hook.MaxDelaysOfURL)), true)
	}
	wantEqual(t, "one more", d.begin(1000), false)
	d.end(0)
	wantEqual(t, "when one has ended", d.begin(1000), true)
	for n := range hook.MaxDelays - 1 {
		d.end(hook.ID((n + 1) / hook.MaxDelaysOfURL))
	}
	d.end(1000)
	wantEqual(t, "left over", []int{d.all, len(d.ofURL)}, []int{0, 0})
}

// TestDelaysHoldNoBytes: what is on disk does not count as in flight while its answer waits.
func TestDelaysHoldNoBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := startInBubble(t, nil)
		s.answering(t, hook.Response{Status: 200, Delay: hook.MaxResponseDelay})
		head, body := framed(90_000, false)
		go func() { s.send(t, head, body) }()
		time.Sleep(time.Second) // of the bubble: the writer gathers
		s.wantStored(t, "of those that wait for their answer", 1)
		wantEqual(t, "bytes in flight", s.budget.used.Load(), 0)
		<-done
	})
}
