package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
)

const (
	readers     = 6 // for pages and the API; dry runs and a replay may keep some of them busy for long
	workReaders = 2 // for the deliveries alone: however much is read elsewhere, they find what they are to send
)

// readTimeout is the time of one query: a reader that stays longer keeps the WAL from being reused. Tests change it.
var readTimeout = 5 * time.Second

// Options says where the database is and whom to tell what.
type Options struct {
	Path        string        // the database file; created when missing
	Keep        hook.Keep     // retention of capture URLs that do not set their own
	SessionIdle time.Duration // a session unused for this long has ended
	Key         seal.Key      // encrypts secrets at rest
	DiskReserve int64         // bytes of the volume that captures leave free; below 0 = the smaller of 256 MiB and 5 %
	Log         *slog.Logger

	// BeforeUpgrade is called before the schema of an existing database is changed; an error refuses that. Nobody else may be using
	// the database then.
	BeforeUpgrade func() error
	// OnCommit gets the requests of a group once they are on disk, in the order of their ids, on the writer's
	// goroutine: it must not block. Groups never overlap, so that a cursor over what was announced misses nothing.
	// The bodies are not to be kept.
	OnCommit func([]*hook.Request)
	// OnQueue tells that queues, see Claim.Queue, may have something to send, or that their subscriptions may have changed. It must
	// not block.
	OnQueue func(queues []hook.ID)
	// OnDelivery tells of deliveries that were made or have changed, once that is on disk. It must not block.
	OnDelivery func([]hook.DeliveryNews)
	// OnSubscription tells that a subscription was made, changed, paused, resumed or deleted, that what it held was discarded or
	// hurried, or that it began to fail, went down, recovered or was disabled. It must not block.
	OnSubscription func(captureURL, subscription hook.ID)
	// OnReplay tells that a replay was started. It must not block.
	OnReplay func()
	// OnPrune tells that retention removed the requests of a capture URL up to an id. It must not block.
	OnPrune func(captureURL, upTo hook.ID)
	// OnRemove tells that retention removed requests of a capture URL, and left older ones that have not been delivered yet. It
	// must not block.
	OnRemove func(captureURL hook.ID, requests []hook.ID)
	// OnOutsideChange tells that another process wrote: users, tokens and sessions may differ, and these capture URLs do.
	OnOutsideChange func(changed []hook.ID, deleted []*hook.CaptureURL)
	// OnWarning tells what an operator should look at, in words, or that it has passed. It must not block.
	OnWarning func(message string)
	// OnDegraded tells that writing fails, with a sentence for people, or works again, with "".
	OnDegraded func(message string)
}

// Store is one open database. All methods are safe for concurrent use. Errors that callers should tell apart are
// *hook.Error; what an Actor may not see is NotFound.
type Store struct {
	opts   Options
	log    *slog.Logger
	read   *sql.DB
	work   *sql.DB // read by the worker only
	often  preparedReads
	writer *writer
	urls   index
	ids    hook.IDs // of everything but requests and their deliveries; see newID
	// leases is the last lease that was given, on the writer's goroutine. It starts anywhere, so that a lease of another
	// process is none of ours.
	leases    atomic.Int64
	underWay  underWay
	calledOff atomic.Int64 // counts the transactions that cancelled or removed single unfinished deliveries; see Begin
	clock     clock        // upkeep's goroutine has it to itself
	// settled says, by subscription, up to which delivery settle has found none unfinished; upkeep's goroutine has it to itself.
	settled     map[hook.ID]hook.ID
	subsDeleted atomic.Bool // subscriptions may have been deleted since settle looked for them
	disk        diskGuard
	wal         walGuard
	yieldLog    int64                  // by how much the log may grow beside a check
	lateTold    sync.Map               // by what upkeep does, when it was last told that reading takes too long for it; see warn
	pruneNow    chan struct{}          // retention has something to do before its time
	health      atomic.Pointer[string] // why nothing can be written, "" when it can
	damaged     atomic.Pointer[string] // what was found wrong with the file, for good; nil when nothing
	telling     sync.Mutex
	told        string // the last that OnDegraded was told
}

// Open opens the database, makes or upgrades its schema and starts the writer. Run does the upkeep; Close ends it all.
func Open(ctx context.Context, opts Options) (s *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store.Open(%q): %w", opts.Path, err)
		}
	}()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Keep = opts.Keep.Or(hook.Keep{
		Requests: hook.DefaultKeepCount, Days: hook.DefaultKeepDays, Bytes: hook.DefaultKeepBytes,
	})
	if opts.SessionIdle == 0 {
		opts.SessionIdle = hook.DefaultSessionIdle
	}
	if err := createPrivately(opts.Path); err != nil {
		return nil, err
	}
	s = &Store{
		opts: opts, log: opts.Log, disk: newDiskGuard(opts.Path, opts.DiskReserve), wal: newWALGuard(opts.Path), yieldLog: yieldLog,
		pruneNow: make(chan struct{}, 1), settled: map[hook.ID]hook.ID{},
	}
	s.subsDeleted.Store(true)
	s.leases.Store(rand.Int64N(1 << 62))
	if s.writer, err = newWriter(ctx, s); err != nil {
		return nil, err
	}
	if err := s.openReaders(ctx); err != nil {
		return nil, errors.Join(err, s.writer.close())
	}
	s.writer.start()
	return s, nil
}

func (s *Store) openReaders(ctx context.Context) (err error) {
	if s.read, err = openReader(s.opts.Path, readers); err != nil {
		return err
	}
	if s.work, err = openReader(s.opts.Path, workReaders); err != nil {
		return errors.Join(err, s.read.Close())
	}
	err = s.often.prepare(ctx, s)
	if err == nil {
		err = s.loadIndex(ctx)
	}
	if err == nil {
		err = s.startClock(ctx)
	}
	if err != nil {
		return errors.Join(err, s.closeReaders())
	}
	return nil
}

func openReader(path string, connections int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", readerDSN(path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func (s *Store) closeReaders() error { return errors.Join(s.read.Close(), s.work.Close()) }

// Close commits what was handed in before, ends the writer and closes the database. Captures that come later are
// Unavailable.
func (s *Store) Close() error {
	s.writer.stop()
	return errors.Join(s.closeReaders(), s.writer.close()) // the last one to close moves the log into the database
}

// do runs f in a write transaction of its own, and after once it is on disk, before anything else is written.
func (s *Store) do(ctx context.Context, f func(tx *sql.Tx) error, after ...func()) error {
	return s.writer.do(ctx, f, after...)
}

// newID returns the id of a new row of a table, made in the transaction that inserts it: above all that are there, those
// that another process made included, also when the clock was set back.
func (s *Store) newID(ctx context.Context, tx *sql.Tx, table string, now time.Time) (hook.ID, error) {
	var last hook.ID
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM "+table).Scan(&last); err != nil {
		return 0, err
	}
	s.ids.Advance(last)
	return s.ids.Next(now), nil
}

// micros and fromMicros convert times as they are stored; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// scanner is a row or the current row of rows.
type scanner interface{ Scan(dest ...any) error }

// scanID reads a row of one id.
func scanID(row scanner) (id hook.ID, err error) { return id, row.Scan(&id) }

// querier is the read pool, or a transaction of the writer.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// preparer can keep a statement, too, that is to be asked often.
type preparer interface {
	querier
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// prepared is a statement of the read pool. It is a querier, too, whose query is given already.
type prepared struct{ stmt *sql.Stmt }

func (p prepared) QueryContext(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
	return p.stmt.QueryContext(ctx, args...)
}

// preparedReads are asked for every delivery, where parsing them would take as long as running them.
type preparedReads struct{ due, dueOneOff, toSend, request prepared }

func (p *preparedReads) prepare(ctx context.Context, s *Store) error {
	for _, read := range []struct {
		db    *sql.DB
		query string
		stmt  *prepared
	}{{s.work, dueQuery, &p.due}, {s.work, dueOneOffQuery, &p.dueOneOff}, {s.work, requestQuery, &p.toSend}, {s.read, requestQuery, &p.request}} {
		var err error
		if read.stmt.stmt, err = read.db.PrepareContext(ctx, read.query); err != nil {
			return fmt.Errorf("%s: %w", read.query, err)
		}
	}
	return nil
}

// queryAll collects the rows of a query, within the time that a read has.
func queryAll[T any](ctx context.Context, db querier, scan func(scanner) (T, error), query string, args ...any) (items []T, err error) {
	ctx, done := limited(ctx, &err)
	defer done()
	return collect(ctx, db, scan, query, args...)
}

// collect collects the rows of a query.
func collect[T any](ctx context.Context, db querier, scan func(scanner) (T, error), query string, args ...any) (items []T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// queryOne returns the only row of a query; NotFound with the noun when there is none.
func queryOne[T any](ctx context.Context, db *sql.DB, noun string, scan func(scanner) (T, error), query string, args ...any) (item T, err error) {
	ctx, done := limited(ctx, &err)
	defer done()
	item, err = scan(db.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return item, notFound(noun)
	}
	return item, err
}

// limited gives a read its time, the wait for a connection included. done turns the end of it into Unavailable.
func limited(ctx context.Context, err *error) (reading context.Context, done func()) {
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	return reading, func() {
		if *err != nil && errors.Is(reading.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
			*err = &hook.Error{
				Kind: hook.Unavailable, Message: "Reading the database took too long, because much is being read now. Try again in some seconds.", Err: *err,
			}
		}
		cancel()
	}
}

func notFound(noun string) error {
	return &hook.Error{Kind: hook.NotFound, Message: "There is no such " + noun + "."}
}
