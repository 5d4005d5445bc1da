package store

import (
	"context"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// maxProblems is how many damaged rows of one kind Check names.
const maxProblems = 100

// Check reads the whole database and returns what is wrong with it, one sentence each. Each question is one statement, so
// that a server may write meanwhile.
func (s *Store) Check(ctx context.Context) ([]string, error) { return checker{s.read}.all(ctx) }

// checker asks a database what is wrong with it.
type checker struct{ db querier }

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

// problems runs a query and returns what say makes of its rows: "" is no problem.
func (c checker) problems(ctx context.Context, say func(scanner) (string, error), query string, args ...any) ([]string, error) {
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() && len(found) < maxProblems {
		problem, err := say(rows)
		if err != nil {
			return found, err
		}
		if problem != "" {
			found = append(found, problem)
		}
	}
	return found, rows.Err()
}

func (c checker) checkPages(ctx context.Context) ([]string, error) {
	return c.problems(ctx, func(row scanner) (line string, err error) {
		if err = row.Scan(&line); line == "ok" {
			line = ""
		}
		return line, err
	}, "PRAGMA integrity_check")
}

// checkRequests reads every request against its hash.
func (c checker) checkRequests(ctx context.Context) ([]string, error) {
	return c.problems(ctx, func(row scanner) (string, error) {
		if _, err := scanRequest(row); err != nil {
			return err.Error(), nil
		}
		return "", nil
	}, "SELECT "+requestColumns+" FROM requests ORDER BY id")
}

// checkKept compares what capture URLs count with what there is.
func (c checker) checkKept(ctx context.Context) ([]string, error) {
	return c.problems(ctx, func(row scanner) (string, error) {
		var id hook.ID
		var kept, bytes, requests, stored int64
		err := row.Scan(&id, &kept, &bytes, &requests, &stored)
		return fmt.Sprintf("capture URL %s counts %d requests with %d bytes, and there are %d with %d",
			id.Text(hook.CaptureURLPrefix), kept, bytes, requests, stored), err
	}, "SELECT id, kept, bytes, requests, stored "+wrongKept)
}

// wrongKept and wrongUnfinished are the capture URLs and subscriptions whose counts are not what there is.
const (
	wrongKept = `FROM (SELECT u.id, s.kept, s.bytes, s.cleared_up_to, count(r.id) AS requests, coalesce(sum(r.stored_size), 0) +
				coalesce((SELECT sum(d.size) FROM requests q JOIN deliveries d ON d.request_id = q.id
					WHERE q.capture_url_id = u.id AND q.id > s.cleared_up_to), 0) AS stored
			FROM capture_urls u JOIN capture_url_stats s ON s.capture_url_id = u.id
				LEFT JOIN requests r ON r.capture_url_id = u.id AND r.id > s.cleared_up_to
			WHERE u.deleted_at IS NULL GROUP BY u.id)
		WHERE kept <> requests OR bytes <> stored`
	wrongUnfinished = `FROM (SELECT b.id, s.unfinished, s.discarded_up_to, (SELECT count(*) FROM deliveries d
				WHERE d.subscription_id = b.id AND d.state < 2 AND d.id > s.discarded_up_to) AS queued
			FROM subscriptions b JOIN subscription_stats s ON s.subscription_id = b.id
				JOIN capture_urls u ON u.id = b.capture_url_id
			WHERE b.deleted_at IS NULL AND u.deleted_at IS NULL)
		WHERE unfinished <> queued`
)

// checkUnfinished compares what subscriptions count with what is in their queues.
func (c checker) checkUnfinished(ctx context.Context) ([]string, error) {
	return c.problems(ctx, func(row scanner) (string, error) {
		var id hook.ID
		var counted, queued int64
		err := row.Scan(&id, &counted, &queued)
		return fmt.Sprintf("subscription %s counts %d unfinished deliveries, and there are %d",
			id.Text(hook.SubscriptionPrefix), counted, queued), err
	}, "SELECT id, unfinished, queued "+wrongUnfinished)
}

// checkOrphans looks for unfinished deliveries without a request, which could never be sent, and attempts without a delivery.
func (c checker) checkOrphans(ctx context.Context) ([]string, error) {
	return c.problems(ctx, func(row scanner) (line string, err error) { return line, row.Scan(&line) },
		`SELECT 'delivery ' || d.id || ' is not finished, and its request ' || d.request_id || ' is gone'
			FROM deliveries d JOIN capture_urls u ON u.id = d.capture_url_id
			WHERE d.state < 2 AND u.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.id = d.request_id)
		UNION ALL SELECT 'attempt ' || a.number || ' belongs to delivery ' || a.delivery_id || ', which is gone'
			FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery_id)`)
}
