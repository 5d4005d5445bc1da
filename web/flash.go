package web

import (
	"net/http"
	"sync"
	"time"
)

const (
	flashFor = time.Minute // a sentence that nobody has fetched by then is dropped
	maxFlash = 10_000      // sentences kept; one more and they are all dropped, which only costs a confirmation
)

// flashes keeps, for each session, the sentence that its next page shows: what the last form did. They are in memory and
// not in the session, because a page that takes its sentence would then write: a GET changes nothing on disk.
type flashes struct {
	mu   sync.Mutex
	kept map[string]flash // by what the store knows the session by
}

type flash struct {
	message string
	until   time.Time
}

func (f *flashes) put(session, message string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept == nil || len(f.kept) >= maxFlash {
		f.kept = map[string]flash{}
	}
	f.kept[session] = flash{message, now.Add(flashFor)}
}

// take returns the sentence of a session, "" when there is none, and forgets it.
func (f *flashes) take(session string, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, ok := f.kept[session]
	if !ok {
		return ""
	}
	delete(f.kept, session)
	if now.After(kept.until) {
		return ""
	}
	return kept.message
}

// flash keeps a sentence for the next page that the user sees.
func (s *Server) flash(r *http.Request, message string) {
	if v := visitorOf(r); v.session != nil && v.user.ID != 0 {
		s.flashes.put(hashSession(v.session.Token(r.Context())), message, time.Now())
	}
}

// takeFlash returns the sentence that was kept for the user, "" when there is none.
func (s *Server) takeFlash(r *http.Request) string {
	v := visitorOf(r)
	if v.session == nil {
		return ""
	}
	return s.flashes.take(hashSession(v.session.Token(r.Context())), time.Now())
}
