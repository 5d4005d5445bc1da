package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// older returns the path of a database that says it is of the schema before, and the version that it had.
func older(t *testing.T) (path string, version int) {
	t.Helper()
	path = newPath(t)
	s := reopen(t, path)
	capture(t, s, storetest.CaptureURL(t, s).ID, 10)
	closeStore(t, s)
	version = schemaOf(t, path)
	db := openRaw(t, path)
	exec(t, db, "DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
	must(t, db.Close())
	return path, version
}

func schemaOf(t *testing.T, path string) (version int) {
	t.Helper()
	db := openRaw(t, path)
	must(t, db.QueryRow("SELECT max(version_id) FROM goose_db_version").Scan(&version))
	must(t, db.Close())
	return version
}

// TestUpgradeIsRefused where it has no copy to go back to, or is not alone: then the database stays as it is.
func TestUpgradeIsRefused(t *testing.T) {
	for want, opts := range map[string]store.Options{
		"no room":           {DiskReserve: 1 << 60},
		"somebody is there": {BeforeUpgrade: func() error { return errors.New("somebody is there") }},
	} {
		path, version := older(t)
		opts.Path = path
		_, err := store.Open(t.Context(), opts)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "is not upgraded") {
			t.Errorf("got %v, want an error with %q", err, want)
		}
		wantEqual(t, want+": schema", schemaOf(t, opts.Path), version-1)
		left, err := filepath.Glob(filepath.Join(filepath.Dir(opts.Path), "*-schema-*"))
		must(t, err)
		wantEqual(t, want+": copies", len(left), 0)
	}
}

// TestOldCopiesGo: those from before an upgrade stay for a week, and nothing else is touched.
func TestOldCopiesGo(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	dir := filepath.Dir(path)
	for name, age := range map[string]time.Duration{
		"hookkeeper-schema-1.db": 8 * 24 * time.Hour, "hookkeeper-schema-2.db.part": 8 * 24 * time.Hour,
		"hookkeeper-schema-3.db": 6 * 24 * time.Hour, "hookkeeper-backup.db": 8 * 24 * time.Hour, "other-schema-1.db": 8 * 24 * time.Hour,
	} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, nil, 0o600))
		must(t, os.Chtimes(file, time.Time{}, time.Now().Add(-age)))
	}
	must(t, s.RemoveOldCopies())
	left, err := filepath.Glob(filepath.Join(dir, "*-*.db*"))
	must(t, err)
	want := []string{"hookkeeper-backup.db", "hookkeeper-schema-3.db", "other-schema-1.db"}
	for i, file := range left {
		left[i] = filepath.Base(file)
	}
	wantEqual(t, "left", left, want)
}
