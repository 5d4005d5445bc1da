package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	groupRequests = 256     // a group of captures closes at this many requests
	groupBytes    = 8 << 20 // or at this many bytes
	// gatherFor is how long a group stays open for half of the senders that were seen lately. It makes groups large
	// when it is busy; a lone sender never waits. Longer costs more than it gains.
	gatherFor = 300 * time.Microsecond
	jobTurn   = 5 * time.Millisecond // of jobs at a stretch while captures wait
)

// writer is the one goroutine that owns the one connection that writes.
type writer struct {
	s    *Store
	db   *sql.DB
	conn *sql.Conn
	stmt captureStatements
	ids  hook.IDs // of requests

	deliveryIDs hook.IDs

	mu        sync.Mutex
	groups    []*group // the last one is open, the others are full
	waiting   int      // captures in groups
	jobs      []*job
	target    int       // wake the gathering writer when this many captures wait
	senders   int       // concurrency seen lately; only the goroutine writes it
	committed time.Time // the last group
	stopped   bool
	healing   bool // nothing can be written until heal has ended

	stopping context.Context // ends when stopped is set
	stopNow  context.CancelFunc

	wake    chan struct{} // something was handed in
	gather  chan struct{} // target was reached
	done    chan struct{} // the goroutine has ended
	broken  bool          // the connection cannot be trusted any more
	doubted bool          // nor, perhaps, the file
	heals   int           // how often that has passed, with less than steadyFor between
	healed  time.Time     // the last time
	version int64         // PRAGMA data_version of what the index was read from; see noticeOthers
}

const (
	busySenders = 32                    // how many captures at a time make the store Busy
	busyFor     = 20 * time.Millisecond // after such a commit
)

// Busy reports whether many captures have been coming at a time until now.
func (s *Store) Busy() bool {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return s.writer.senders >= busySenders && time.Since(s.writer.committed) < busyFor
}

// unknownVersion is no version of a database.
const unknownVersion = -1

// group is the captures of one transaction. Its senders all wait on done: one wake-up for the whole group.
type group struct {
	captures []*capture
	bytes    int64
	done     chan struct{}
}

// job is any other write.
type job struct {
	ctx   context.Context
	f     func(tx *sql.Tx) error
	after []func()
	err   error
	done  chan struct{}
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	w := &writer{
		s: s, wake: make(chan struct{}, 1), gather: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.stopping, w.stopNow = context.WithCancel(context.Background())
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	if err := migrate(ctx, w.db, s.opts); err != nil {
		return nil, errors.Join(err, w.db.Close())
	}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&w.version); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *writer) open(ctx context.Context) error {
	db, err := sql.Open("sqlite", writerDSN(w.s.opts.Path))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	var level int
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level); err != nil {
		return errors.Join(err, db.Close())
	}
	if level != 2 && synchronous == "FULL" {
		return errors.Join(fmt.Errorf("PRAGMA synchronous is %d, not FULL", level), db.Close())
	}
	w.db = db
	return nil
}

// prepare takes the connection for good and reads where the ids of requests and deliveries have got to. What was discarded is
// known by its ids, also when its rows are gone: a new delivery must not be among it.
func (w *writer) prepare(ctx context.Context) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	var last hook.ID
	if err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'last_request_id'").Scan(&last); err != nil {
		return err
	}
	w.ids.Advance(last)
	err = conn.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(id) FROM deliveries), 0),
		coalesce((SELECT max(discarded_up_to) FROM subscription_stats), 0))`).Scan(&last)
	if err != nil {
		return err
	}
	w.deliveryIDs.Advance(last)
	return w.stmt.prepare(ctx, conn)
}

func (w *writer) close() error {
	if w.conn != nil {
		w.stmt.close() // before its connection, which would stay open for them
		_ = w.conn.Close()
		w.conn = nil
	}
	return w.db.Close()
}

func (w *writer) start() { go w.run() }

// stop refuses what comes later and commits what came before.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.stopNow()
	w.signal(w.wake)
	<-w.done
}

func (w *writer) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var (
	errStopped = &hook.Error{Kind: hook.Unavailable, Limit: hook.LimitDraining, Message: "The server is stopping."}
	errBroken  = errors.New("the database cannot be written")
	errBacklog = &hook.Error{Kind: hook.Unavailable, Limit: hook.LimitBacklog, Message: "Too many requests are waiting to be stored."}
)

// capture hands in one request and waits until its group is on disk.
func (w *writer) capture(c *capture) error {
	w.mu.Lock()
	if err := w.closed(); err != nil {
		w.mu.Unlock()
		return err
	}
	if w.waiting >= hook.MaxQueuedCapture {
		w.mu.Unlock()
		return errBacklog
	}
	g := w.openGroup(c.size)
	g.captures = append(g.captures, c)
	g.bytes += c.size
	w.waiting++
	first, reached := w.waiting == 1, w.waiting == w.target
	w.mu.Unlock()
	if first {
		w.signal(w.wake)
	}
	if reached {
		w.signal(w.gather)
	}
	<-g.done
	return c.err
}

// closed returns why nothing can be handed in, nil when it can. w.mu is held.
func (w *writer) closed() error {
	switch {
	case w.stopped:
		return errStopped
	case w.healing: // which may take as long as a look at the whole database
		return unavailable(errBroken)
	}
	return nil
}

func (w *writer) openGroup(size int64) *group {
	if n := len(w.groups); n > 0 {
		g := w.groups[n-1]
		if len(g.captures) < groupRequests && g.bytes+size <= groupBytes {
			return g
		}
	}
	g := &group{done: make(chan struct{})}
	w.groups = append(w.groups, g)
	return g
}

// do runs f in a transaction on the writer's goroutine, and after once it is committed. When ctx ends before f has
// started, f never runs. While nothing can be written it is Unavailable at once.
func (w *writer) do(ctx context.Context, f func(tx *sql.Tx) error, after ...func()) error {
	j := &job{ctx: ctx, f: f, after: after, done: make(chan struct{})}
	w.mu.Lock()
	if err := w.closed(); err != nil {
		w.mu.Unlock()
		return err
	}
	w.jobs = append(w.jobs, j)
	w.mu.Unlock()
	w.signal(w.wake)
	<-j.done
	return j.err
}

func (w *writer) run() {
	defer close(w.done)
	for {
		if w.broken {
			w.heal()
		}
		worked := w.commitGroup()
		worked = w.runJobs() || worked
		if worked {
			continue
		}
		w.mu.Lock()
		idle := len(w.groups) == 0 && len(w.jobs) == 0
		stopped := w.stopped
		w.mu.Unlock()
		if !idle {
			continue
		}
		if stopped {
			return
		}
		<-w.wake
	}
}

// commitGroup commits the oldest group of captures and reports whether there was one.
func (w *writer) commitGroup() bool {
	w.mu.Lock()
	waiting := w.waiting
	w.mu.Unlock()
	if waiting == 0 {
		return false
	}
	w.gatherMore(waiting)
	w.mu.Lock()
	g := w.groups[0]
	w.groups = w.groups[1:]
	if len(w.groups) == 0 {
		w.groups = nil
	}
	w.waiting -= len(g.captures)
	w.mu.Unlock()

	err := w.write(g)
	if err != nil {
		w.fail(err)
		for _, c := range g.captures {
			c.err = unavailable(err)
		}
	}
	close(g.done)
	if err == nil {
		w.announce(g)
	}
	w.mu.Lock()
	seen := len(g.captures) + w.waiting
	w.senders = max(seen, w.senders-w.senders/8-1)
	w.committed = time.Now()
	w.mu.Unlock()
	return true
}

// gatherMore waits a moment for the senders that usually come along.
func (w *writer) gatherMore(waiting int) {
	target := min(w.senders/2, groupRequests)
	if waiting >= target {
		return
	}
	w.mu.Lock()
	w.target = target
	enough := w.waiting >= target
	w.mu.Unlock()
	if !enough {
		timer := time.NewTimer(gatherFor)
		select {
		case <-w.gather:
		case <-timer.C:
		}
		timer.Stop()
	}
	w.mu.Lock()
	w.target = 0
	w.mu.Unlock()
	select { // a signal that came after the time was up belongs to nobody
	case <-w.gather:
	default:
	}
}

// runJobs runs jobs for one turn and reports whether there were any.
func (w *writer) runJobs() bool {
	start := time.Now()
	worked := false
	for time.Since(start) < jobTurn {
		w.mu.Lock()
		if len(w.jobs) == 0 {
			w.jobs = nil
			w.mu.Unlock()
			break
		}
		j := w.jobs[0]
		w.jobs = w.jobs[1:]
		w.mu.Unlock()
		worked = true
		if j.err = j.ctx.Err(); j.err == nil {
			j.err = w.runJob(j)
		}
		close(j.done)
	}
	return worked
}

// runJob runs one job. Its own error rolls it back and is handed on; a failure of the engine degrades.
func (w *writer) runJob(j *job) error {
	if w.broken {
		return unavailable(errBroken)
	}
	tx, err := w.conn.BeginTx(context.Background(), nil)
	if err != nil {
		w.fail(err)
		return unavailable(err)
	}
	if err := j.f(tx); err != nil {
		_ = tx.Rollback()
		if isDisk(err) {
			w.fail(err)
			return unavailable(err)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		w.fail(err)
		return unavailable(err)
	}
	for _, f := range j.after {
		f()
	}
	return nil
}
