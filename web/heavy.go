package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// heavy lets in few of the reads that take long, and of one user one at a time: connections to the database are left for pages,
// and the next one in is somebody else's.
type heavy struct {
	patience time.Duration // of whoever waits
	slots    chan struct{}

	mu    sync.Mutex
	users map[hook.ID]*heavyUser
}

// heavyUser is a user who reads, or waits to.
type heavyUser struct {
	turn chan struct{}
	here int // who hold turn or wait for it
}

func newHeavy() *heavy {
	return &heavy{patience: hook.HeavyReadWait, slots: make(chan struct{}, hook.MaxHeavyReads), users: map[hook.ID]*heavyUser{}}
}

var errHeavy = hook.Errorf(hook.Unavailable, "Other long reads are under way, of yours or of others. Try again in some seconds.")

// enter waits for a turn of the user and then for a slot. Unavailable when that takes too long. The caller calls leave.
func (h *heavy) enter(ctx context.Context, user hook.ID) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	u := h.arrive(user)
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		h.depart(user)
		return nil, errHeavy
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		<-u.turn
		h.depart(user)
		return nil, errHeavy
	}
	return func() {
		<-h.slots
		<-u.turn
		h.depart(user)
	}, nil
}

func (h *heavy) arrive(user hook.ID) *heavyUser {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[user]
	if u == nil {
		u = &heavyUser{turn: make(chan struct{}, 1)}
		h.users[user] = u
	}
	u.here++
	return u
}

func (h *heavy) depart(user hook.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.users[user]; u.here > 1 {
		u.here--
	} else {
		delete(h.users, user)
	}
}

// wholeRequest returns a request for a page or a document. One with a large body is a long read.
func (s *Server) wholeRequest(r *http.Request, id hook.ID) (*hook.Request, error) {
	size, err := s.Store.BodySize(r.Context(), actor(r), id)
	if err != nil {
		return nil, err
	}
	if size > hook.LargeRead {
		leave, err := s.heavy.enter(r.Context(), actor(r).UserID)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return s.Store.Request(r.Context(), actor(r), id)
}
