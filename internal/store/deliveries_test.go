package store_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// route stores a request with deliveries to subscriptions.
func route(t *testing.T, s *store.Store, captureURL hook.ID, subscriptions ...hook.ID) hook.ID {
	t.Helper()
	r := storetest.Routed(captureURL, 10, subscriptions...)
	must(t, s.Capture(r))
	return r.ID
}

// due claims nothing, it only looks.
func due(t *testing.T, s *store.Store, q store.Queue) (requests []hook.ID, next time.Time) {
	t.Helper()
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	found, err := s.Due(t.Context(), q)
	must(t, err)
	for _, c := range found.Claims {
		requests = append(requests, c.RequestID)
	}
	return requests, found.Next
}

// claim leases everything that is due.
func claim(t *testing.T, s *store.Store, subscription hook.ID) []store.Claim {
	t.Helper()
	found, err := s.Due(t.Context(), store.Queue{ID: subscription, Now: time.Now(), Limit: 100})
	must(t, err)
	recorded, err := s.Record(t.Context(), store.Turn{Claims: found.Claims})
	must(t, err)
	return recorded.Leased
}

func counts(t *testing.T, s *store.Store, subscription hook.ID) hook.DeliveryCounts {
	t.Helper()
	sub, err := s.Subscription(t.Context(), hook.System, subscription)
	must(t, err)
	return sub.Counts
}

// result is an attempt with a status and what follows from it.
func result(c store.Claim, status int, next hook.Next) store.Result {
	return store.Result{Claim: c, Counts: true, Tells: true, Next: next, Attempt: &hook.Attempt{
		DeliveryID: c.ID, Number: c.AttemptCount + 1, StartedAt: time.Now(), Status: status, Method: "POST", URL: "https://a.example/",
		ResponseBody: []byte("thanks"),
	}}
}

// TestCaptureQueuesItsDeliveries: what was captured is in the queue of each subscription that wants it, also after the
// database was opened again.
func TestCaptureQueuesItsDeliveries(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u, other := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	a, b := storetest.Subscription(t, s, u.ID), storetest.Subscription(t, s, u.ID)
	first, second := route(t, s, u.ID, a.ID, b.ID), route(t, s, u.ID, a.ID)
	route(t, s, other.ID)
	route(t, s, u.ID, b.ID+1) // one that was deleted meanwhile
	closeStore(t, s)
	s = storetest.Open(t, store.Options{Path: path, Key: key})
	for sub, want := range map[hook.ID][]hook.ID{a.ID: {first, second}, b.ID: {first}, 0: nil} {
		got, next := due(t, s, store.Queue{ID: sub})
		wantEqual(t, "due", got, want)
		wantEqual(t, "next", next, time.Time{})
	}
	wantEqual(t, "counts", counts(t, s, a.ID), hook.DeliveryCounts{Unfinished: 2})
	wantEqual(t, "rows", number(t, s, "SELECT count(*) FROM deliveries"), 3)
}

// TestRefusalsAreKept: what a filter refused costs a few bytes of the request and no row.
func TestRefusalsAreKept(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) {
		sub.Filter.Conditions = []hook.Condition{
			{Field: "method", Op: hook.OpIs, Value: "PUT"}, {Field: "path", Op: hook.OpGlob, Value: "/a/*"},
		}
	})
	r := storetest.Request(u.ID, 10)
	r.Routes = []hook.Route{{Subscription: sub.ID, Refused: 1}}
	must(t, s.Capture(r))
	rule := number(t, s, "SELECT id FROM filter_rules WHERE words = 'path glob \"/a/*\"'")
	wantEqual(t, "refusals", number(t, s, "SELECT count(*) FROM requests WHERE refusals = $1", binary.AppendUvarint(nil, uint64(rule))), 1)
	wantEqual(t, "rows", number(t, s, "SELECT count(*) FROM deliveries"), 0)
}

// TestSecretsAreSealed looks for what must not be readable in the file, and opens it with another key.
func TestSecretsAreSealed(t *testing.T) {
	path, key := newPath(t), seal.NewKey()
	s := storetest.Open(t, store.Options{Path: path, Key: key})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) {
		sub.Signing.Secrets = []hook.Secret{{Text: "canary-secret"}, {Text: "canary-old", Expires: time.Unix(2e9, 0).UTC()}}
		sub.Headers = []hook.Header{{Name: "X-Key", Value: "canary-header\xff"}}
	})
	wantEqual(t, "readable", number(t, s, "SELECT count(*) FROM subscriptions WHERE instr(secrets, 'canary') > 0"), 0)
	closeStore(t, s)
	again := storetest.Open(t, store.Options{Path: path, Key: key})
	got, err := again.Subscription(t.Context(), hook.System, sub.ID)
	must(t, err)
	wantEqual(t, "read again", got.Subscription, sub)
	closeStore(t, again)
	_, err = store.Open(t.Context(), store.Options{Path: path, Key: seal.NewKey()})
	if err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("with another key: %v", err)
	}
}

// TestClaimsReadNoEditedCopies: a queue can be longer than what fits into memory with everything that it carries. Its claims
// say how large that is.
func TestClaimsReadNoEditedCopies(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	r := hook.Resend{RequestID: route(t, s, u.ID), TargetURL: "https://a.example", Edit: &hook.Edit{Method: "PUT", Body: make([]byte, 1<<20)}}
	for range 10 {
		must(t, errOf(s.Resend(t.Context(), hook.System, "", r)))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	claims := claim(t, s, 0)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes allocated", used)
	}
	wantEqual(t, "claims", len(claims), 10)
	if c := claims[0]; !c.Edited || c.BodySize < 1<<20 {
		t.Errorf("%+v", c)
	}
}

// TestOneOffsAreSought: what one capture URL resent to typed URLs is found in an index, without looking at that of others.
func TestOneOffsAreSought(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	indexes := map[string]string{}
	for _, query := range store.DueOneOffQueries {
		indexes[query] = "INDEX deliveries_one_off_due (capture_url_id=?"
	}
	for _, query := range store.OneOffQueries {
		indexes[query] = "INDEX deliveries_one_off ("
	}
	for query, index := range indexes {
		plan, err := s.Plan(t.Context(), query)
		must(t, err)
		steps := strings.Join(plan, "\n")
		if !strings.Contains(steps, index) || strings.Contains(steps, "SCAN d") || strings.Contains(steps, "TEMP B-TREE") {
			t.Errorf("%s\n%s", query, steps)
		}
	}
}

// TestClearedOneOffs: a resend whose request was deleted with all others is not due, although its row is still there.
func TestClearedOneOffs(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	must(t, errOf(s.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: route(t, s, u.ID), TargetURL: "https://a.example"})))
	queue := store.Queue{ID: -u.ID}
	got, _ := due(t, s, queue)
	wantEqual(t, "due", len(got), 1)
	must(t, errOf(s.ClearRequests(t.Context(), hook.System, u.ID, true)))
	got, _ = due(t, s, queue)
	wantEqual(t, "due when all are deleted", len(got), 0)
}

// TestRecentTargets: the newest first, each once, and only those of the capture URL.
func TestRecentTargets(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u, other := storetest.CaptureURL(t, s), storetest.CaptureURL(t, s)
	resend := func(captureURL hook.ID, names string) {
		request := route(t, s, captureURL)
		for _, name := range names {
			r := hook.Resend{RequestID: request, TargetURL: "https://" + string(name) + ".example"}
			must(t, errOf(s.Resend(t.Context(), hook.System, "", r)))
		}
	}
	resend(u.ID, "abcdefghi")
	for _, c := range claim(t, s, 0)[:2] { // a and b
		must(t, errOf(s.Record(t.Context(), store.Turn{Results: []store.Result{result(c, 200, hook.Next{State: hook.Succeeded})}})))
	}
	resend(other.ID, "x")
	resend(u.ID, "ab")
	got, err := s.RecentTargets(t.Context(), hook.System, u.ID)
	must(t, err)
	var want []string
	for _, name := range "baihgfed" {
		want = append(want, "https://"+string(name)+".example")
	}
	wantEqual(t, "targets", got, want)
}

// TestAttemptsMoveDeliveries goes through what can become of a delivery.
func TestAttemptsMoveDeliveries(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	for range 4 {
		route(t, s, u.ID, sub.ID)
	}
	before := stats(t, s, u.ID).Bytes
	claims := claim(t, s, sub.ID)
	wantEqual(t, "claimed", len(claims), 4)
	later := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{
		result(claims[0], 200, hook.Next{State: hook.Succeeded}),
		result(claims[1], 500, hook.Next{State: hook.Waiting, Reason: "answered 500", At: later}),
		result(claims[2], 500, hook.Next{State: hook.Failed, Reason: "attempt 10 of 10: answered 500"}),
		{Claim: claims[3], Next: hook.Next{State: hook.Skipped, Reason: "jq"}},
	}})
	must(t, err)
	want := hook.DeliveryCounts{Unfinished: 1, Succeeded: 1, Failed: 1, Skipped: 1, Attempts: 3}
	wantEqual(t, "counts", counts(t, s, sub.ID), want)
	got, next := due(t, s, store.Queue{ID: sub.ID})
	wantEqual(t, "due now", got, nil)
	wantEqual(t, "next", next, later)
	got, _ = due(t, s, store.Queue{ID: sub.ID, Now: later})
	wantEqual(t, "due later", got, []hook.ID{claims[1].RequestID})
	if stats(t, s, u.ID).Bytes <= before {
		t.Error("attempts are not counted in the bytes of the capture URL")
	}
	after, err := s.Subscription(t.Context(), hook.System, sub.ID)
	must(t, err)
	wantEqual(t, "failures in a row", after.Health.Failures, 2)
	wantEqual(t, "the last of them", after.Health.LastOutcome, "answered 500")
}

// TestOldLeaseChangesNothing: what comes late, or twice, leaves its attempt and no more.
func TestOldLeaseChangesNothing(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	route(t, s, u.ID, sub.ID)
	old, current := claim(t, s, sub.ID)[0], claim(t, s, sub.ID)[0]
	if !current.Interrupted || old.Interrupted {
		t.Errorf("interrupted: the first %v, the second %v", old.Interrupted, current.Interrupted)
	}
	_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(current, 200, hook.Next{State: hook.Succeeded})}})
	must(t, err)
	late := result(old, 500, hook.Next{State: hook.Failed})
	late.Attempt.Number = 2
	_, err = s.Record(t.Context(), store.Turn{Claims: []store.Claim{old}, Results: []store.Result{late}})
	must(t, err)
	wantEqual(t, "counts", counts(t, s, sub.ID), hook.DeliveryCounts{Succeeded: 1, Attempts: 2})
	wantEqual(t, "claimed when finished", len(claim(t, s, sub.ID)), 0)
}

// TestOrderedQueue: the head is due or nothing is.
func TestOrderedQueue(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID, func(sub *hook.Subscription) { sub.Ordered = true })
	first, second := route(t, s, u.ID, sub.ID), route(t, s, u.ID, sub.ID)
	q := store.Queue{ID: sub.ID, Ordered: true}
	got, _ := due(t, s, q)
	wantEqual(t, "the head", got, []hook.ID{first})
	later := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	claims := claim(t, s, sub.ID)
	_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(claims[0], 500, hook.Next{State: hook.Waiting, At: later})}})
	must(t, err)
	got, next := due(t, s, q)
	wantEqual(t, "while the head waits", got, nil)
	wantEqual(t, "next", next, later)
	q.Now = later
	got, _ = due(t, s, q)
	wantEqual(t, "when it is due", got, []hook.ID{first})
	head := claims[0]
	head.Lease = claim(t, s, sub.ID)[0].Lease
	head.AttemptCount = 1
	_, err = s.Record(t.Context(), store.Turn{Results: []store.Result{result(head, 200, hook.Next{State: hook.Succeeded})}})
	must(t, err)
	got, _ = due(t, s, q)
	wantEqual(t, "after it", got, []hook.ID{second})
}

// TestProbesTakeTurns: the oldest, the newest, the second oldest and so on, and again from the start.
func TestProbesTakeTurns(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	var turn store.ProbeTurn
	c, turn, err := s.NextProbe(t.Context(), sub.ID, turn)
	must(t, err)
	if c != nil {
		t.Fatalf("a probe without deliveries: %+v", c)
	}
	var all []hook.ID
	for range 4 {
		all = append(all, route(t, s, u.ID, sub.ID))
	}
	for i, want := range []int{0, 3, 1, 2} {
		if c, turn, err = s.NextProbe(t.Context(), sub.ID, turn); err != nil || c == nil {
			t.Fatalf("probe %d: %v, %v", i, c, err)
		}
		wantEqual(t, "probe", c.RequestID, all[want])
	}
}

// TestOnlySomeAttemptsAreKept: the first and the last, and the count stays true.
func TestOnlySomeAttemptsAreKept(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	sub := storetest.Subscription(t, s, u.ID)
	route(t, s, u.ID, sub.ID)
	const tries = hook.FirstAttemptsKept + hook.LastAttemptsKept + 30
	for range tries {
		c := claim(t, s, sub.ID)[0]
		_, err := s.Record(t.Context(), store.Turn{Results: []store.Result{result(c, 500, hook.Next{State: hook.Waiting, At: time.Now()})}})
		must(t, err)
	}
	wantEqual(t, "kept", number(t, s, "SELECT count(*) FROM attempts"), hook.FirstAttemptsKept+hook.LastAttemptsKept)
	wantEqual(t, "the first", number(t, s, "SELECT count(*) FROM attempts WHERE number <= $1", hook.FirstAttemptsKept), hook.FirstAttemptsKept)
	wantEqual(t, "the newest", number(t, s, "SELECT max(number) FROM attempts"), tries)
	wantEqual(t, "counted", number(t, s, "SELECT attempt_count FROM deliveries"), tries)
	wantEqual(t, "size", number(t, s, "SELECT size FROM deliveries"),
		number(t, s, "SELECT sum(100 + length(request_headers) + length(response_headers) + length(response_body)) FROM attempts"))
}
