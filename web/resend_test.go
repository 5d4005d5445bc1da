package web

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// answered makes attempts of all resends to typed URLs that are due, each answered with as much as is kept, and returns the
// deliveries, oldest first.
func (d *dash) answered(attempts int) (ids []hook.ID) {
	d.t.Helper()
	found, err := d.store.Due(d.t.Context(), store.Queue{Now: time.Now(), Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	recorded, err := d.store.Record(d.t.Context(), store.Turn{Claims: found.Claims})
	if err != nil {
		d.t.Fatal(err)
	}
	var turn store.Turn
	for _, c := range recorded.Leased {
		ids = append(ids, c.ID)
		for n := range attempts {
			turn.Results = append(turn.Results, store.Result{Claim: c, Next: hook.Next{State: hook.Failed, Reason: "answered 500"}, Attempt: &hook.Attempt{
				DeliveryID: c.ID, Number: n + 1, StartedAt: time.Now(), Status: 500, Method: "POST", URL: "https://a.example/",
				ResponseHeaders: slices.Repeat([]hook.Header{{Name: "X-Long", Value: strings.Repeat("h", 1<<10)}}, 60),
				ResponseBody:    bytes.Repeat([]byte("b"), hook.MaxResponseKept),
			}})
		}
	}
	if _, err := d.store.Record(d.t.Context(), turn); err != nil {
		d.t.Fatal(err)
	}
	return ids
}

// TestResentIsBounded: however many deliveries are asked for and however often, the page shows each once, so many answers side
// by side, and of each the beginning. It reads nothing of the request.
func TestResentIsBounded(t *testing.T) {
	d := newDash(t, guarded(t))
	r := d.request(d.own.ID, strings.Repeat("r", 2<<20))
	const made = hook.MaxAnswersShown + 5
	resends := slices.Repeat([]hook.Resend{{RequestID: r.ID, TargetURL: "https://a.example"}}, made)
	if _, err := d.store.Resend(t.Context(), hook.System, "", resends...); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, id := range d.answered(1) {
		ids = append(ids, id.Text(""))
	}
	d.get("/settings") // the first page of a process costs more than others
	for about, c := range map[string]struct {
		ids           []string
		shown, listed int
	}{
		"one, fifty times": {slices.Repeat(ids[:1], 50), 1, 0},
		"many":             {ids, hook.MaxAnswersShown, 5},
	} {
		var a answer
		used := allocated(func() { a = d.get(requestPath(d.own.ID, r.ID) + "/resent?ids=" + strings.Join(c.ids, ",")) })
		wantStatus(t, about, a, http.StatusOK)
		page := a.parse(t)
		if shown, listed := len(page.All("#resent section")), len(page.All("#resent-others tbody tr")); shown != c.shown || listed != c.listed {
			t.Errorf("%s: %d answers and %d deliveries below, want %d and %d", about, shown, listed, c.shown, c.listed)
		}
		if most := c.shown*4*hook.MaxAnswerShown + 64<<10; len(a.body) > most {
			t.Errorf("%s: the page has %d KiB, want at most %d", about, len(a.body)>>10, most>>10)
		}
		if used > uint64(c.shown)<<20+4<<20 {
			t.Errorf("%s: %d KiB allocated", about, used>>10)
		}
		if text := page.One("#resent").Text(); !strings.Contains(text, "its page has all of it") {
			t.Errorf("%s: nothing says that there is more", about)
		}
	}
	var many []string
	for i := range hook.MaxSubscriptions + 2 {
		many = append(many, hook.ID(i+1).Text(""))
	}
	for about, list := range map[string][]string{"too many": many, "none": {""}, "of nobody": many[:1], "no id": {"x"}} {
		wantStatus(t, about, d.get(requestPath(d.own.ID, r.ID)+"/resent?ids="+strings.Join(list, ",")), http.StatusNotFound)
	}
	other := requestPath(d.own.ID, d.request(d.own.ID, "other").ID)
	wantStatus(t, "of another request", d.get(other+"/resent?ids="+ids[0]), http.StatusNotFound)
}

// TestAttemptsShownInPart: a page with many attempts shows the newest whole, and another one where it is asked for.
func TestAttemptsShownInPart(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	r := d.request(d.own.ID, "body")
	if _, err := d.store.Resend(t.Context(), hook.System, "", hook.Resend{RequestID: r.ID, TargetURL: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	path := deliveryPath(d.answered(5)[0])
	page := d.get(path).parse(t)
	shown := func(n int) int { return strings.Count(page.One("#attempt-"+strconv.Itoa(n)+" pre.body").Text(), "b") }
	for n := 1; n < 5; n++ {
		wantEqualOf(t, "of attempt "+strconv.Itoa(n), shown(n), hook.MaxAnswerShown)
	}
	wantEqualOf(t, "of the newest attempt", shown(5), hook.MaxResponseKept)
	page = d.get(path + "?attempt=2").parse(t)
	wantEqualOf(t, "of the attempt that was asked for", shown(2), hook.MaxResponseKept)
}

// TestRepeatedChoices: what is chosen twice is sent once.
func TestRepeatedChoices(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	sub := storetest.Subscription(t, d.store, d.own.ID)
	to, r := []string{"subscription", sub.ID.Text(hook.SubscriptionPrefix)}, d.request(d.own.ID, "body")
	chosen := []string{"request", r.ID.Text(hook.RequestPrefix)}
	d.follow(requestPath(d.own.ID, r.ID)+"/resend", slices.Repeat(to, hook.MaxSubscriptions+5)...)
	wantEqualOf(t, "deliveries", d.only().Counts.Unfinished, int64(1))
	d.follow(urlPath(d.own.ID)+"/resend", slices.Concat([]string{"action", "send"}, slices.Repeat(to, 3), slices.Repeat(chosen, 3))...)
	wantEqualOf(t, "deliveries", d.only().Counts.Unfinished, int64(2))
}
