package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// What tests need of the inside, beside the methods that everybody has.

var (
	AppendHeaders = appendHeaders
	DecodeHeaders = decodeHeaders
)

const (
	PruneExtra = pruneExtra
	PurgeBatch = purgeBatch
	PurgeBytes = purgeBytes
	LookBatch  = lookBatch
)

// PurgeOnce and PruneOnce are one transaction of upkeep.
func (s *Store) PurgeOnce(ctx context.Context, captureURL, upTo hook.ID) (done bool, err error) {
	return s.purgeOnce(ctx, captureURL, 0, upTo)
}

func (s *Store) PruneOnce(ctx context.Context, captureURL hook.ID) (more bool, err error) {
	return s.pruneOnce(ctx, s.urls.load().byID[captureURL], true)
}

// Candidates returns how many deliveries retention counts of each request it looks at in one transaction, and which of them have
// unfinished ones.
func (s *Store) Candidates(ctx context.Context, captureURL hook.ID) (deliveries []int, unfinished []hook.ID, more bool, err error) {
	err = s.do(ctx, func(*sql.Tx) error {
		found, rest, err := s.writer.candidates(ctx, captureURL, 0, purgeBatch)
		for _, c := range found {
			deliveries = append(deliveries, c.deliveries)
			if c.unfinished {
				unfinished = append(unfinished, c.id)
			}
		}
		more = rest
		return err
	})
	return deliveries, unfinished, more, err
}

// OldestQuery is what they are found by.
const OldestQuery = oldestDelivered

// Do runs f in a transaction on the writer's own connection. While f runs, nothing else is written.
func (s *Store) Do(ctx context.Context, f func(tx *sql.Tx) error) error { return s.do(ctx, f) }

// Reload reads the counts again that are in memory, for a test that has written rows itself.
func (s *Store) Reload(ctx context.Context) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		var last hook.ID
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM deliveries").Scan(&last); err != nil {
			return err
		}
		s.writer.deliveryIDs.Advance(last)
		c, err := readCounts(ctx, tx)
		for id, u := range s.urls.load().byID {
			u.setCounts(c.urls[id])
		}
		for id, e := range s.urls.load().subs {
			e.setStatus(c.subs[id])
		}
		return err
	})
}

// What WatchRows counts: SQLITE_DELETE and SQLITE_INSERT.
const (
	Deleted  = 9
	Inserted = 18
)

// WatchRows returns a function that tells how many rows of a table one transaction of the writer has deleted or inserted since, at most.
func (s *Store) WatchRows(ctx context.Context) (most func(op int32, table string) int, err error) {
	type change struct {
		op    int32
		table string
	}
	var mu sync.Mutex
	now, worst := map[change]int{}, map[change]int{}
	commit := func() int32 {
		mu.Lock()
		defer mu.Unlock()
		for c, n := range now {
			worst[c] = max(worst[c], n)
		}
		clear(now)
		return 0
	}
	most = func(op int32, table string) int {
		mu.Lock()
		defer mu.Unlock()
		return worst[change{op, table}]
	}
	return most, s.do(ctx, func(*sql.Tx) error {
		return s.writer.conn.Raw(func(conn any) error {
			hooks := conn.(sqlite.HookRegisterer)
			hooks.RegisterCommitHook(commit)
			hooks.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
				mu.Lock()
				defer mu.Unlock()
				now[change{d.Op, d.TableName}]++
			})
			return nil
		})
	})
}

// LimitLog sets from which size of the log on there is a warning, and captures are refused.
func (s *Store) LimitLog(warn, refuse int64) { s.wal.warn, s.wal.refuse = warn, refuse }

// YieldLog sets by how much the log may grow beside a check.
func (s *Store) YieldLog(bytes int64) { s.yieldLog = bytes }

// MostLog is mostLog, and WALKept what is kept of the log.
var (
	MostLog = mostLog
	WALKept = walKept
)

// Ask asks a question as Check does: each row is a problem.
func (s *Store) Ask(ctx context.Context, query string) ([]string, error) {
	return s.checker().problems(ctx, func(row scanner) (line string, err error) { return line, row.Scan(&line) }, query)
}

// HoldReaders takes every connection for reading but those of the worker, until release.
func (s *Store) HoldReaders(ctx context.Context) (release func() error, err error) {
	var held []*sql.Conn
	for range readers {
		conn, err := s.read.Conn(ctx)
		if err != nil {
			return nil, err
		}
		held = append(held, conn)
	}
	return func() (err error) {
		for _, conn := range held {
			err = errors.Join(err, conn.Close())
		}
		return err
	}, nil
}

// DropReaders makes every query but the writer's open the file anew.
func (s *Store) DropReaders() { s.read.SetMaxIdleConns(-1) }

// CheckAfter is how many times in a row the writer comes back without a look at the whole database.
const CheckAfter = checkAfter

// AdvanceRequestIDs makes the next request come after id.
func (s *Store) AdvanceRequestIDs(id hook.ID) { s.writer.ids.Advance(id) }

// Prune and Vacuum do at once what Run does from time to time.
func (s *Store) Prune(ctx context.Context) error { return s.pruneAll(ctx) }

func (s *Store) Vacuum(ctx context.Context) error { return s.vacuum(ctx) }

// CheckDisk looks at the volume with another reserve than before.
func (s *Store) CheckDisk(reserve int64) (changed bool, err error) {
	s.disk.reserve = reserve
	return s.disk.check()
}

// FollowClock does what Run does when it sees that the time of day was set back.
func (s *Store) FollowClock(ctx context.Context, by time.Duration) error {
	for _, f := range s.newFollowing(by) {
		return s.followClock(ctx, f)
	}
	return nil
}

// SetBack is setBack.
var SetBack = setBack

// RemoveOldCopies does at once what Run does from time to time.
func (s *Store) RemoveOldCopies() error { return removeOldCopies(s.opts.Path) }

// Settle does at once what Run does from time to time.
func (s *Store) Settle(ctx context.Context) error { return s.settle(ctx) }

// ForgetSubscriptions does at once what Run does from time to time, for as long as there is time.
func (s *Store) ForgetSubscriptions(ctx context.Context, until time.Time) (done bool, err error) {
	return s.forgetSubscriptions(ctx, until)
}

// Recount does at once what Run does when it starts.
func (s *Store) Recount(ctx context.Context) error { return s.recount(ctx) }

// NewestTurn begins with the newest delivery.
var NewestTurn = ProbeTurn{newest: true}

const Hurried = hurried

// ForgetCancelled does at once what Run does from time to time.
func (s *Store) ForgetCancelled(ctx context.Context) error { return s.forgetCancelled(ctx) }

// OneOffQueries are those that look for resends to typed URLs.
var OneOffQueries = []string{deliverySource{where: oneOffsOf}.query(), oneOffURLsQuery, recentQuery, newOneOffs}

// LeftoverQueries find what is left of the deliveries of a deleted capture URL.
var LeftoverQueries = leftoverQueries

// HoldersQuery looks for the subscriptions that have not delivered a request.
const HoldersQuery = holdersQuery

// DueLater looks for what is due in the future.
const DueLater = dueLater

// UnfinishedOf looks for the unfinished deliveries of a request.
const UnfinishedOf = unfinishedOf

// CancelQuery cancels what is unfinished of a replay.
const CancelQuery = cancelQuery

// OverQuery looks for replays that may be forgotten.
const OverQuery = overQuery

// ResendBatch is how many deliveries one transaction makes of a list.
const ResendBatch = resendBatch

// CopyBytes is how much of edited copies one transaction writes.
const CopyBytes = copyBytes

// DeleteBatch is how many deliveries of a request are deleted at a time.
const DeleteBatch = deleteBatch

// DueOneOffQueries look for those that are due, or unfinished.
var DueOneOffQueries = []string{dueOneOffQuery, unfinishedOneOffs}

// ReplayWindow is how many requests a replay passes over at a time.
const ReplayWindow = replayWindow

// RunningQuery looks for replays that run.
const RunningQuery = runningQuery

// RuleQueries are those that look for rules of filters, by what they are to use.
var RuleQueries = map[string]string{
	ruleQuery: "subscription_id=? AND words=?", newestRules: "filter_rules_by_number (subscription_id=?)",
	oldestRules: "filter_rules_by_number (subscription_id=? AND id<?)", nextWithRule: "(subscription_id>?)",
}

// NoticeOthers does at once what Run does from time to time.
func (s *Store) NoticeOthers(ctx context.Context) error { return s.noticeOthers(ctx) }

// TrimRules does at once what Run does when it starts.
func (s *Store) TrimRules(ctx context.Context) (done bool, err error) {
	_, done, err = s.trimRules(ctx, 0, time.Now().Add(time.Minute))
	return done, err
}

// SetReadTimeout sets the time of one query, and returns what it was.
func SetReadTimeout(d time.Duration) (before time.Duration) {
	before, readTimeout = readTimeout, d
	return before
}

// Plan returns how the database would go about a query, one step a line.
func (s *Store) Plan(ctx context.Context, query string) ([]string, error) {
	return queryAll(ctx, s.read, func(row scanner) (step string, err error) {
		var id, parent, unused int
		return step, row.Scan(&id, &parent, &unused, &step)
	}, "EXPLAIN QUERY PLAN "+query, 1, 2, 3, 4, 5, 6)
}

// IsUnread is isUnread.
var IsUnread = isUnread
