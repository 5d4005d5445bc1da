package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// BackupOptions says what to copy where.
type BackupOptions struct {
	Path        string // the database, which a server may be writing
	To          string // the copy; it must not be there
	DiskReserve int64  // as in Options: bytes that stay free where To is
	// Progress is told now and then how many bytes of the copy are written, and of how many at the most. It may be nil.
	Progress func(done, total int64)
}

// Backup is what a copy holds.
type Backup struct {
	Bytes    int64
	Requests int64
}

// partSuffix marks a copy that is not whole yet.
const partSuffix = ".part"

const progressEvery = 200 * time.Millisecond

// MakeBackup copies the database as it is at one moment, beside a running server: what was acknowledged before the call is in
// the copy. The copy appears under its name only after it has been read back, every page and every request against its hash, and is
// flushed to disk. On an error there is none.
func MakeBackup(ctx context.Context, o BackupOptions) (Backup, error) {
	// Not query_only(1), as readers have it: VACUUM INTO counts as a write, also where it is another file that is written.
	db, err := sql.Open("sqlite", dsn(o.Path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}))
	if err != nil {
		return Backup{}, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	b, err := copyDatabase(ctx, db, o, verifyCopy)
	if err != nil {
		return b, fmt.Errorf("store.MakeBackup(%q): %w", o.To, err)
	}
	return b, nil
}

// copyDatabase writes what db has now into a file of its own, lets verify read it, flushes it and gives it its name.
func copyDatabase(ctx context.Context, db *sql.DB, o BackupOptions, verify func(context.Context, *sql.DB) (Backup, error)) (b Backup, err error) {
	if _, err := os.Lstat(o.To); err == nil {
		return b, hook.Errorf(hook.Conflict, "%s is there already: name another file", o.To)
	}
	total, err := roomFor(ctx, db, o)
	if err != nil {
		return b, err
	}
	part := o.To + partSuffix
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a copy that was cut off
		return b, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(part))
		}
	}()
	if err := createPrivately(part); err != nil {
		return b, err
	}
	if err := vacuumInto(ctx, db, part, total, o.Progress); err != nil {
		return b, err
	}
	if b, err = readCopy(ctx, part, verify); err != nil {
		return b, err
	}
	b.Bytes = fileSize(part)
	if err := syncFile(part); err != nil {
		return b, err
	}
	if err := os.Rename(part, o.To); err != nil {
		return b, err
	}
	return b, syncFile(filepath.Dir(o.To))
}

// roomFor returns how large the copy is at the most; an error when the volume has no room for it.
func roomFor(ctx context.Context, db *sql.DB, o BackupOptions) (size int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT (c.page_count - f.freelist_count) * p.page_size "+
		"FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size p").Scan(&size)
	if err != nil {
		return 0, err
	}
	v, err := volumeOf(filepath.Dir(o.To), o.DiskReserve)
	if err != nil {
		return 0, fmt.Errorf("the directory of the copy: %w", err)
	}
	if v.Free < size+v.Reserve {
		return 0, hook.Errorf(hook.Unavailable, "there is no room in %s: the copy takes up to %d MB, and %d MB are free, of which %d MB stay free for captures",
			filepath.Dir(o.To), megabytes(size), megabytes(v.Free), megabytes(v.Reserve))
	}
	return size, nil
}

// megabytes rounds up.
func megabytes(n int64) int64 { return (n + 999_999) / 1_000_000 }

func vacuumInto(ctx context.Context, db *sql.DB, part string, total int64, progress func(done, total int64)) error {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for progress != nil {
			select {
			case <-done:
				return
			case <-tick.C:
				progress(min(fileSize(part), total-1), total)
			}
		}
	}()
	_, err := db.ExecContext(ctx, "VACUUM INTO $1", part)
	close(done)
	<-ended
	if err == nil && progress != nil {
		progress(total, total)
	}
	return err
}

// readCopy opens a database that nobody else has open.
func readCopy(ctx context.Context, path string, verify func(context.Context, *sql.DB) (Backup, error)) (b Backup, err error) {
	db, err := sql.Open("sqlite", dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	return verify(ctx, db)
}

// verifyCopy reads everything in a copy. Of the schema of another version only the pages can be read.
func verifyCopy(ctx context.Context, db *sql.DB) (b Backup, err error) {
	var version, newest int64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return b, err
	}
	if newest, err = newestSchema(); err != nil {
		return b, err
	}
	check := checker{db: db}.all
	if version != newest {
		check = checker{db: db}.checkPages
	}
	problems, err := check(ctx)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("the copy is not sound, and was removed; hookkeeper check tells what the database has:\n  %s", strings.Join(problems, "\n  "))
	}
	if err != nil {
		return b, err
	}
	return b, db.QueryRowContext(ctx, "SELECT count(*) FROM requests").Scan(&b.Requests)
}

// syncFile flushes a file, or the entries of a directory. It must not be the live database:
// closing any descriptor of that would drop the locks that SQLite has on it.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// WritePrivately writes a new file that only its owner can read, and flushes it. A file that is there is an error.
func WritePrivately(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFile(filepath.Dir(path))
}
