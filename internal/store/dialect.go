package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"strconv"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// What depends on the engine stands in this file: how a database is opened, migrated and what its errors mean.

//go:embed migrations/*.sql
var migrations embed.FS

// Codes of https://www.sqlite.org/rescode.html; the low byte is the primary code.
const (
	codeBusy       = 5
	codeLocked     = 6
	codeNoMemory   = 7
	codeReadOnly   = 8
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCannotOpen = 14
	codeTooBig     = 18
	codeConstraint = 19
	codeNotADB     = 26

	codeForeignKey = 787
	codePrimaryKey = 1555
	codeUnique     = 2067
)

// Variables, because the test of power cuts links a server that is not safe, to see that it would find out, and that of failing calls
// one that does often what is rare.
var (
	synchronous = "FULL"
	// checkpointPages is the size of the WAL, in pages of 4 KiB, from which a commit moves it into the database.
	checkpointPages = "4000"
	walLimit        = "67108864" // bytes that the WAL file keeps when it is begun again after a checkpoint
)

// walKept returns walLimit as a number.
func walKept() int64 {
	n, err := strconv.ParseInt(walLimit, 10, 64)
	if err != nil {
		panic(err) // whoever linked it made a mistake
	}
	return n
}

var journalSizeLimit = "journal_size_limit(" + walLimit + ")"

// writerDSN opens the one connection that writes. auto_vacuum stands before anything that writes, because it only
// takes hold before the first table; what each of the others costs and buys is in the package comment of the tests.
func writerDSN(path string) string {
	return dsn(path, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(5000)", "auto_vacuum(2)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "foreign_keys(1)",
			"wal_autocheckpoint(" + checkpointPages + ")", journalSizeLimit, "mmap_size(0)",
			"cell_size_check(1)",
		},
		"_defensive": {"1"},
	})
}

// moverDSN opens a connection that moves the log and writes nothing else. It does not wait for others, who may be waiting for it.
func moverDSN(path string) string {
	return dsn(path, url.Values{
		"_pragma": {"busy_timeout(50)", "synchronous(" + synchronous + ")", "wal_autocheckpoint(0)", journalSizeLimit, "mmap_size(0)"},
	})
}

// readerDSN opens a connection that cannot write.
func readerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(5000)", "query_only(1)", "mmap_size(0)"},
	})
}

func dsn(path string, options url.Values) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options.Encode()}).String()
}

// migrate brings the schema to the newest version; each step is a transaction. A database of a newer program is refused. One of an
// older program is copied first, because no step can be taken back.
func migrate(ctx context.Context, db *sql.DB, opts Options) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > newest {
		return fmt.Errorf("the database was written by a newer Hookkeeper (schema %d, this program knows %d): "+
			"start that version, or restore a copy made before the upgrade", current, newest)
	}
	if 0 < current && current < newest {
		if err := copyBeforeUpgrade(ctx, db, opts, current, newest); err != nil {
			return fmt.Errorf("the database is of an earlier version and is not upgraded: %w", err)
		}
	}
	_, err = provider.Up(ctx)
	return err
}

// newestSchema returns the version of the schema that this program knows, from the names of its migrations.
func newestSchema() (version int64, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(files[len(files)-1])
}

var numbered = regexp.MustCompile(`\$\d+`)

// byOrder rewrites $1, $2 … to question marks. SQLite takes $1 for a name, and the driver looks each name up each time,
// which is a sixth of what binding the parameters of a capture costs. They must stand in their order, each once.
func byOrder(query string) string { return numbered.ReplaceAllString(query, "?") }

// code returns SQLite's extended result code of err, 0 when it is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

func isUnique(err error) bool { return code(err) == codeUnique || code(err) == codePrimaryKey }

// gone turns the error of a row that refers to one that is not there into NotFound with the noun.
func gone(err error, noun string) error {
	if code(err) == codeForeignKey {
		return notFound(noun)
	}
	return err
}

// isRowError reports whether err is the fault of one row and leaves the transaction usable.
func isRowError(err error) bool {
	primary := code(err) & 0xff
	return primary == codeConstraint || primary == codeTooBig
}

// isBusy reports whether another process held the database for longer than the busy timeout.
func isBusy(err error) bool {
	primary := code(err) & 0xff
	return primary == codeBusy || primary == codeLocked
}

// unavailable turns a failure of the disk or the engine into what callers may see.
func unavailable(err error) error {
	return &hook.Error{Kind: hook.Unavailable, Message: "The database cannot be written right now.", Err: err}
}

// isDisk reports whether the engine could not read or write the file: nothing is certain until it can again.
func isDisk(err error) bool {
	switch code(err) & 0xff {
	case codeNoMemory, codeReadOnly, codeIO, codeCorrupt, codeFull, codeCannotOpen, codeNotADB:
		return true
	}
	return false
}

// Damaged reports whether err says that what is in the file cannot be, so that no second try helps.
func Damaged(err error) bool {
	primary := code(err) & 0xff
	return primary == codeCorrupt || primary == codeNotADB
}

// createPrivately makes the database file readable by its owner only; SQLite gives its companions the same mode.
func createPrivately(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
