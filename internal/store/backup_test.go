package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestBackupBesideCaptures copies while requests come: all that were acknowledged before are in the copy, whole, and it serves.
func TestBackupBesideCaptures(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	before := map[hook.ID]bool{}
	for n := range 50 {
		r := storetest.Routed(u.ID, n*100, sub.ID)
		must(t, s.Capture(r))
		before[r.ID] = true
	}
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := s.Capture(storetest.Routed(u.ID, 1000, sub.ID)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	to := newPath(t)
	b, err := store.MakeBackup(t.Context(), store.BackupOptions{Path: path, To: to})
	close(stop)
	senders.Wait()
	must(t, err)
	if b.Requests < int64(len(before)) || b.Bytes == 0 {
		t.Errorf("the copy has %+v, want at least %d requests", b, len(before))
	}
	info, err := os.Stat(to)
	must(t, err)
	wantEqual(t, "mode", info.Mode().Perm(), 0o600)
	files, err := filepath.Glob(to + "*")
	must(t, err)
	wantEqual(t, "files", files, []string{to})

	restored := storetest.Open(t, store.Options{Path: to, Key: key}) // which looks whether it is sound at the end
	stored := ids(t, restored, u.ID)
	wantEqual(t, "requests", int64(len(stored)), b.Requests)
	for _, id := range stored {
		delete(before, id)
	}
	wantEqual(t, "lost", len(before), 0)
	wantEqual(t, "auto_vacuum", number(t, restored, "PRAGMA auto_vacuum"), 2)
	capture(t, restored, u.ID, 10)
	if _, err := restored.Subscription(t.Context(), hook.System, sub.ID); err != nil {
		t.Errorf("its secrets: %v", err)
	}
}

// TestBackupRefuses: and leaves nothing.
func TestBackupRefuses(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	bad := capture(t, s, u.ID, 5000)
	there := newPath(t)
	must(t, os.WriteFile(there, []byte("precious"), 0o600))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		about, to, want string
		reserve         int64
		ctx             context.Context
		before          func()
	}{
		{about: "a file that is there", to: there, want: "there already"},
		{about: "a directory that is not there", to: filepath.Join(t.TempDir(), "missing", "copy.db"), want: "directory"},
		{about: "a volume without room", to: newPath(t), want: "no room", reserve: 1 << 60},
		{about: "an interrupt", to: newPath(t), want: "cancel", ctx: cancelled},
		{about: "a damaged request", to: newPath(t), want: bad.Text(hook.RequestPrefix), before: func() {
			exec(t, openRaw(t, path), "UPDATE requests SET body_sha256 = zeroblob(32)")
		}},
	} {
		if row.before != nil {
			row.before()
		}
		if row.ctx == nil {
			row.ctx = t.Context()
		}
		_, err := store.MakeBackup(row.ctx, store.BackupOptions{Path: path, To: row.to, DiskReserve: row.reserve})
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), row.to) {
			t.Errorf("%s: got %v, want an error with %q", row.about, err, row.want)
		}
		left, err := filepath.Glob(row.to + "*")
		must(t, err)
		if row.to != there && len(left) > 0 {
			t.Errorf("%s: it leaves %q", row.about, left)
		}
	}
	kept, err := os.ReadFile(there)
	must(t, err)
	wantEqual(t, "the file that was there", string(kept), "precious")
}

// TestBackupAfterOneThatWasCutOff: what a killed one has left is in nobody's way.
func TestBackupAfterOneThatWasCutOff(t *testing.T) {
	path, to := newPath(t), newPath(t)
	s := reopen(t, path)
	capture(t, s, storetest.CaptureURL(t, s).ID, 10)
	must(t, os.WriteFile(to+".part", bytes.Repeat([]byte("half of a copy"), 1000), 0o600))
	b, err := store.MakeBackup(t.Context(), store.BackupOptions{Path: path, To: to})
	must(t, err)
	wantEqual(t, "requests", b.Requests, 1)
	files, err := filepath.Glob(to + "*")
	must(t, err)
	wantEqual(t, "files", files, []string{to})
}
