package web

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestBodiesInPieces: a body that is written in pieces is the same when it is read, wherever the pieces end.
func TestBodiesInPieces(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text, captureURL := s.token(u), storetest.CaptureURLOf(t, s.store, u)
	pad := func(n int) string { return strings.Repeat("x", n) }
	for name, body := range map[string]string{
		"one piece":          pad(bodyPiece),
		"a byte more":        pad(bodyPiece + 1),
		"three bytes on it":  pad(bodyPiece-1) + "€" + pad(bodyPiece),
		"four bytes on it":   pad(bodyPiece-3) + "😀😀" + pad(bodyPiece),
		"escapes":            pad(bodyPiece-1) + strings.Repeat("\"\\/\x00\n\u2028<&\x7f", bodyPiece/4),
		"the end is no text": pad(2*bodyPiece) + "\xe2\x82",
		"no text":            strings.Repeat("\xff\x00\xfe", bodyPiece),
	} {
		path := requestPathOf(s.request(captureURL.ID, body).ID)
		doc := s.api(text, "GET", path, "").decode(t)
		got, isText := doc["body"].(string)
		if encoded, ok := doc["body_base64"].(string); ok {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || isText {
				t.Errorf("%s: %v, and text: %v", name, err, isText)
			}
			got = string(decoded)
		}
		if got != body {
			t.Errorf("%s: %d bytes came back as %d", name, len(body), len(got))
		}
		if got := s.api(text, "GET", path+"/body", "").body; got != body {
			t.Errorf("%s: %d bytes are downloaded as %d", name, len(body), len(got))
		}
	}
}

// TestLargeBodyTakesItsSize: what a body becomes in JSON, up to six times as much, is never in memory.
func TestLargeBodyTakesItsSize(t *testing.T) {
	const size = 8 << 20
	s := newSite(t)
	u := s.user(false)
	text, captureURL := s.token(u), storetest.CaptureURLOf(t, s.store, u)
	id := s.request(captureURL.ID, strings.Repeat("\x00", size)).ID
	for _, path := range []string{requestPathOf(id), requestsPathOf(captureURL.ID) + "/latest", requestPathOf(id) + "/body"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := s.discard(text, path)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; n < size || allocated > 4*size {
			t.Errorf("GET %s: %d bytes of answer took %d MiB of memory for a body of %d MiB", path, n, allocated>>20, size>>20)
		}
	}
}

// discard reads an answer of the API and returns its size.
func (s *site) discard(token, path string) int64 {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.browser().client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Errorf("GET %s: status %d, %v", path, resp.StatusCode, err)
	}
	return n
}

// TestLargeBodiesTakeTurns: every reader of a large body waits while there is no room for it, and gives its room back. Small
// bodies do not wait.
func TestLargeBodiesTakeTurns(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text, captureURL, b := s.token(u), storetest.CaptureURLOf(t, s.store, u), s.loggedIn(u)
	large, small := s.request(captureURL.ID, strings.Repeat("x", hook.SmallBody)+"y"), s.request(captureURL.ID, strings.Repeat("x", hook.SmallBody))
	long := hostileRequest(captureURL.ID, strings.Repeat("x", hook.SmallBody), "")
	if err := s.store.Capture(long); err != nil {
		t.Fatal(err)
	}
	const target = "https://a.example/"
	far := storetest.Subscription(t, s.store, captureURL.ID, func(sub *hook.Subscription) {
		sub.TargetURL = target + strings.Repeat("x", hook.MaxTargetURL-len(target))
	})
	for range hook.SmallBody / hook.MaxTargetURL {
		if err := s.store.Capture(storetest.Routed(captureURL.ID, 10, far.ID)); err != nil {
			t.Fatal(err)
		}
	}
	sub := storetest.Subscription(t, s.store, captureURL.ID)
	delivery := s.answered(storetest.Routed(captureURL.ID, 10, sub.ID), 3, func(a *hook.Attempt) {
		a.ResponseBody = []byte(strings.Repeat("x", hook.MaxResponseKept/2))
	})
	page := func(q *hook.Request) string { return requestPath(captureURL.ID, q.ID) }
	done := s.takeAllRoom()
	readers := []func() answer{
		func() answer { return s.api(text, "GET", requestPathOf(large.ID), "") },
		func() answer { return s.api(text, "GET", requestPathOf(large.ID)+"/body", "") },
		func() answer { return b.get(page(large)) },
		func() answer { return b.get(page(large) + "/body") },
		func() answer { return b.get(page(large) + "/edit") },
		func() answer { return s.api(text, "GET", requestsPathOf(captureURL.ID), "") },
		func() answer { return s.api(text, "GET", "/api/v1/deliveries?limit=200", "") },
		func() answer { return s.api(text, "GET", deliveryPathOf(delivery.ID), "") },
		func() answer { return b.get(deliveryPath(delivery.ID)) },
	}
	answers := make(chan answer, len(readers))
	for _, read := range readers {
		go func() { answers <- read() }()
	}
	for range 10 {
		wantStatus(t, "a small body", s.api(text, "GET", requestPathOf(small.ID), ""), http.StatusOK)
		wantStatus(t, "its page", b.get(page(small)), http.StatusOK)
	}
	if n := len(answers); n > 0 {
		t.Errorf("%d large bodies were read without room", n)
	}
	done()
	for range readers {
		wantStatus(t, "a large body", <-answers, http.StatusOK)
	}
	s.takeAllRoom()() // all was given back
	if n := len(s.web.reading.shares); n > 0 {
		t.Errorf("%d shares of users are left over", n)
	}
}

// takeAllRoom takes all the room there is for large bodies, as two users who do not exist.
func (s *site) takeAllRoom() (done func()) {
	s.t.Helper()
	var held []func()
	for user := range hook.ID(2) {
		done, err := s.web.reading.wait(s.t.Context(), -1-user, hook.MaxBodiesRead/2)
		if err != nil {
			s.t.Fatal(err)
		}
		held = append(held, done)
	}
	return func() {
		for _, done := range held {
			done()
		}
	}
}

// TestNoRoomForLargeBody: who has waited long enough is told to come back.
func TestNoRoomForLargeBody(t *testing.T) {
	const one, two = hook.ID(1), hook.ID(2)
	synctest.Test(t, func(t *testing.T) {
		b := newReading()
		take := func(user hook.ID, size int64) (done func()) {
			done, err := b.wait(t.Context(), user, size)
			if err != nil {
				t.Fatalf("%d bytes for user %d: %v", size, user, err)
			}
			return done
		}
		wantFull := func(user hook.ID, size int64) {
			began := time.Now()
			_, err := b.wait(t.Context(), user, size)
			if waited := time.Since(began); !hook.Is(err, hook.Unavailable) || waited != hook.BodiesReadWait {
				t.Errorf("%d bytes for user %d after %v: %v", size, user, waited, err)
			}
		}
		half, other := take(one, hook.CeilingMaxBody), take(two, hook.MaxBodiesRead/4)
		wantFull(one, hook.SmallBody+1)
		wantFull(two, hook.MaxBodiesRead/4+1)
		more := take(two, hook.MaxBodiesRead/4)
		wantFull(3, hook.SmallBody+1)
		for _, done := range []func(){half, other, more} {
			done()
		}
		take(one, hook.CeilingMaxBody)()
		if n := len(b.shares); n > 0 {
			t.Errorf("%d shares are left over", n)
		}
	})
}

// TestSlowReadersShutNobodyOut: however many large bodies one user asks for and does not read, another user's come at once.
func TestSlowReadersShutNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newReading()
		waiting, leave := context.WithCancel(t.Context())
		defer leave()
		for range 20 {
			go func() { _, _ = b.wait(waiting, 1, 10<<20) }()
			go func() { _, _ = b.wait(waiting, 1, hook.CeilingMaxBody) }()
		}
		synctest.Wait()
		began := time.Now()
		for range 3 {
			if _, err := b.wait(t.Context(), 2, 10<<20); err != nil || time.Since(began) > 0 {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
	})
}
