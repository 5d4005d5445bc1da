package capture

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// TestRate: four seconds' worth may come at once, then one each time that the rate allows, and a change takes effect.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rates
		url := &hook.CaptureURL{ID: 1, Rate: 2}
		taken := func() (n int) {
			for r.wait(url, time.Now()) == 0 {
				n++
			}
			return n
		}
		wantEqual(t, "at once", taken(), 8)
		wantEqual(t, "to wait", r.wait(url, time.Now()), time.Second/2)
		time.Sleep(time.Second)
		wantEqual(t, "after a second", taken(), 2)
		url = &hook.CaptureURL{ID: 1, Rate: 10}
		wantEqual(t, "at once behind a change", taken(), 0)
		time.Sleep(time.Second)
		wantEqual(t, "a second after a change", taken(), 10)
		wantEqual(t, "of another", r.wait(&hook.CaptureURL{ID: 2, Rate: hook.MinRate}, time.Now()), 0)
		wantEqual(t, "the second of another", r.wait(&hook.CaptureURL{ID: 2, Rate: hook.MinRate}, time.Now()), 100*time.Second)
		wantEqual(t, "without a limit", r.wait(&hook.CaptureURL{ID: 3}, time.Now()), 0)
	})
}

// TestTooFast: what is over the rate is told when to come again, and is not stored; preflights are free.
func TestTooFast(t *testing.T) {
	s := start(t, func(u *hook.CaptureURL) { u.Rate, u.CORS = hook.MinRate, true })
	preflight := "OPTIONS /in/orders HTTP/1.1\nHost: x\nOrigin: https://a.example\nAccess-Control-Request-Method: POST\n\n"
	wantEqual(t, "preflight", s.send(t, preflight, "").status, 204)
	wantEqual(t, "the first", s.send(t, "POST /in/orders HTTP/1.1\nHost: x\nContent-Length: 1\n\n", "a").status, 200)
	first := s.last(t)
	a := s.send(t, "POST /in/orders HTTP/1.1\nHost: x\nContent-Length: 1\n\n", "b")
	wantEqual(t, "the second", a.status, 429)
	wantEqual(t, "when to come again", a.header.Get("Retry-After"), "100")
	wantPublic(t, "429", a)
	wantEqual(t, "stored", s.last(t).ID, first.ID)
	wantEqual(t, "preflight again", s.send(t, preflight, "").status, 204)
	wantEqual(t, "counted", s.Tally.Rows(), []tally.Row{{Limit: hook.LimitRate, Count: 1}})
	told := s.Tally.OfURL(first.CaptureURLID)
	if len(told) != 1 || told[0].Row != s.Tally.Rows()[0] || told[0].Last.Before(first.ReceivedAt) {
		t.Errorf("the owner is told of %+v", told)
	}
	wantEqual(t, "of another", s.Tally.OfURL(first.CaptureURLID+1), nil)
}
