package web

import (
	"net/http"
	"sync"
	"time"
)

const (
	flashFor = time.Minute // what nobody has fetched by then is dropped
	maxFlash = 10_000      // kept at a time; one more and they are all dropped: a confirmation is lost, or a secret to be made anew
)

// flashes keeps, for each session, what the page behind the redirect of a form shows. They are in memory and not in the
// session, because a page that takes its sentence would then write: a GET changes nothing on disk. A secret has nothing to
// do there at all.
type flashes struct {
	mu   sync.Mutex
	kept map[string]*flash // by what the store knows the session by
}

// flash is something to be told once.
type flash struct {
	page    string // the only one that shows it, "" = the next one, whichever it is
	message string
	about   string // whom it concerns, where that is told, too
}

func (f *flashes) put(session string, told flash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept == nil {
		f.kept = map[string]*flash{}
	}
	if len(f.kept) >= maxFlash {
		clear(f.kept)
	}
	f.kept[session] = &told
	time.AfterFunc(flashFor, func() { f.drop(session, &told) })
}

// drop forgets what nobody has fetched.
func (f *flashes) drop(session string, told *flash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept[session] == told {
		delete(f.kept, session)
	}
}

// take returns what a session is told on a page, the zero flash when that is nothing, and forgets it.
func (f *flashes) take(session, page string) flash {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := f.kept[session]
	if told == nil || told.page != page {
		return flash{}
	}
	delete(f.kept, session)
	return *told
}

// flash keeps a sentence for the next page that the user sees.
func (s *Server) flash(r *http.Request, message string) {
	if v := visitorOf(r); v.session != nil && v.user.ID != 0 {
		s.flashes.put(hashSession(v.session.Token(r.Context())), flash{message: message})
	}
}

// takeFlash returns the sentence that was kept for the user, "" when there is none.
func (s *Server) takeFlash(r *http.Request) string {
	return s.take(r, &s.flashes, "").message
}

// redirectWithSecret leads to a path, where the page of that name shows a secret that is not to be read anywhere else: it is
// kept for that page of this session, once. Shown in the answer to the form it would be made again by a reload.
func (s *Server) redirectWithSecret(w http.ResponseWriter, r *http.Request, path, page, secret, about string) error {
	session := hashSession(visitorOf(r).session.Token(r.Context()))
	s.secrets.put(session, flash{page: page, message: secret, about: about})
	return s.redirect(w, r, path)
}

// takeSecret returns the secret that a page of the session is to show.
func (s *Server) takeSecret(r *http.Request, page string) (secret, about string) {
	told := s.take(r, &s.secrets, page)
	return told.message, told.about
}

// take is nothing for who does not show it: a script that asked for a part of the page, or for its head only.
func (s *Server) take(r *http.Request, from *flashes, page string) flash {
	v := visitorOf(r)
	if v.session == nil || r.Method == http.MethodHead || r.Header.Get(fragmentHeader) != "" {
		return flash{}
	}
	return from.take(hashSession(v.session.Token(r.Context())), page)
}
