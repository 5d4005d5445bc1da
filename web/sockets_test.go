package web

import (
	"context"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// mustRegister registers a socket that adds its name to ended when it is ended.
func mustRegister(t *testing.T, s *sockets, v viewer, name string, ended *[]string) (release func()) {
	t.Helper()
	release, err := s.register(v, func(int) { *ended = append(*ended, name) })
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestSocketLimits(t *testing.T) {
	nothing := func(int) {}
	register := func(s *sockets, v viewer) func() {
		t.Helper()
		release, err := s.register(v, nothing)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	refused := func(what string, s *sockets, v viewer, kind hook.Kind) {
		t.Helper()
		if _, err := s.register(v, nothing); !hook.Is(err, kind) {
			t.Errorf("%s: %v", what, err)
		}
	}

	s := newSockets(hook.MaxSockets, 30)
	var release func()
	for range hook.MaxSocketsSession {
		release = register(s, viewer{session: "a"})
	}
	refused("one more of a session", s, viewer{session: "a"}, hook.RateLimited)
	register(s, viewer{session: "b"})
	release()
	release() // twice is once
	register(s, viewer{session: "a"})
	refused("one more of a session again", s, viewer{session: "a"}, hook.RateLimited)

	addr := netip.MustParseAddr("192.0.2.1")
	for i := range 30 {
		release = register(s, viewer{session: string(rune('A' + i)), addr: addr})
	}
	refused("one more of an address", s, viewer{session: "c", addr: addr}, hook.RateLimited)
	register(s, viewer{session: "c", addr: addr.Next()})
	release()
	register(s, viewer{session: "c", addr: addr})

	s = newSockets(100, 1)
	for range 100 {
		release = register(s, viewer{})
	}
	refused("one more in all", s, viewer{}, hook.Unavailable)
	release()
	register(s, viewer{})
	for sock := range s.open {
		s.release(sock)
	}
	if len(s.open)+len(s.bySession)+len(s.byAddr) != 0 {
		t.Errorf("left over: %d, %v, %v", len(s.open), s.bySession, s.byAddr)
	}
}

func TestSocketsEnd(t *testing.T) {
	s := newSockets(hook.MaxSockets, 10)
	var ended []string
	mustRegister(t, s, viewer{session: "a1", user: 1}, "a1", &ended)
	mustRegister(t, s, viewer{session: "a2", user: 1}, "a2", &ended)
	mustRegister(t, s, viewer{session: "b", user: 2}, "b", &ended)
	mustRegister(t, s, viewer{}, "nobody", &ended)
	want := func(what string, names ...string) {
		t.Helper()
		slices.Sort(ended)
		if !slices.Equal(ended, names) {
			t.Errorf("%s: ended %q, want %q", what, ended, names)
		}
		ended = nil
	}
	s.closeSession("")
	want("no session")
	s.closeUser(1, "a1")
	want("all of a user but one", "a2")
	s.renew("a1", "a3", 7)
	if v := s.viewers(); !slices.ContainsFunc(v, func(v viewer) bool { return v.session == "a3" && v.epoch == 7 }) {
		t.Errorf("after renew: %v", v)
	}
	s.closeSession("a1")
	want("a session under its old name")
	s.closeSession("a3")
	want("and its new one", "a1")
	s.closeUser(1, "")
	want("those that were ended are not ended again")
}

// CheckSockets finds the sessions that ended elsewhere.
func TestCheckSockets(t *testing.T) {
	s := newSite(t)
	s.user(true)
	var ended []string
	open := func(name string) (hook.User, string) {
		u := s.user(false)
		hash := hashSession(s.loggedIn(u).cookie(sessionCookie))
		mustRegister(t, s.web.sockets, viewer{session: hash, user: u.ID, epoch: u.SessionEpoch}, name, &ended)
		return u, hash
	}
	open("stays")
	_, hash := open("deleted session")
	other, _ := open("ended sessions")
	gone, _ := open("deleted user")
	mustRegister(t, s.web.sockets, viewer{}, "without login", &ended)
	s.web.CheckSockets(t.Context())
	if len(ended) != 0 {
		t.Errorf("ended %q before anything happened", ended)
	}
	err := s.store.DeleteCtx(t.Context(), hash)
	if err == nil {
		_, err = s.store.EndSessions(t.Context(), other.ID)
	}
	if err == nil {
		err = s.store.DeleteUser(t.Context(), gone.ID, store.DeleteUserOptions{WithData: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	s.web.CheckSockets(canceled)
	if len(ended) != 0 {
		t.Errorf("ended %q without knowing", ended)
	}
	s.web.CheckSockets(t.Context())
	slices.Sort(ended)
	if want := []string{"deleted session", "deleted user", "ended sessions"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
}

// A session that ends by time takes its sockets along, although nobody asks for anything.
func TestRunEndsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := newServer(t, filepath.Join(t.TempDir(), "hookkeeper.db"), io.Discard)
		u := storetest.User(t, st, false)
		if err := st.CommitCtx(t.Context(), "hash", []byte("data"), time.Now().Add(90*time.Second)); err != nil {
			t.Fatal(err)
		}
		var ended atomic.Int32
		_, err := s.sockets.register(viewer{session: "hash", user: u.ID, epoch: u.SessionEpoch}, func(int) { ended.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		<-time.After(checkEvery + time.Second)
		synctest.Wait()
		if ended.Load() != 0 {
			t.Error("a good session was ended")
		}
		<-time.After(checkEvery)
		synctest.Wait()
		if ended.Load() != 1 {
			t.Error("the socket of a session that is over is still open")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
