package store_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func TestOpenRefusesANewerSchema(t *testing.T) {
	path := newPath(t)
	closeStore(t, reopen(t, path))
	db := openRaw(t, path)
	exec(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	must(t, db.Close())
	_, err := store.Open(t.Context(), store.Options{Path: path})
	if err == nil || !strings.Contains(err.Error(), "newer Hookkeeper") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want a sentence with the path", err)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	must(t, os.WriteFile(garbage, bytes.Repeat([]byte("this is no database "), 1000), 0o600))
	for about, path := range map[string]string{
		"a directory that is not there": filepath.Join(dir, "missing", "hookkeeper.db"),
		"a file in place of one":        filepath.Join(garbage, "hookkeeper.db"),
		"no database":                   garbage,
		"a directory":                   dir,
	} {
		s, err := store.Open(t.Context(), store.Options{Path: path})
		if err == nil {
			t.Errorf("%s: opened", about)
			_ = s.Close()
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not tell the path: %v", about, err)
		}
	}
}

func TestOpenInAReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "hookkeeper.db")
	readOnly := func() {
		t.Helper()
		must(t, os.Chmod(dir, 0o500))
		s, err := store.Open(t.Context(), store.Options{Path: path})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error with the path", err)
		}
		must(t, os.Chmod(dir, 0o700))
	}
	readOnly()
	closeStore(t, reopen(t, path))
	readOnly() // the database is there, and its log cannot be made
}

// TestOpenAnyPath: what means something in the URI that SQLite opens is only text in a path.
func TestOpenAnyPath(t *testing.T) {
	for _, name := range []string{"with space", "100%", "%41", "a?mode=memory", "a#b", "a&b=c", "ü", "file:x", "a;b"} {
		path := filepath.Join(t.TempDir(), name)
		s := reopen(t, path)
		u := storetest.CaptureURL(t, s)
		capture(t, s, u.ID, 10)
		closeStore(t, s)
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			t.Errorf("%q: the file: %v", name, err)
			continue
		}
		wantEqual(t, name, len(ids(t, reopen(t, path), u.ID)), 1)
	}
}

// TestFilesArePrivate: they hold other people's secrets.
func TestFilesArePrivate(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	capture(t, s, storetest.CaptureURL(t, s).ID, 10)
	files, err := filepath.Glob(path + "*")
	must(t, err)
	wantEqual(t, "files", len(files), 3) // the database, its log, its index
	for _, file := range files {
		info, err := os.Stat(file)
		must(t, err)
		wantEqual(t, "mode of "+filepath.Base(file), info.Mode().Perm(), 0o600)
	}
}

// TestCloseLeavesOneFile: whoever copies the database of a server that was stopped must not lose what was in its log.
func TestCloseLeavesOneFile(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	capture(t, s, u.ID, 10)
	wantEqual(t, "read", len(ids(t, s, u.ID)), 1)
	closeStore(t, s)
	files, err := filepath.Glob(path + "*")
	must(t, err)
	wantEqual(t, "files", files, []string{path})
}

// TestDamagedRequestIsFound changes what was stored behind the store's back.
func TestDamagedRequestIsFound(t *testing.T) {
	for about, change := range map[string]string{
		"a byte of the body":  "UPDATE requests SET body = CAST(replace(CAST(body AS TEXT), 'xxxxxxxxxx', 'xxxxyxxxxx') AS BLOB) WHERE id = $1",
		"the hash":            "UPDATE requests SET body_sha256 = zeroblob(32) WHERE id = $1",
		"no hash":             "UPDATE requests SET body_sha256 = x'' WHERE id = $1",
		"the header list":     "UPDATE requests SET headers = x'05ff' WHERE id = $1",
		"the trailer list":    "UPDATE requests SET trailers = x'ff' WHERE id = $1",
		"a text for a number": "UPDATE requests SET flags = 'many' WHERE id = $1",
	} {
		path := newPath(t)
		s := reopen(t, path)
		u := storetest.CaptureURL(t, s)
		good, bad := capture(t, s, u.ID, 10), capture(t, s, u.ID, 10)
		wantCheck(t, s, "before", "")
		closeStore(t, s)
		db := openRaw(t, path)
		exec(t, db, change, bad)
		must(t, db.Close())
		s = reopen(t, path)
		wantKind(t, about, errOf(s.Request(t.Context(), hook.System, bad)), hook.Internal)
		if _, err := s.Request(t.Context(), hook.System, good); err != nil {
			t.Errorf("%s: the other request: %v", about, err)
		}
		want := bad.Text(hook.RequestPrefix)
		if about == "a text for a number" {
			want = "flags"
		}
		wantCheck(t, s, about, want)
	}
}

// wantCheck wants one problem that names what is damaged, or none.
func wantCheck(t *testing.T, s *store.Store, about, want string) {
	t.Helper()
	problems, err := s.Check(t.Context())
	must(t, err)
	switch {
	case want == "" && len(problems) == 0:
	case want == "" || len(problems) != 1 || !strings.Contains(problems[0], want):
		t.Errorf("%s: the check found %q, want %q", about, problems, want)
	}
}

// TestDamagedFileIsFoundOrHarmless flips bits anywhere in the file: nothing panics, and no request is given out that is not
// what was stored, unless the check tells.
func TestDamagedFileIsFoundOrHarmless(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	stored := map[hook.ID]*hook.Request{}
	for n := range 20 {
		r := storetest.Request(u.ID, 700*n)
		must(t, s.Capture(r))
		stored[r.ID] = r
	}
	closeStore(t, s)
	intact, err := os.ReadFile(path)
	must(t, err)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for range 60 {
		damaged := bytes.Clone(intact)
		damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
		path := newPath(t)
		must(t, os.WriteFile(path, damaged, 0o600))
		if !soundOrFound(t, path, stored) {
			found++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if found == 0 {
		t.Errorf("nothing was found, seed %d", seed)
	}
}

// soundOrFound reports whether a database gives what was stored; when not, something must have told.
func soundOrFound(t *testing.T, path string, stored map[hook.ID]*hook.Request) bool {
	s, err := store.Open(context.Background(), store.Options{Path: path})
	if err != nil {
		return false
	}
	defer func() { _ = s.Close() }()
	told := false
	if problems, err := s.Check(t.Context()); err != nil || len(problems) > 0 {
		told = true
	}
	for id, want := range stored {
		got, err := s.Request(t.Context(), hook.System, id)
		if err == nil && !bytes.Equal(got.Body, want.Body) {
			t.Errorf("a body that is not the one that was stored")
		}
		if hook.Is(err, hook.Internal) && !told { // a flipped id makes NotFound: nothing can tell that
			t.Errorf("request %d cannot be read, and the check found nothing: %v", id, err)
		}
	}
	return !told
}
