package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// oldRules gives a subscription n rules that no filter has any more.
func oldRules(t *testing.T, s *store.Store, subscription hook.ID, n int) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO filter_rules (id, subscription_id, words) SELECT (SELECT max(id) FROM (SELECT id FROM filter_rules UNION ALL SELECT 0)) + i,
			$2, 'old ' || i FROM n`, n, subscription)
		if err == nil {
			_, err = tx.Exec("UPDATE meta SET value = (SELECT max(id) FROM filter_rules) WHERE key = 'last_filter_rule'")
		}
		return err
	}))
}

// refuseBy captures a request that the first rule of a subscription refuses.
func refuseBy(t *testing.T, s *store.Store, sub *hook.Subscription) hook.ID {
	t.Helper()
	r := storetest.Request(sub.CaptureURLID, 10)
	r.Routes = []hook.Route{{Subscription: sub.ID}}
	must(t, s.Capture(r))
	return r.ID
}

func wantRefused(t *testing.T, s *store.Store, about string, request hook.ID, want ...string) {
	t.Helper()
	refusals, err := s.Refusals(t.Context(), hook.System, request)
	must(t, err)
	var got []string
	for _, r := range refusals {
		got = append(got, r.Rule)
	}
	wantEqual(t, about, got, want)
}

func setFilter(t *testing.T, s *store.Store, id hook.ID, values ...string) {
	t.Helper()
	must(t, errOf(s.UpdateSubscription(t.Context(), hook.System, id, func(sub *hook.Subscription) error {
		sub.Filter.Conditions = nil
		for _, v := range values {
			sub.Filter.Conditions = append(sub.Filter.Conditions, hook.Condition{Field: "path", Op: hook.OpIs, Value: v})
		}
		return nil
	})))
}

// TestRulesOfEarlierFiltersAreBounded, by their number and by their bytes, whoever changes a filter in a loop. Requests tell what
// refused them as long as it is among those that are kept, and what the filter has now always is.
func TestRulesOfEarlierFiltersAreBounded(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	setFilter(t, s, sub.ID, "/now")
	now := refuseBy(t, s, &sub)
	oldRules(t, s, sub.ID, hook.MaxRulesKept)
	setFilter(t, s, sub.ID, "/now", "/2") // the first is the oldest of all
	later := refuseBy(t, s, &sub)
	wantRefused(t, s, "the rule of now", now, `path is "/now"`)
	wantRefused(t, s, "the rule of now, again", later, `path is "/now"`)
	rules := func() int64 {
		return number(t, s, "SELECT count(*) FROM filter_rules WHERE subscription_id = $1", sub.ID)
	}
	for i := range 20 {
		setFilter(t, s, sub.ID, fmt.Sprint("/a", i), fmt.Sprint("/b", i))
		if n := rules(); n > hook.MaxRulesKept+2 {
			t.Fatalf("%d rules are kept", n)
		}
	}
	last := refuseBy(t, s, &sub)
	wantRefused(t, s, "a rule that is gone", now)
	setFilter(t, s, sub.ID)
	wantRefused(t, s, "a rule of before", last, `path is "/a19"`)
	for i := range 20 {
		var large []string
		for k := range hook.MaxConditions {
			large = append(large, fmt.Sprint(i, k, strings.Repeat("\x01", 1000)))
		}
		setFilter(t, s, sub.ID, large...)
	}
	must(t, errOf(s.TrimRules(t.Context()))) // a change removes for a moment only, and more than it adds
	bytes := number(t, s, "SELECT sum(length(words)) FROM filter_rules")
	if most := int64(hook.MaxRuleBytesKept + hook.MaxConditions*4*hook.MaxConditionValue); bytes > most {
		t.Errorf("rules of %d bytes are kept", bytes)
	}
	storetest.WantSound(t, s)
}

// TestVeryManyRulesOfEarlierFilters, in a database from before they were bounded, are not read when it is opened, and upkeep removes
// them a batch at a time.
func TestVeryManyRulesOfEarlierFilters(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, s)
	sub, other := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	setFilter(t, s, sub.ID, "/now")
	oldRules(t, s, sub.ID, hook.MaxRulesKept+2*store.PurgeBatch)
	oldRules(t, s, other.ID, 1)
	for query, want := range store.RuleQueries {
		steps, err := s.Plan(t.Context(), query)
		must(t, err)
		if len(steps) != 1 || !strings.Contains(steps[0], want) {
			t.Errorf("%s goes through %q, want %q", query, steps, want)
		}
	}
	closeStore(t, s)
	s = storetest.Open(t, store.Options{Path: path, Key: key})
	wantRefused(t, s, "the rule of now", refuseBy(t, s, &sub), `path is "/now"`)
	done, err := s.TrimRules(t.Context())
	must(t, err)
	wantEqual(t, "all are looked at", done, true)
	wantEqual(t, "rules", number(t, s, "SELECT count(*) FROM filter_rules WHERE subscription_id = $1", sub.ID), hook.MaxRulesKept+1)
	wantEqual(t, "rules of the other", number(t, s, "SELECT count(*) FROM filter_rules WHERE subscription_id = $1", other.ID), 1)
	wantRefused(t, s, "the rule of now, later", refuseBy(t, s, &sub), `path is "/now"`)
}

// TestOpeningMayTakeLong: with very many subscriptions it takes longer than one query may.
func TestOpeningMayTakeLong(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	storetest.Subscription(t, s, storetest.CaptureURL(t, s).ID)
	closeStore(t, s)
	before := store.SetReadTimeout(1)
	defer store.SetReadTimeout(before)
	s, err := store.Open(t.Context(), store.Options{Path: path, Key: key})
	must(t, err)
	wantKind(t, "a query", errOf(s.User(t.Context(), 1)), hook.Unavailable)
	closeStore(t, s)
}
