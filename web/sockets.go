package web

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// viewer is whose a WebSocket is.
type viewer struct {
	session string     // as the store knows it, "" with HOOKKEEPER_AUTH=none
	user    hook.ID    // 0 with HOOKKEEPER_AUTH=none
	epoch   int64      // hook.User.SessionEpoch when the socket was opened
	addr    netip.Addr // counted against the limit of an address; the zero Addr is not counted
}

// sockets are the open WebSockets: how many, and whom to close when a login ends.
type sockets struct {
	most    int
	perAddr int

	mu        sync.Mutex
	open      map[*socket]struct{}
	bySession map[string]int
	byAddr    map[netip.Addr]int
}

type socket struct {
	viewer
	end      func(closeCode int)
	released chan struct{} // closed when the socket is
}

func newSockets(most, perAddr int) *sockets {
	return &sockets{
		most:      most,
		perAddr:   perAddr,
		open:      map[*socket]struct{}{},
		bySession: map[string]int{},
		byAddr:    map[netip.Addr]int{},
	}
}

// register counts a socket that is about to be opened, or refuses it. end is called, at most once and from any
// goroutine, when the viewer's login ends or the server stops; it must not block. The caller calls release when the
// socket is closed.
func (s *sockets) register(v viewer, end func(closeCode int)) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.open) >= s.most:
		return nil, hook.LimitSockets.Errorf(hook.Unavailable, "Too many live views are open on this server.")
	case v.session != "" && s.bySession[v.session] >= hook.MaxSocketsSession:
		return nil, hook.LimitSocketsSession.Errorf(hook.RateLimited, "Too many live views are open in this browser: close some tabs.")
	case v.addr.IsValid() && s.byAddr[v.addr] >= s.perAddr:
		return nil, hook.LimitSocketsAddr.Errorf(hook.RateLimited, "Too many live views are open from this network address.")
	}
	var once sync.Once
	sock := &socket{v, func(code int) { once.Do(func() { end(code) }) }, make(chan struct{})}
	s.open[sock] = struct{}{}
	s.bySession[v.session]++
	s.byAddr[v.addr]++
	return sync.OnceFunc(func() { s.release(sock) }), nil
}

// count returns how many sockets are open.
func (s *sockets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func (s *sockets) release(sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sock)
	decrement(s.bySession, sock.session)
	decrement(s.byAddr, sock.addr)
	close(sock.released)
}

// decrement removes a count that reaches zero: the maps must not grow with every session and address ever seen.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// endWhere ends the sockets that ended picks, and returns them.
func (s *sockets) endWhere(code int, ended func(viewer) bool) (picked []*socket) {
	s.mu.Lock()
	for sock := range s.open {
		if ended(sock.viewer) {
			picked = append(picked, sock)
		}
	}
	s.mu.Unlock()
	for _, sock := range picked {
		sock.end(code)
	}
	return picked
}

// closeSession ends the sockets of a session.
func (s *sockets) closeSession(session string) {
	s.endWhere(closeEnded, func(v viewer) bool { return v.session == session && session != "" })
}

// closeUser ends the sockets of a user, but those of one session.
func (s *sockets) closeUser(user hook.ID, except string) {
	s.endWhere(closeEnded, func(v viewer) bool { return v.user == user && v.session != except })
}

// renew tells that a session goes on under another name, after the user's other sessions were ended.
func (s *sockets) renew(session, renewed string, epoch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sock := range s.open {
		if sock.session == session {
			sock.session, sock.epoch = renewed, epoch
		}
	}
	if n := s.bySession[session]; n > 0 && renewed != session {
		s.bySession[renewed] += n
		delete(s.bySession, session)
	}
}

// viewers returns whose sockets are open, one viewer for each session.
func (s *sockets) viewers() []viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	var all []viewer
	for sock := range s.open {
		if sock.session != "" && !seen[sock.session] {
			seen[sock.session] = true
			all = append(all, sock.viewer)
		}
	}
	return all
}

// checkEvery is how late a socket may notice that its session ended by time.
const checkEvery = time.Minute

// Run ends the sockets of sessions that have ended by time, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.CheckSockets(ctx)
		}
	}
}

// CheckSockets ends the sockets whose session has ended by time or by another process: a logout, a new password, a
// deleted user. What cannot be found out now is left to the next check.
func (s *Server) CheckSockets(ctx context.Context) {
	for _, v := range s.sockets.viewers() {
		valid, err := s.viewerValid(ctx, v)
		if err != nil {
			s.Log.Warn("sessions of live views not checked", "error", err)
			return
		}
		if !valid {
			s.sockets.closeSession(v.session)
		}
	}
}

func (s *Server) viewerValid(ctx context.Context, v viewer) (bool, error) {
	valid, err := s.Store.SessionValid(ctx, v.session)
	if err != nil || !valid {
		return false, err
	}
	u, err := s.Store.User(ctx, v.user)
	if hook.Is(err, hook.NotFound) {
		return false, nil
	}
	return err == nil && u.SessionEpoch == v.epoch, err
}
