package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepCopy is how long the copy from before an upgrade stays: until then it is clear whether the new version serves.
const keepCopy = 7 * 24 * time.Hour

// copyBeforeUpgrade keeps the database as the older program left it, beside it.
func copyBeforeUpgrade(ctx context.Context, db *sql.DB, opts Options, from, to int64) error {
	if opts.BeforeUpgrade != nil {
		if err := opts.BeforeUpgrade(); err != nil {
			return err
		}
	}
	path := copyPath(opts.Path, fmt.Sprint(from))
	if err := removeIfThere(path); err != nil { // of an upgrade that did not come to its end
		return err
	}
	opts.Log.Info("upgrading the database", "from", from, "to", to, "copy", path, "kept", keepCopy.String())
	_, err := copyDatabase(ctx, db, BackupOptions{Path: opts.Path, To: path, DiskReserve: opts.DiskReserve}, verifyCopy)
	return err
}

// copyPath returns where the copy of a database with an older schema is; with a pattern, where all of them are.
func copyPath(database, schema string) string {
	return fmt.Sprintf("%s-schema-%s.db", strings.TrimSuffix(database, ".db"), schema)
}

// removeOldCopies removes copies from before upgrades that are long ago.
func removeOldCopies(database string) error {
	entries, err := os.ReadDir(filepath.Dir(database))
	if err != nil {
		return err
	}
	before, after, _ := strings.Cut(filepath.Base(copyPath(database, "*")), "*")
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), partSuffix)
		if !strings.HasPrefix(name, before) || !strings.HasSuffix(name, after) {
			continue
		}
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < keepCopy {
			continue
		}
		if err := removeIfThere(filepath.Join(filepath.Dir(database), entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
