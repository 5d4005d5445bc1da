package store_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// model says what a store holds after any sequence of what can be done to requests, in the simplest way.
type model struct {
	t     *testing.T
	path  string
	s     *store.Store
	owner hook.User
	urls  []*modelURL
	gone  []*modelURL // deleted
}

type modelURL struct {
	id       hook.ID
	keep     hook.Keep
	kept     []modelRequest // oldest first
	received int64
	last     hook.ID // of those received
}

type modelRequest struct {
	id   hook.ID
	size int64
	at   time.Time
}

// modelKeep is the server's default: so little that retention has something to do all the time.
var modelKeep = hook.Keep{Requests: 8, Days: 10, Bytes: 8000}

// TestModel does at random what can be done, and compares after each step.
func TestModel(t *testing.T) {
	t.Parallel()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &model{t: t, path: filepath.Join(t.TempDir(), strconv.Itoa(runs))}
		m.open()
		defer func() { closeStore(t, m.s) }()
		m.owner = storetest.User(t, m.s, true)
		m.create(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"create":  m.create,
			"capture": m.capture,
			"burst":   m.burst,
			"delete":  m.deleteRequest,
			"clear":   m.clear,
			"keep":    m.setKeep,
			"prune":   m.prune,
			"purge":   func(*rapid.T) { purge(t, m.s) },
			"remove":  m.remove,
			"reopen":  m.reopen,
		})
	})
}

func (m *model) open() {
	var err error
	m.s, err = store.Open(m.t.Context(), store.Options{Path: m.path, Keep: modelKeep})
	must(m.t, err)
}

func (m *model) reopen(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "seldom") != 0 {
		rt.Skip("it takes long")
	}
	closeStore(m.t, m.s)
	m.open()
}

func (m *model) any(rt *rapid.T) *modelURL {
	if len(m.urls) == 0 {
		rt.Skip("there is no capture URL")
	}
	return rapid.SampledFrom(m.urls).Draw(rt, "capture URL")
}

func (m *model) create(rt *rapid.T) {
	if len(m.urls) == 3 {
		rt.Skip("more of them are not more interesting")
	}
	m.urls = append(m.urls, &modelURL{id: storetest.CaptureURLOf(m.t, m.s, m.owner).ID})
}

func (m *model) capture(rt *rapid.T) {
	u := m.any(rt)
	n := rapid.IntRange(0, 3000).Draw(rt, "bytes")
	age := rapid.IntRange(0, 30).Draw(rt, "days")
	r := storetest.Request(u.id, n)
	r.ReceivedAt = time.Now().AddDate(0, 0, -age)
	must(m.t, m.s.Capture(r))
	// Of the size only that it counts the body is known here; what it counts beside is the same for all of these.
	u.add(modelRequest{r.ID, int64(n) + overhead(m.t), r.ReceivedAt})
	u.prune(time.Time{}, 1+store.PruneExtra)
}

// burst captures several at once. How they share commits, and so how far each prunes, is up to the writer.
func (m *model) burst(rt *rapid.T) {
	u := m.any(rt)
	if len(u.kept) > int(modelKeep.Requests) || u.bytes() > modelKeep.Or(u.keep).Bytes {
		rt.Skip("it is not known how fast they catch up")
	}
	n := rapid.IntRange(2, 12).Draw(rt, "requests")
	requests := make([]*hook.Request, n)
	done := make(chan error)
	for i := range requests {
		requests[i] = storetest.Request(u.id, 10*i)
		requests[i].ReceivedAt = time.Now()
		go func() { done <- m.s.Capture(requests[i]) }()
	}
	for range requests {
		must(m.t, <-done)
	}
	slices.SortFunc(requests, func(a, b *hook.Request) int { return int(a.ID - b.ID) })
	for i, r := range requests {
		if i > 0 && r.ID == requests[i-1].ID {
			rt.Fatalf("two requests have the id %d", r.ID)
		}
		u.add(modelRequest{r.ID, int64(len(r.Body)) + overhead(m.t), r.ReceivedAt})
	}
	u.prune(time.Time{}, n+store.PruneExtra)
}

var measured int64

// overhead is what a request of storetest counts beside its body.
func overhead(t *testing.T) int64 {
	if measured == 0 {
		s := storetest.Open(t, store.Options{})
		u := storetest.CaptureURL(t, s)
		capture(t, s, u.ID, 0)
		measured = stats(t, s, u.ID).Bytes
	}
	return measured
}

func (m *model) deleteRequest(rt *rapid.T) {
	u := m.any(rt)
	if len(u.kept) == 0 {
		rt.Skip("there is no request")
	}
	i := rapid.IntRange(0, len(u.kept)-1).Draw(rt, "request")
	must(m.t, m.s.DeleteRequest(m.t.Context(), hook.Actor{UserID: m.owner.ID}, u.kept[i].id, true))
	u.kept = slices.Delete(u.kept, i, i+1)
}

func (m *model) clear(rt *rapid.T) {
	u := m.any(rt)
	_, err := m.s.ClearRequests(m.t.Context(), hook.System, u.id, true)
	must(m.t, err)
	u.kept = nil
}

func (m *model) setKeep(rt *rapid.T) {
	u := m.any(rt)
	u.keep = hook.Keep{
		Requests: rapid.Int64Range(0, 20).Draw(rt, "keep requests"), Days: rapid.Int64Range(0, 20).Draw(rt, "keep days"),
		Bytes: rapid.Int64Range(0, 20_000).Draw(rt, "keep bytes"),
	}
	setKeep(m.t, m.s, u.id, u.keep)
}

func (m *model) prune(*rapid.T) {
	must(m.t, m.s.Prune(m.t.Context()))
	for _, u := range m.urls {
		keep := u.keep.Or(modelKeep)
		u.prune(time.Now().AddDate(0, 0, -int(keep.Days)), 1<<30)
	}
}

func (m *model) remove(rt *rapid.T) {
	u := m.any(rt)
	must(m.t, m.s.DeleteCaptureURL(m.t.Context(), hook.System, u.id, true))
	m.urls = slices.DeleteFunc(m.urls, func(other *modelURL) bool { return other == u })
	m.gone = append(m.gone, u)
}

func (u *modelURL) add(r modelRequest) {
	u.kept = append(u.kept, r)
	u.received++
	u.last = r.id
}

func (u *modelURL) bytes() (n int64) {
	for _, r := range u.kept {
		n += r.size
	}
	return n
}

// prune removes the oldest while there are too many, too large or too old ones, the last that came only for its age.
func (u *modelURL) prune(cutoff time.Time, limit int) {
	keep := u.keep.Or(modelKeep)
	for ; len(u.kept) > 0 && limit > 0; limit-- {
		over := int64(len(u.kept)) > keep.Requests || u.bytes() > keep.Bytes
		if !u.kept[0].at.Before(cutoff) && (!over || u.kept[0].id == u.last) {
			break
		}
		u.kept = u.kept[1:]
	}
}

func (m *model) check(rt *rapid.T) {
	ctx := m.t.Context()
	for _, u := range m.urls {
		var want []hook.ID
		for _, r := range slices.Backward(u.kept) {
			want = append(want, r.id)
		}
		if diff := cmp.Diff(want, ids(m.t, m.s, u.id)); diff != "" {
			rt.Fatalf("requests of %d (-want +got):\n%s", u.id, diff)
		}
		got := stats(m.t, m.s, u.id)
		if got.Kept != int64(len(u.kept)) || got.Received != u.received || got.Bytes != u.bytes() {
			rt.Fatalf("counts of %d are %+v, want %d kept, %d received, %d bytes", u.id, got, len(u.kept), u.received, u.bytes())
		}
		wantCounts(m.t, m.s, u.id)
	}
	list, err := m.s.CaptureURLs(ctx, hook.System, store.CaptureURLPage{})
	must(m.t, err)
	if len(list) != len(m.urls) {
		rt.Fatalf("%d capture URLs, want %d", len(list), len(m.urls))
	}
	for _, u := range m.gone {
		for _, r := range u.kept {
			if err := errOf(m.s.Request(ctx, hook.System, r.id)); !hook.Is(err, hook.NotFound) {
				rt.Fatalf("a request of the deleted capture URL %d: %v", u.id, err)
			}
		}
	}
}
