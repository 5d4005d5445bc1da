package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// The rules of filters, in words: a request keeps the numbers of those that refused it.

const (
	ruleQuery    = "SELECT id FROM filter_rules WHERE subscription_id = $1 AND words = $2"
	newestRules  = "SELECT id, octet_length(words) FROM filter_rules WHERE subscription_id = $1 ORDER BY id DESC LIMIT $2"
	oldestRules  = "SELECT id FROM filter_rules WHERE subscription_id = $1 AND id < $2 ORDER BY id LIMIT $3"
	nextWithRule = "SELECT subscription_id FROM filter_rules WHERE subscription_id > $1 ORDER BY subscription_id LIMIT 1"
)

// readRules returns the numbers of the rules that subscriptions have now, 0 for one that has none. It asks for each of them: those
// of earlier filters may be many more.
func readRules(ctx context.Context, db preparer, subs []*hook.Subscription) (map[hook.ID][]uint64, error) {
	stmt, err := db.PrepareContext(ctx, ruleQuery)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stmt.Close() }()
	rules := map[hook.ID][]uint64{}
	for _, sub := range subs {
		words := sub.Filter.Rules()
		numbers := make([]uint64, len(words))
		for i, w := range words {
			found, err := collect(ctx, prepared{stmt}, scanRule, "", sub.ID, w)
			if err != nil {
				return nil, err
			}
			if len(found) > 0 {
				numbers[i] = found[0]
			}
		}
		rules[sub.ID] = numbers
	}
	return rules, nil
}

func scanRule(row scanner) (number uint64, err error) { return number, row.Scan(&number) }

// saveRules gives the rules of a filter their numbers. A rule that was used before, and is still kept, has the number it had; a
// number is never given again, because requests keep those of rules that are gone. As many old ones go as come, and more.
func saveRules(ctx context.Context, tx *sql.Tx, sub *hook.Subscription) ([]uint64, error) {
	words := sub.Filter.Rules()
	numbers := make([]uint64, len(words))
	for i, w := range words {
		err := tx.QueryRowContext(ctx, `INSERT INTO filter_rules (id, subscription_id, words)
			VALUES ((SELECT value + 1 FROM meta WHERE key = 'last_filter_rule'), $1, $2)
			ON CONFLICT (subscription_id, words) DO UPDATE SET words = excluded.words RETURNING id`, sub.ID, w).Scan(&numbers[i])
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE meta SET value = max(value, $1) WHERE key = 'last_filter_rule'", numbers[i])
		}
		if err != nil {
			return nil, err
		}
	}
	_, err := forgetRules(ctx, tx, sub.ID, numbers)
	return numbers, err
}

// forgetRules removes the oldest rules of a subscription beyond what is kept, for a moment, and reports whether there are more. Those
// that its filter has now stay, however old they are.
func forgetRules(ctx context.Context, tx *sql.Tx, subscription hook.ID, current []uint64) (more bool, err error) {
	before, err := keptRules(ctx, tx, subscription)
	if err != nil || before == 0 {
		return false, err
	}
	old, err := collect(ctx, tx, scanRule, oldestRules, subscription, before, purgeBatch)
	until := time.Now().Add(purgeFor)
	for i, number := range old {
		if err != nil || i > len(current) && time.Now().After(until) {
			return true, err
		}
		if !slices.Contains(current, number) {
			_, err = tx.ExecContext(ctx, "DELETE FROM filter_rules WHERE id = $1", number)
		}
	}
	return len(old) == purgeBatch, err
}

// keptRules returns the number of a subscription's rule below which none is kept, 0 when all are.
func keptRules(ctx context.Context, db querier, subscription hook.ID) (before uint64, err error) {
	rows, err := db.QueryContext(ctx, newestRules, subscription, hook.MaxRulesKept)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	kept, bytes := 0, 0
	for rows.Next() {
		var size int
		if err := rows.Scan(&before, &size); err != nil {
			return 0, err
		}
		kept++
		if bytes += size; bytes > hook.MaxRuleBytesKept {
			return before, nil
		}
	}
	if kept < hook.MaxRulesKept {
		before = 0
	}
	return before, rows.Err()
}

// trimRules removes what forgetRules does of every subscription behind after, until it is time, and returns how far it has come. Only
// a database from before there was a bound has any.
func (s *Store) trimRules(ctx context.Context, after hook.ID, until time.Time) (last hook.ID, done bool, err error) {
	for last = after; ctx.Err() == nil && time.Now().Before(until); {
		next, err := queryAll(ctx, s.read, scanID, nextWithRule, last)
		if err != nil || len(next) == 0 {
			return last, err == nil, err
		}
		more, err := s.trimRulesOf(ctx, next[0])
		if err != nil {
			return last, false, err
		}
		if !more {
			last = next[0]
		}
	}
	return last, false, ctx.Err()
}

func (s *Store) trimRulesOf(ctx context.Context, subscription hook.ID) (more bool, err error) {
	before, err := keptRules(ctx, s.read, subscription)
	if err != nil || before == 0 {
		return false, err // most need no transaction to know
	}
	err = s.do(ctx, func(tx *sql.Tx) (err error) {
		var current []uint64
		if e := s.urls.load().subs[subscription]; e != nil {
			current = *e.rules.Load()
		}
		more, err = forgetRules(ctx, tx, subscription, current)
		return err
	})
	return more, err
}
