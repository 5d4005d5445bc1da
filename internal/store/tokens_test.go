package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		ctx := t.Context()
		ann, bob := storetest.User(t, s, true), storetest.User(t, s, false)
		want := hook.Token{UserID: ann.ID, Name: "CI", Hint: "abcd"}
		must(t, s.CreateToken(ctx, &want, [32]byte{1}))
		bobs := hook.Token{UserID: bob.ID, Name: "CI"}
		must(t, s.CreateToken(ctx, &bobs, [32]byte{2}))
		wantKind(t, "the same one again", s.CreateToken(ctx, &hook.Token{UserID: bob.ID}, [32]byte{1}), hook.Conflict)
		wantKind(t, "of nobody", s.CreateToken(ctx, &hook.Token{UserID: 1}, [32]byte{3}), hook.NotFound)
		want.UserEmail, bobs.UserEmail = ann.Email, bob.Email
		wantTokens(t, s, hook.Actor{UserID: ann.ID, Admin: true}, want)
		wantTokens(t, s, hook.System, bobs, want)

		got, user, err := s.TokenByHash(ctx, [32]byte{1})
		must(t, err)
		wantEqual(t, "by hash", got, want)
		if user.ID != ann.ID || user.Email != ann.Email || !user.Admin {
			t.Errorf("it speaks for %+v", user)
		}
		_, _, err = s.TokenByHash(ctx, [32]byte{9})
		wantKind(t, "an unknown one", err, hook.NotFound)
		must(t, s.RevokeToken(ctx, hook.Actor{UserID: ann.ID}, want.ID))
		_, _, err = s.TokenByHash(ctx, [32]byte{1})
		wantKind(t, "a revoked one", err, hook.NotFound)
		wantKind(t, "revoking it again", s.RevokeToken(ctx, hook.System, want.ID), hook.NotFound)
		wantTokens(t, s, hook.System, bobs)
	})
}

func wantTokens(t *testing.T, s *store.Store, actor hook.Actor, want ...hook.Token) {
	t.Helper()
	got, err := s.Tokens(t.Context(), actor)
	must(t, err)
	wantEqual(t, "tokens", got, want)
}

// TestTokenUseIsNotedHourly: a call of the API must not be a write each.
func TestTokenUseIsNotedHourly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.User(t, s, false)
		must(t, s.CreateToken(t.Context(), &hook.Token{UserID: u.ID}, [32]byte{1}))
		used := func() time.Time {
			list, err := s.Tokens(t.Context(), hook.System)
			must(t, err)
			return list[0].LastUsedAt
		}
		use := func() {
			_, _, err := s.TokenByHash(t.Context(), [32]byte{1})
			must(t, err)
		}
		wantEqual(t, "never used", used(), time.Time{})
		use()
		first := time.Now().UTC()
		wantEqual(t, "used", used(), first)
		time.Sleep(time.Hour)
		use()
		wantEqual(t, "used again soon", used(), first)
		time.Sleep(time.Second)
		use()
		wantEqual(t, "used again later", used(), time.Now().UTC())
	})
}

// TestTokenWorksWhileNothingCanBeWritten: who only reads need not know.
func TestTokenWorksWhileNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		must(t, s.CreateToken(t.Context(), &hook.Token{UserID: u.OwnerID}, [32]byte{1}))
		breakWriter(t, s, "PRAGMA query_only = 1")
		wantKind(t, "a capture", s.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
		_, user, err := s.TokenByHash(t.Context(), [32]byte{1})
		must(t, err)
		wantEqual(t, "it speaks for", user.ID, u.OwnerID)
	})
}

func TestTokenLimit(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u, other := storetest.User(t, s, false), storetest.User(t, s, false)
	create := func(user hook.User, n byte) error {
		return s.CreateToken(t.Context(), &hook.Token{UserID: user.ID}, [32]byte{byte(user.ID), n})
	}
	for n := range byte(hook.MaxTokens) {
		must(t, create(u, n))
	}
	wantKind(t, "one too many", create(u, hook.MaxTokens), hook.Conflict)
	must(t, create(other, hook.MaxTokens+1))
}

// TestEnvironmentToken starts the server with one token, the same, another, and none.
func TestEnvironmentToken(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	u := storetest.User(t, s, true)
	must(t, s.CreateToken(ctx, &hook.Token{UserID: u.ID, Name: "by hand"}, [32]byte{9}))
	valid := func(n byte) bool {
		token, _, err := s.TokenByHash(ctx, [32]byte{n})
		if err != nil {
			wantKind(t, "a token that is not there", err, hook.NotFound)
		}
		return err == nil && token.FromEnv && token.Hint == "hint"
	}
	must(t, s.SetEnvToken(ctx, u.ID, &[32]byte{1}, "hint"))
	before, err := s.Tokens(ctx, hook.System)
	must(t, err)
	must(t, s.SetEnvToken(ctx, u.ID, &[32]byte{1}, "hint"))
	wantTokens(t, s, hook.System, before...)
	must(t, s.SetEnvToken(ctx, u.ID, &[32]byte{2}, "hint"))
	wantEqual(t, "the old and the new one", []bool{valid(1), valid(2)}, []bool{false, true})
	other := storetest.User(t, s, true)
	must(t, s.SetEnvToken(ctx, other.ID, &[32]byte{2}, "hint"))
	_, user, err := s.TokenByHash(ctx, [32]byte{2})
	must(t, err)
	wantEqual(t, "the same one of another admin", user.ID, other.ID)
	must(t, s.SetEnvToken(ctx, other.ID, nil, ""))
	wantEqual(t, "none", valid(2), false)
	_, _, err = s.TokenByHash(ctx, [32]byte{9})
	must(t, err)
}
