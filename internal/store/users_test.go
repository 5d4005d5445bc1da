package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func TestUserComesBackAsItWas(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	ctx := t.Context()
	has, err := s.HasUsers(ctx)
	must(t, err)
	wantEqual(t, "has users", has, false)
	want := hook.User{Email: "Ann.Lee@Example.com", PasswordHash: "$argon2id$x", Admin: true}
	must(t, s.CreateUser(ctx, &want))
	plain := hook.User{Email: "bob@example.com"}
	must(t, s.CreateUser(ctx, &plain))
	closeStore(t, s)
	s = reopen(t, path)
	for _, email := range []string{"Ann.Lee@Example.com", "ann.lee@example.com", " ANN.LEE@EXAMPLE.COM "} {
		got, err := s.UserByEmail(ctx, email)
		must(t, err)
		wantEqual(t, email, got, want)
	}
	got, err := s.User(ctx, plain.ID)
	must(t, err)
	wantEqual(t, "by id", got, plain)
	all, err := s.Users(ctx)
	must(t, err)
	wantEqual(t, "all", all, []hook.User{want, plain})
	has, err = s.HasUsers(ctx)
	must(t, err)
	wantEqual(t, "has users", has, true)
	wantKind(t, "an address in another case", s.CreateUser(ctx, &hook.User{Email: "ANN.lee@example.com"}), hook.Conflict)
	wantKind(t, "an unknown address", errOf(s.UserByEmail(ctx, "eve@example.com")), hook.NotFound)
	wantKind(t, "an unknown id", errOf(s.User(ctx, 1)), hook.NotFound)
}

// TestOneClaimsTheInstance has several try to be the first user.
func TestOneClaimsTheInstance(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	errs := make(chan error, 16)
	for i := range cap(errs) {
		go func() {
			errs <- s.CreateFirstUser(t.Context(), &hook.User{Email: string(rune('a'+i)) + "@example.com", Admin: true})
		}()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else {
			wantKind(t, "a later one", err, hook.Conflict)
		}
	}
	wantEqual(t, "claimed", won, 1)
	all, err := s.Users(t.Context())
	must(t, err)
	wantEqual(t, "users", len(all), 1)
}

func TestUserLimit(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	closeStore(t, s)
	db := openRaw(t, path)
	exec(t, db, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO users SELECT i, i, i, '', 0, 0, 0 FROM n`, hook.MaxUsers-1)
	must(t, db.Close())
	s = reopen(t, path)
	must(t, s.CreateUser(t.Context(), &hook.User{Email: "last@example.com"}))
	err := s.CreateUser(t.Context(), &hook.User{Email: "more@example.com"})
	wantKind(t, "one too many", err, hook.Conflict)
	wantLimit(t, "one too many", err, hook.LimitUsers)
}

// TestEpochEndsSessions: what ends all sessions of a user raises the number that sessions carry.
func TestEpochEndsSessions(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	u, other := storetest.User(t, s, true), storetest.User(t, s, false)
	must(t, s.CreateInvite(ctx, u.ID, [32]byte{1}, time.Now().Add(time.Hour)))
	change, err := s.SetPassword(ctx, u.ID, "$argon2id$a", false)
	must(t, err)
	first := change.Epoch
	second, err := s.EndSessions(ctx, u.ID)
	must(t, err)
	got, err := s.User(ctx, u.ID)
	must(t, err)
	if first <= u.SessionEpoch || second <= first || got.SessionEpoch != second || got.PasswordHash != "$argon2id$a" {
		t.Errorf("epochs %d, %d, %d, user %+v", u.SessionEpoch, first, second, got)
	}
	wantKind(t, "an older invitation", errOf(s.InviteUser(ctx, [32]byte{1})), hook.NotFound)
	untouched, err := s.User(ctx, other.ID)
	must(t, err)
	wantEqual(t, "another user", untouched, other)
	wantKind(t, "the password of nobody", errOf(s.SetPassword(ctx, 1, "x", true)), hook.NotFound)
	wantKind(t, "the sessions of nobody", errOf(s.EndSessions(ctx, 1)), hook.NotFound)
}

func TestInvites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		s := storetest.Open(t, store.Options{})
		ctx := t.Context()
		u, other := storetest.User(t, s, false), storetest.User(t, s, false)
		invite := func(user hook.ID, n byte) {
			must(t, s.CreateInvite(ctx, user, [32]byte{n}, time.Now().Add(time.Hour)))
		}
		invite(u.ID, 1)
		invite(other.ID, 3)
		invite(u.ID, 2) // voids the first one, and nobody else's
		wantKind(t, "the older one", errOf(s.AcceptInvite(ctx, [32]byte{1}, "x")), hook.NotFound)
		got, err := s.InviteUser(ctx, [32]byte{2})
		must(t, err)
		wantEqual(t, "whose", got, u)
		accepted, err := s.AcceptInvite(ctx, [32]byte{2}, "$argon2id$a")
		must(t, err)
		got, err = s.User(ctx, u.ID)
		must(t, err)
		wantEqual(t, "accepted", accepted, got)
		if got.PasswordHash != "$argon2id$a" || got.SessionEpoch <= u.SessionEpoch {
			t.Errorf("the user became %+v", got)
		}
		wantKind(t, "used twice", errOf(s.AcceptInvite(ctx, [32]byte{2}, "x")), hook.NotFound)
		wantKind(t, "looked at after it was used", errOf(s.InviteUser(ctx, [32]byte{2})), hook.NotFound)
		time.Sleep(time.Hour)
		wantKind(t, "too old", errOf(s.InviteUser(ctx, [32]byte{3})), hook.NotFound)
		wantKind(t, "accepted too late", errOf(s.AcceptInvite(ctx, [32]byte{3}, "x")), hook.NotFound)
		inBackground(t, s)
		synctest.Wait()
		wantEqual(t, "rows of expired ones", number(t, s, "SELECT count(*) FROM invites"), 0)
		wantKind(t, "of nobody", s.CreateInvite(ctx, 1, [32]byte{4}, time.Now().Add(time.Hour)), hook.NotFound)
	})
}

// TestInviteIsUsedOnce has several people open the same link.
func TestInviteIsUsedOnce(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.User(t, s, false)
	must(t, s.CreateInvite(t.Context(), u.ID, [32]byte{1}, time.Now().Add(time.Hour)))
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() { errs <- errOf(s.AcceptInvite(t.Context(), [32]byte{1}, "x")) }()
	}
	won := 0
	for range cap(errs) {
		if <-errs == nil {
			won++
		}
	}
	wantEqual(t, "accepted", won, 1)
}

func TestDeleteUserAsksWhatBecomesOfTheirs(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	storetest.User(t, s, true)
	u := storetest.User(t, s, false)
	for range 3 {
		storetest.CaptureURLOf(t, s, u)
	}
	err := s.DeleteUser(ctx, u.ID, store.DeleteUserOptions{})
	wantKind(t, "with capture URLs", err, hook.Conflict)
	if err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("the error does not tell how many: %v", err)
	}
	for about, heir := range map[string]hook.ID{"nobody": 1, "themselves": u.ID} {
		wantKind(t, "a transfer to "+about, s.DeleteUser(ctx, u.ID, store.DeleteUserOptions{TransferTo: heir}), hook.NotFound)
	}
	if _, err := s.User(ctx, u.ID); err != nil {
		t.Errorf("the user: %v", err)
	}
	wantKind(t, "who is not there", s.DeleteUser(ctx, 1, store.DeleteUserOptions{}), hook.NotFound)
}

func TestDeleteUserTransfers(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	ctx := t.Context()
	storetest.User(t, s, true)
	heir, u := storetest.User(t, s, false), storetest.User(t, s, false)
	url := storetest.CaptureURLOf(t, s, u)
	id := capture(t, s, url.ID, 10)
	must(t, s.DeleteUser(ctx, u.ID, store.DeleteUserOptions{TransferTo: heir.ID}))
	wantKind(t, "the user", errOf(s.User(ctx, u.ID)), hook.NotFound)
	for range 2 {
		if _, err := s.Request(ctx, hook.Actor{UserID: heir.ID}, id); err != nil {
			t.Errorf("the heir cannot read: %v", err)
		}
		wantKind(t, "the deleted user", errOf(s.Request(ctx, hook.Actor{UserID: u.ID}, id)), hook.NotFound)
		wantEqual(t, "the owner", s.CaptureURLBySlug(url.Slug).OwnerID, heir.ID)
		closeStore(t, s)
		s = reopen(t, path)
	}
	must(t, s.DeleteCaptureURL(ctx, hook.System, url.ID, true))
	wantEqual(t, "the slug of the heir", number(t, s, fmt.Sprintf("SELECT count(*) FROM slugs WHERE owner_id = %d", heir.ID)), 1)
}

func TestDeleteUserWithData(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	admin, u := storetest.User(t, s, true), storetest.User(t, s, false)
	url := storetest.CaptureURLOf(t, s, u)
	id := capture(t, s, url.ID, 10)
	must(t, s.CreateToken(ctx, &hook.Token{UserID: u.ID, Name: "a"}, [32]byte{1}))
	must(t, s.CreateInvite(ctx, u.ID, [32]byte{2}, time.Now().Add(time.Hour)))
	must(t, s.MarkSeen(ctx, u.ID, url.ID, id))
	must(t, s.DeleteUser(ctx, u.ID, store.DeleteUserOptions{WithData: true}))
	wantGone(t, s, url.ID, id)
	wantEqual(t, "its slug", s.CaptureURLBySlug(url.Slug), nil)
	_, _, err := s.TokenByHash(ctx, [32]byte{1})
	wantKind(t, "the token", err, hook.NotFound)
	wantKind(t, "the invitation", errOf(s.InviteUser(ctx, [32]byte{2})), hook.NotFound)
	purge(t, s)
	for _, table := range []string{"requests", "capture_urls", "capture_url_stats", "seen", "tokens", "invites"} {
		wantEqual(t, "rows of "+table, number(t, s, "SELECT count(*) FROM "+table), 0)
	}
	wantEqual(t, "the slug of the admin", number(t, s, fmt.Sprintf("SELECT count(*) FROM slugs WHERE owner_id = %d", admin.ID)), 1)
}

func TestLastAdminStays(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	first, second, plain := storetest.User(t, s, true), storetest.User(t, s, true), storetest.User(t, s, false)
	must(t, s.DeleteUser(ctx, first.ID, store.DeleteUserOptions{}))
	for _, opts := range []store.DeleteUserOptions{{}, {WithData: true}, {TransferTo: plain.ID}} {
		wantKind(t, "the last admin", s.DeleteUser(ctx, second.ID, opts), hook.Conflict)
	}
	must(t, s.DeleteUser(ctx, plain.ID, store.DeleteUserOptions{}))
}

// TestDeleteUserWithoutAnyAdmin: a command can make an instance without one. What has to be left to an admin stays.
func TestDeleteUserWithoutAnyAdmin(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.User(t, s, false)
	url := storetest.CaptureURLOf(t, s, u)
	wantKind(t, "with data", s.DeleteUser(t.Context(), u.ID, store.DeleteUserOptions{WithData: true}), hook.Conflict)
	if s.CaptureURLBySlug(url.Slug) == nil {
		t.Error("the capture URL is gone, the user is not")
	}
}

// TestDeletedUserIsNoticedLater: when what is left cannot be read just after a user was deleted, it is read as soon as it can.
func TestDeletedUserIsNoticedLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "hookkeeper.db")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	s := storetest.Open(t, store.Options{Path: path})
	storetest.User(t, s, true)
	owner := storetest.User(t, s, false)
	u := storetest.CaptureURLOf(t, s, owner)
	must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+"-away"))
	err := s.DeleteUser(t.Context(), owner.ID, store.DeleteUserOptions{WithData: true})
	must(t, os.Rename(filepath.Dir(path)+"-away", filepath.Dir(path)))
	if err == nil {
		t.Fatal("it was read from a file that was not there")
	}
	must(t, s.NoticeOthers(t.Context()))
	wantKind(t, "a capture for a capture URL that is gone", s.Capture(storetest.Request(u.ID, 1)), hook.NotFound)
}
