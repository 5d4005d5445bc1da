package cli

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestBackup: a copy and its key serve elsewhere, secrets included.
func TestBackup(t *testing.T) {
	in := withSecret(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	status, stdout, stderr := in.run("", "backup", file)
	if status != exitDone || !strings.HasPrefix(stdout, file+": 0 requests, ") || !strings.Contains(stderr, keyFile+": keep a copy") {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
	status, _, stderr = in.run("", "backup", file)
	if status != exitFailed || !strings.HasSuffix(stderr, "\nhookkeeper: "+file+" is there already: name another file\n") {
		t.Errorf("again: status %d, %q", status, stderr)
	}

	restored := instance{t, t.TempDir()}
	in.must("", "backup", databasePath(restored.dir), "--with-key")
	keyCopy := databasePath(restored.dir) + ".key"
	info, err := os.Stat(keyCopy)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	restored.refuses("is missing: put it back")
	if err := os.Rename(keyCopy, filepath.Join(restored.dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	key, err := seal.LoadOrCreate(filepath.Join(restored.dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Options{Path: databasePath(restored.dir), Key: key})
	if subs, err := s.Subscriptions(t.Context(), hook.System, store.SubscriptionPage{Limit: 10}); err != nil || len(subs) != 1 || len(subs[0].Signing.Secrets) != 1 {
		t.Errorf("%+v, %v", subs, err)
	}
}

// TestBackupIsRefusedBeforeTheWork: what is in the way, or is not there, is told with what to do.
func TestBackupIsRefusedBeforeTheWork(t *testing.T) {
	in := withSecret(t)
	empty := instance{t, t.TempDir()}
	file := filepath.Join(t.TempDir(), "copy.db")
	empty.fails(exitFailed, "there is no database in", "", "backup", file)
	if err := os.WriteFile(file+".key", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	in.fails(exitFailed, file+".key is there already", "", "backup", file, "--with-key")
	if _, err := os.Stat(file); err == nil {
		t.Error("a copy was made all the same")
	}
}

// TestCommandsDoNotUpgradeUnderAServer: one of the version before goes on as it was.
func TestCommandsDoNotUpgradeUnderAServer(t *testing.T) {
	in := withSecret(t)
	db, err := sql.Open("sqlite", "file:"+databasePath(in.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDataDir(in.dir)
	if err != nil {
		t.Fatal(err)
	}
	in.fails(exitFailed, "a server of that version may be running", "", "user", "list")
	unlock()
	status, _, stderr := in.run("", "user", "list") // the column that the last step adds is there: only the guard is tried here
	if status != exitFailed || !strings.Contains(stderr, "Upgrading the database") {
		t.Errorf("alone: status %d, %q", status, stderr)
	}
}
