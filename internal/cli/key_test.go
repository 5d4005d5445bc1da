package cli

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestKeyFile: the key is made with the first database, for the owner only.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	in := instance{t, t.TempDir()}
	in.must(goodPassword, "user", "add", "ann@example.com", "--admin", "--password-stdin")
	path := filepath.Join(in.dir, keyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		t.Errorf("the key has %d bytes, %v", len(key), err)
	}
}

// withSecret returns an instance whose database holds a secret that belongs to its key file.
func withSecret(t *testing.T) instance {
	t.Helper()
	in := instance{t, t.TempDir()}
	key, err := seal.LoadOrCreate(filepath.Join(in.dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, store.Options{Path: databasePath(in.dir), Key: key})
	storetest.Subscription(t, s, storetest.CaptureURL(t, s).ID, func(sub *hook.Subscription) {
		sub.Signing.Secrets = []hook.Secret{{Text: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}
	})
	return in
}

// refuses tries the server and a command beside it.
func (in instance) refuses(message string) {
	in.t.Helper()
	in.fails(exitFailed, message, "", "user", "list")
	status, _, stderr := in.run("", "serve", "--addr=localhost:0") // which logs its settings first
	if status != exitFailed || !strings.Contains(stderr, message) {
		in.t.Errorf("serve: status %d, %s", status, stderr)
	}
}

// TestLostKey: without the key of its secrets a database is not opened, and no new key hides the loss.
func TestLostKey(t *testing.T) {
	t.Parallel()
	in := withSecret(t)
	path := filepath.Join(in.dir, keyFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	in.refuses("is missing: put it back")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new key was made: %v", err)
	}
}

// TestOtherKey: the error says what to do.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	in := withSecret(t)
	other := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	if err := os.WriteFile(filepath.Join(in.dir, keyFile), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	in.refuses("another key: put back")
}
