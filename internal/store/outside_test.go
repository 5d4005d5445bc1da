package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// notices is what a server was told of other processes.
type notices struct {
	atomic.Int64 // how often
	mu           sync.Mutex
	changed      []hook.ID
	deleted      []hook.ID
	owners       []hook.ID // of the deleted
}

func (n *notices) tell(changed []hook.ID, deleted []*hook.CaptureURL) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Add(1)
	n.changed = append(n.changed, changed...)
	for _, u := range deleted {
		n.deleted, n.owners = append(n.deleted, u.ID), append(n.owners, u.OwnerID)
	}
}

func (n *notices) all() (changed, deleted, owners []hook.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed, n.deleted, n.owners
}

// beside opens a database twice, as a command does while a server runs. told is what the server noticed.
func beside(t *testing.T, f func(t *testing.T, server, command *store.Store, told *notices)) {
	synctest.Test(t, func(t *testing.T) {
		toTheYear(2026)
		path := newPath(t)
		told := &notices{}
		server := storetest.Open(t, store.Options{Path: path, OnOutsideChange: told.tell})
		f(t, server, reopen(t, path), told)
	})
}

func TestServerNoticesCommands(t *testing.T) {
	beside(t, func(t *testing.T, server, command *store.Store, told *notices) {
		ctx := t.Context()
		storetest.User(t, server, true)
		ann, bob := storetest.User(t, server, false), storetest.User(t, server, false)
		anns, bobs := storetest.CaptureURLOf(t, server, ann), storetest.CaptureURLOf(t, server, bob)
		id := capture(t, server, bobs.ID, 10)
		inBackground(t, server)
		time.Sleep(10 * time.Second)
		told.Store(0)
		capture(t, server, bobs.ID, 10)
		time.Sleep(10 * time.Second)
		wantEqual(t, "told of what the server did itself", told.Load(), 0)

		must(t, command.DeleteUser(ctx, ann.ID, store.DeleteUserOptions{WithData: true}))
		heir := storetest.User(t, command, false)
		must(t, command.DeleteUser(ctx, bob.ID, store.DeleteUserOptions{TransferTo: heir.ID}))
		time.Sleep(2 * time.Second)
		if told.Load() == 0 {
			t.Error("nobody was told")
		}
		changed, deleted, owners := told.all()
		wantEqual(t, "told to be deleted", deleted, []hook.ID{anns.ID})
		wantEqual(t, "whose that was", owners, []hook.ID{ann.ID})
		wantEqual(t, "told to be changed", changed, []hook.ID{bobs.ID})
		wantEqual(t, "a deleted capture URL", server.CaptureURLBySlug(anns.Slug), nil)
		wantKind(t, "a capture of it", server.Capture(storetest.Request(anns.ID, 10)), hook.NotFound)
		wantEqual(t, "the new owner", server.CaptureURLBySlug(bobs.Slug).OwnerID, heir.ID)
		_, err := server.Request(ctx, hook.Actor{UserID: heir.ID}, id)
		must(t, err)
		wantEqual(t, "counts stay", stats(t, server, bobs.ID).Received, 2)
		before := told.Load()
		time.Sleep(10 * time.Second)
		wantEqual(t, "told without a reason", told.Load(), before)
	})
}

// TestServerNoticesWhatCameBeforeRun: a command may write between Open and the first look.
func TestServerNoticesWhatCameBeforeRun(t *testing.T) {
	beside(t, func(t *testing.T, server, command *store.Store, told *notices) {
		u := storetest.CaptureURL(t, command)
		inBackground(t, server)
		synctest.Wait()
		if server.CaptureURLBySlug(u.Slug) == nil || told.Load() != 1 {
			t.Errorf("the capture URL: %v, told %d times", server.CaptureURLBySlug(u.Slug), told.Load())
		}
	})
}

// TestServerNoticesWhatCameWhileItHealed: the new connection has not seen the commits before it.
func TestServerNoticesWhatCameWhileItHealed(t *testing.T) {
	beside(t, func(t *testing.T, server, command *store.Store, _ *notices) {
		inBackground(t, server)
		u := storetest.CaptureURL(t, server)
		breakWriter(t, server, "PRAGMA query_only = 1")
		wantKind(t, "a capture", server.Capture(storetest.Request(u.ID, 10)), hook.Unavailable)
		other := storetest.CaptureURL(t, command)
		time.Sleep(3 * time.Second)
		wantEqual(t, "degraded", server.Degraded(), "")
		if server.CaptureURLBySlug(other.Slug) == nil {
			t.Error("the capture URL was not noticed")
		}
	})
}

// TestServerNoticesCommandsBesideLongWork has upkeep wait for something that takes long.
func TestServerNoticesCommandsBesideLongWork(t *testing.T) {
	beside(t, func(t *testing.T, server, command *store.Store, _ *notices) {
		inBackground(t, server)
		time.Sleep(3 * time.Second)
		release, err := server.HoldReaders(t.Context())
		must(t, err)
		defer func() { must(t, release()) }()
		time.Sleep(3 * time.Second)
		u := storetest.CaptureURL(t, command)
		time.Sleep(2 * time.Second)
		if server.CaptureURLBySlug(u.Slug) == nil {
			t.Error("the capture URL was not noticed")
		}
	})
}

// TestNoticingBesideReaders: pages and captures read what is known of a subscription while it is read again. The race detector watches.
func TestNoticingBesideReaders(t *testing.T) {
	path, key, told := newPath(t), seal.NewKey(), &notices{}
	server := storetest.Open(t, store.Options{Path: path, Key: key, OnOutsideChange: told.tell})
	u := storetest.CaptureURL(t, server)
	sub := storetest.Subscription(t, server, u.ID)
	storetest.User(t, storetest.Open(t, store.Options{Path: path, Key: key}), false)
	reading := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for i := 0; told.Load() == 0 && !t.Failed(); i++ {
			if _, err := server.Subscription(t.Context(), hook.Actor{UserID: u.OwnerID}, sub.ID); err != nil {
				t.Errorf("reading beside: %v", err)
			}
			if i == 0 {
				close(reading)
			}
		}
	})
	<-reading
	inBackground(t, server)
	reader.Wait()
}

// TestNoticingBesideChanges: what is changed while the subscriptions are read again stays as it was changed.
func TestNoticingBesideChanges(t *testing.T) {
	path, key, told := newPath(t), seal.NewKey(), &notices{}
	server := storetest.Open(t, store.Options{Path: path, Key: key, OnOutsideChange: told.tell})
	command := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, server)
	names := map[hook.ID]string{}
	for range 50 { // reading them takes a moment
		names[storetest.Subscription(t, server, u.ID).ID] = "shop"
	}
	must(t, server.NoticeOthers(t.Context()))
	var noticing sync.WaitGroup
	for told.Store(0); told.Load() == 0; {
		storetest.User(t, command, false)
		noticing.Go(func() {
			if err := server.NoticeOthers(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for id := range names {
			names[id] += "."
			must(t, errOf(server.UpdateSubscription(t.Context(), hook.System, id, func(sub *hook.Subscription) error {
				sub.Name = names[id]
				return nil
			})))
		}
		noticing.Wait()
		for id, want := range names {
			got, err := server.Subscription(t.Context(), hook.System, id)
			must(t, err)
			wantEqual(t, "name", got.Name, want)
		}
	}
}

// TestPurgeWaitsUntilCapturesHaveStopped: a command deleted a capture URL, and the server, which has not noticed yet, still
// stores for it. What it stores must not outlive the purge.
func TestPurgeWaitsUntilCapturesHaveStopped(t *testing.T) {
	beside(t, func(t *testing.T, server, command *store.Store, _ *notices) {
		storetest.User(t, server, true)
		u := storetest.CaptureURL(t, server)
		must(t, command.DeleteUser(t.Context(), u.OwnerID, store.DeleteUserOptions{WithData: true}))
		capture(t, server, u.ID, 10)
		if _, err := server.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		capture(t, server, u.ID, 10)
		inBackground(t, server)
		time.Sleep(3 * time.Second)
		wantKind(t, "a capture", server.Capture(storetest.Request(u.ID, 10)), hook.NotFound)
		wantEqual(t, "rows", number(t, server, "SELECT count(*) FROM requests"), 0)
		wantEqual(t, "capture URLs", number(t, server, "SELECT count(*) FROM capture_urls"), 0)
	})
}

// TestDeletedBesideACommand: a user is deleted in the second in which a command has deleted another one, with a capture URL: that is told
// all the same.
func TestDeletedBesideACommand(t *testing.T) {
	t.Parallel()
	path, told := newPath(t), &notices{}
	server := storetest.Open(t, store.Options{Path: path, OnOutsideChange: told.tell})
	storetest.User(t, server, true)
	ann, bob, eve := storetest.User(t, server, false), storetest.User(t, server, false), storetest.User(t, server, false)
	anns := storetest.CaptureURLOf(t, server, ann)
	command := reopen(t, path)
	must(t, server.NoticeOthers(t.Context()))
	told.Store(0)
	must(t, server.DeleteUser(t.Context(), eve.ID, store.DeleteUserOptions{}))
	wantEqual(t, "told of what the server did itself", told.Load(), 0)
	must(t, command.DeleteUser(t.Context(), ann.ID, store.DeleteUserOptions{WithData: true}))
	must(t, server.DeleteUser(t.Context(), bob.ID, store.DeleteUserOptions{}))
	must(t, server.NoticeOthers(t.Context()))
	_, deleted, _ := told.all()
	wantEqual(t, "told to be deleted", deleted, []hook.ID{anns.ID})
}
