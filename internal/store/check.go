package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	// maxProblems is how many damaged rows of one kind Check names.
	maxProblems = 100
	// checkRows and checkBytes are how much is read in one statement: while it runs, the log of a server beside cannot be moved.
	checkRows  = 1000
	checkBytes = 32 << 20
	// yieldLog is by how much that log may grow until a statement that takes longer is given up.
	yieldLog   = 32 << 20
	yieldEvery = 100 * time.Millisecond
)

// errYielded is why a statement was given up.
var errYielded = &hook.Error{Kind: hook.Unavailable, Message: "More is written beside this than the write-ahead log can hold while so much is read: " +
	"try again when less arrives, or make a backup, which is read as a copy."}

// Check reads the whole database and returns what is wrong with it, one sentence each. A server may write meanwhile: what is
// compared comes from one statement, and none that is long outlives a log that grows.
func (s *Store) Check(ctx context.Context) ([]string, error) { return s.checker().all(ctx) }

func (s *Store) checker() checker { return checker{db: s.read, wal: s.wal.path, yieldLog: s.yieldLog} }

// checker asks a database what is wrong with it.
type checker struct {
	db       querier
	wal      string // its log, "" for a copy that nobody writes
	yieldLog int64
}

// mostLog returns up to which size the log may grow beside a statement: by so much over what is kept of it. The file stays as large as it
// was until the log is begun anew, and may not grow by as much again with each statement. By less than nothing, nothing is read.
func mostLog(size, by int64) int64 {
	return min(max(size, walKept())+by, max(walKept()+by, size))
}

// all asks each question, whatever the ones before found: damage that ends one of them is a finding.
func (c checker) all(ctx context.Context) ([]string, error) {
	var problems []string
	for _, question := range []struct {
		about string
		ask   func(context.Context) ([]string, error)
	}{
		{"the pages", c.checkPages},
		{"the requests", c.checkRequests},
		{"what capture URLs count", c.checkKept},
		{"what subscriptions count", c.checkUnfinished},
		{"what belongs together", c.checkOrphans},
	} {
		found, err := question.ask(ctx)
		problems = append(problems, found...)
		if Damaged(err) {
			problems, err = append(problems, fmt.Sprintf("%s cannot be read to the end: %v", question.about, err)), nil
		}
		if err != nil {
			return problems, err
		}
	}
	return problems, nil
}

// yielding asks a question with a context that ends when the log has grown too much meanwhile.
func (c checker) yielding(ctx context.Context, ask func(context.Context) error) error {
	if c.wal == "" {
		return ask(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	most := mostLog(fileSize(c.wal), c.yieldLog)
	watch := func() {
		if fileSize(c.wal) > most {
			cancel(errYielded)
		}
	}
	watch()
	var watching sync.WaitGroup
	watching.Go(func() { every(ctx, yieldEvery, watch) })
	err := ask(ctx)
	if errors.Is(context.Cause(ctx), errYielded) {
		err = errYielded
	}
	cancel(nil)
	watching.Wait()
	return err
}

// problems runs a query and returns what say makes of its rows: "" is no problem.
func (c checker) problems(ctx context.Context, say func(scanner) (string, error), query string, args ...any) (found []string, err error) {
	err = c.yielding(ctx, func(ctx context.Context) error {
		rows, err := c.db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() && len(found) < maxProblems {
			problem, err := say(rows)
			if err != nil {
				return err
			}
			if problem != "" {
				found = append(found, problem)
			}
		}
		return rows.Err()
	})
	return found, err
}

// each asks one question about each of what a query names, and stops at maxProblems.
func (c checker) each(ctx context.Context, query string, ask func(hook.ID) ([]string, error)) (problems []string, err error) {
	ids, err := queryAll(ctx, c.db, func(row scanner) (id hook.ID, err error) { return id, row.Scan(&id) }, query)
	for _, id := range ids {
		if err != nil || len(problems) >= maxProblems {
			break
		}
		var found []string
		found, err = ask(id)
		problems = append(problems, found...)
	}
	return problems, err
}

// ranges asks one question about each range of ids, above after and up to upTo, of which next tells where it ends: 0 after the last.
func (c checker) ranges(next func(after hook.ID) (hook.ID, error), ask func(after, upTo hook.ID) ([]string, error)) (problems []string, err error) {
	for after := hook.ID(0); len(problems) < maxProblems; {
		upTo, err := next(after)
		if err != nil || upTo == 0 {
			return problems, err
		}
		found, err := ask(after, upTo)
		problems = append(problems, found...)
		if err != nil {
			return problems, err
		}
		after = upTo
	}
	return problems, nil
}

// checkPages has the engine look at all its pages. Those that cannot be read are a finding, too: whoever asks wants to know.
func (c checker) checkPages(ctx context.Context) ([]string, error) {
	found, err := c.pages(ctx, "integrity_check")
	if unread, ok := errors.AsType[*unreadError](err); ok {
		return unread.found, nil
	}
	return found, err
}

// unreadError says that the disk failed while pages were looked at. What is on them is not known: a page that could not be read
// makes others look as if nothing led to them.
type unreadError struct{ found []string }

func (e *unreadError) Error() string {
	return "pages of the database could not be read: " + strings.Join(e.found, "; ")
}

// unreadPage matches how the engine tells of such a page among its findings (btree.c, checkTreePage and checkList), with the result
// code of the read.
var unreadPage = regexp.MustCompile(`unable to get the page\. error code=(\d+)|failed to get page `)

func isUnread(finding string) bool {
	for _, match := range unreadPage.FindAllStringSubmatch(finding, -1) {
		code, err := strconv.Atoi(match[1])
		if primary := code & 0xff; err != nil || primary != codeCorrupt && primary != codeNotADB {
			return true
		}
	}
	return false
}

// pages is enginePages with an unreadError when what was found may come from pages that could not be read.
func (c checker) pages(ctx context.Context, pragma string) ([]string, error) {
	found, err := c.enginePages(ctx, pragma)
	if err == nil && slices.ContainsFunc(found, isUnread) {
		return nil, &unreadError{found}
	}
	return found, err
}

// enginePages runs a check of the engine over the whole file; where that takes too long, over one table after the other, which
// leaves out only the list of free pages.
func (c checker) enginePages(ctx context.Context, pragma string) ([]string, error) {
	line := func(row scanner) (line string, err error) {
		if err = row.Scan(&line); line == "ok" {
			line = ""
		}
		return line, err
	}
	found, err := c.problems(ctx, line, "PRAGMA "+pragma)
	if !errors.Is(err, errYielded) {
		return found, err
	}
	tables, err := queryAll(ctx, c.db, func(row scanner) (name string, err error) { return name, row.Scan(&name) },
		"SELECT name FROM sqlite_schema WHERE type = 'table'")
	for _, table := range tables {
		if err != nil {
			break
		}
		sleep(ctx, upkeepEvery) // in which the log is moved
		var problems []string
		problems, err = c.problems(ctx, line, "PRAGMA "+pragma+"('"+table+"')")
		found = append(found, problems...)
	}
	return found, err
}

// checkRequests reads every request against its hash.
func (c checker) checkRequests(ctx context.Context) ([]string, error) {
	type row struct {
		id   hook.ID
		size int64
	}
	next := func(after hook.ID) (upTo hook.ID, err error) {
		rows, err := queryAll(ctx, c.db, func(s scanner) (r row, err error) { return r, s.Scan(&r.id, &r.size) },
			"SELECT id, stored_size FROM requests WHERE id > $1 ORDER BY id LIMIT $2", after, checkRows)
		var bytes int64
		for _, r := range rows {
			if bytes += r.size; bytes > checkBytes && upTo != 0 {
				break
			}
			upTo = r.id
		}
		return upTo, err
	}
	return c.ranges(next, func(after, upTo hook.ID) ([]string, error) {
		return c.problems(ctx, func(row scanner) (string, error) {
			if _, err := scanRequest(row); err != nil {
				return err.Error(), nil
			}
			return "", nil
		}, "SELECT "+requestColumns+" FROM requests WHERE id > $1 AND id <= $2 ORDER BY id", after, upTo)
	})
}

// checkKept compares what capture URLs count with what there is.
func (c checker) checkKept(ctx context.Context) ([]string, error) {
	return c.each(ctx, "SELECT id FROM capture_urls WHERE deleted_at IS NULL", func(id hook.ID) ([]string, error) { return c.keptOf(ctx, id) })
}

func (c checker) keptOf(ctx context.Context, captureURL hook.ID) ([]string, error) {
	return c.problems(ctx, func(row scanner) (string, error) {
		var id hook.ID
		var kept, bytes, requests, stored int64
		err := row.Scan(&id, &kept, &bytes, &requests, &stored)
		return fmt.Sprintf("capture URL %s counts %d requests with %d bytes, and there are %d with %d",
			id.Text(hook.CaptureURLPrefix), kept, bytes, requests, stored), err
	}, "SELECT id, kept, bytes, requests, stored "+wrongKept, captureURL)
}

// wrongKept and wrongUnfinished find a capture URL or a subscription, $1, whose counts are not what there is.
const (
	wrongKept = `FROM (SELECT u.id, s.kept, s.bytes, s.cleared_up_to, count(r.id) AS requests, coalesce(sum(r.stored_size), 0) +
				coalesce((SELECT sum(d.size) FROM requests q JOIN deliveries d ON d.request_id = q.id
					WHERE q.capture_url_id = u.id AND q.id > s.cleared_up_to), 0) AS stored
			FROM capture_urls u JOIN capture_url_stats s ON s.capture_url_id = u.id
				LEFT JOIN requests r ON r.capture_url_id = u.id AND r.id > s.cleared_up_to
			WHERE u.id = $1 AND u.deleted_at IS NULL GROUP BY u.id)
		WHERE kept <> requests OR bytes <> stored`
	wrongUnfinished = `FROM (SELECT b.id, s.unfinished, s.discarded_up_to, (SELECT count(*) FROM deliveries d
				WHERE d.subscription_id = b.id AND d.state < 2 AND d.id > s.discarded_up_to) AS queued
			FROM subscriptions b JOIN subscription_stats s ON s.subscription_id = b.id
				JOIN capture_urls u ON u.id = b.capture_url_id
			WHERE b.id = $1 AND b.deleted_at IS NULL AND u.deleted_at IS NULL)
		WHERE unfinished <> queued`
)

// checkUnfinished compares what subscriptions count with what is in their queues.
func (c checker) checkUnfinished(ctx context.Context) ([]string, error) {
	return c.each(ctx, "SELECT id FROM subscriptions WHERE deleted_at IS NULL", func(id hook.ID) ([]string, error) { return c.unfinishedOf(ctx, id) })
}

func (c checker) unfinishedOf(ctx context.Context, subscription hook.ID) ([]string, error) {
	return c.problems(ctx, func(row scanner) (string, error) {
		var id hook.ID
		var counted, queued int64
		err := row.Scan(&id, &counted, &queued)
		return fmt.Sprintf("subscription %s counts %d unfinished deliveries, and there are %d",
			id.Text(hook.SubscriptionPrefix), counted, queued), err
	}, "SELECT id, unfinished, queued "+wrongUnfinished, subscription)
}

// checkOrphans looks for unfinished deliveries without a request, which could never be sent, and attempts without a delivery.
func (c checker) checkOrphans(ctx context.Context) ([]string, error) {
	deliveries, err := c.orphans(ctx, "SELECT id FROM deliveries WHERE id > $1 ORDER BY id LIMIT $2",
		`SELECT 'delivery ' || d.id || ' is not finished, and its request ' || d.request_id || ' is gone'
			FROM deliveries d JOIN capture_urls u ON u.id = d.capture_url_id
			WHERE d.id > $1 AND d.id <= $2 AND d.state < 2 AND u.deleted_at IS NULL
				AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.id = d.request_id)`)
	if err != nil {
		return deliveries, err
	}
	attempts, err := c.orphans(ctx, "SELECT delivery_id FROM attempts WHERE delivery_id > $1 ORDER BY delivery_id LIMIT $2",
		`SELECT 'attempt ' || a.number || ' belongs to delivery ' || a.delivery_id || ', which is gone'
			FROM attempts a WHERE a.delivery_id > $1 AND a.delivery_id <= $2
				AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery_id)`)
	return append(deliveries, attempts...), err
}

// orphans asks for rows that belong to none, in ranges of the ids that another query lists.
func (c checker) orphans(ctx context.Context, list, query string) ([]string, error) {
	next := func(after hook.ID) (upTo hook.ID, err error) {
		ids, err := queryAll(ctx, c.db, func(row scanner) (id hook.ID, err error) { return id, row.Scan(&id) }, list, after, checkRows)
		if len(ids) > 0 {
			upTo = ids[len(ids)-1]
		}
		return upTo, err
	}
	return c.ranges(next, func(after, upTo hook.ID) ([]string, error) {
		return c.problems(ctx, func(row scanner) (line string, err error) { return line, row.Scan(&line) }, query, after, upTo)
	})
}
