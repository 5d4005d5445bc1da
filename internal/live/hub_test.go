package live

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// page is a viewer that notes what it gets. In a synctest bubble it may be read after synctest.Wait.
type page struct {
	*Viewer
	batches []*Batch
	times   []time.Time
	closed  []error
}

// open joins a topic and starts to read.
func open(t *testing.T, h *Hub, topic hook.ID) *page {
	p := &page{}
	p.Viewer = h.Join(topic, func(b *Batch) error {
		p.batches = append(p.batches, b)
		p.times = append(p.times, time.Now())
		return nil
	}, func(err error) { p.closed = append(p.closed, err) })
	p.Start()
	t.Cleanup(p.Leave)
	return p
}

// arrive tells the hub of requests with the ids from first to last.
func arrive(h *Hub, captureURL, first, last hook.ID) {
	var group []*hook.Request
	for id := first; id <= last; id++ {
		group = append(group, &hook.Request{Summary: hook.Summary{ID: id, CaptureURLID: captureURL}})
	}
	h.Arrived(group)
}

// pass lets the time pass and everything happen that is due then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func rows(b *Batch) (ids []hook.ID) {
	for _, r := range b.Rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func wantEqual[T any](t *testing.T, about string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", about, diff)
	}
}

func TestOneArrivalIsShownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		viewer, other, home := open(t, h, 7), open(t, h, 8), open(t, h, Home)
		start := time.Now()
		arrive(h, 7, 1, 1)
		synctest.Wait()
		wantEqual(t, "batches", []int{len(viewer.batches), len(other.batches), len(home.batches)}, []int{1, 0, 1})
		wantEqual(t, "rows", rows(viewer.batches[0]), []hook.ID{1})
		wantEqual(t, "capture URLs at home", home.batches[0].URLs, []hook.ID{7})
		wantEqual(t, "time", time.Since(start), 0)
	})
}

// TestNobodyLooks: what happens then is forgotten, not gathered.
func TestNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		arrive(h, 7, 1, 1)
		h.Publish(Event{Kind: Changed, CaptureURL: 7})
		viewer := open(t, h, 7)
		pass(time.Minute)
		wantEqual(t, "batches", len(viewer.batches), 0)
		wantEqual(t, "topics", len(h.topics), 1)
		viewer.Leave()
		wantEqual(t, "topics without viewers", len(h.topics), 0)
	})
}

// TestPace sends more than anybody can look at for ten seconds, and counts the batches and what they hold.
func TestPace(t *testing.T) {
	for _, test := range []struct {
		about       string
		every       time.Duration
		most, least int // batches a second
	}{
		{"one at a time", time.Millisecond, 25, 24}, // 40 rows in 40 ms: all are shown
		{"a burst", 100 * time.Microsecond, 10, 9},  // 1,000 rows in 100 ms: most are left out
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const seconds = 10
				h := NewHub()
				viewer := open(t, h, 7)
				id, start := hook.ID(0), time.Now()
				for time.Since(start) < seconds*time.Second {
					id++
					arrive(h, 7, id, id)
					time.Sleep(test.every)
				}
				pass(time.Second)
				if n := len(viewer.batches); n > test.most*seconds+2 || n < test.least*seconds {
					t.Errorf("%d batches in %d seconds", n, seconds)
				}
				wantAll(t, viewer.batches, id)
				wantPaced(t, viewer, test.about == "a burst")
			})
		})
	}
}

// wantAll adds up what batches told of the requests 1 to last.
func wantAll(t *testing.T, batches []*Batch, last hook.ID) {
	t.Helper()
	told := hook.ID(0)
	for _, b := range batches {
		if len(b.Rows) > maxRows || b.LeftOut > 0 && len(b.Rows) < maxRows {
			t.Errorf("a batch of %d rows leaves %d out", len(b.Rows), b.LeftOut)
		}
		told += hook.ID(b.LeftOut + len(b.Rows))
		if newest := b.Rows[0].ID; newest != told {
			t.Errorf("the newest row is %d after %d", newest, told)
		}
		if !slices.IsSortedFunc(b.Rows, func(a, b hook.Summary) int { return int(b.ID - a.ID) }) {
			t.Errorf("not the newest first: %v", rows(b))
		}
	}
	wantEqual(t, "requests that were shown or counted", told, last)
}

// wantPaced looks at the time between batches.
func wantPaced(t *testing.T, viewer *page, burst bool) {
	t.Helper()
	for i, at := range viewer.times[1:] {
		pause := frameEvery
		if viewer.batches[i].LeftOut > 0 {
			pause = fullFrameEvery
		}
		if got := at.Sub(viewer.times[i]); got < pause {
			t.Errorf("batch %d came after %s, with %d left out of the one before", i+1, got, viewer.batches[i].LeftOut)
		}
	}
	if last := viewer.batches[len(viewer.batches)/2]; (last.LeftOut > 0) != burst {
		t.Errorf("a batch leaves %d out", last.LeftOut)
	}
}

func TestLargeGroupIsCut(t *testing.T) {
	for _, n := range []hook.ID{maxRows, maxRows + 1, 2 * maxRows, 2*maxRows + 1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			h := NewHub()
			viewer := open(t, h, 7)
			arrive(h, 7, 1, n)
			synctest.Wait()
			wantEqual(t, "batches", len(viewer.batches), 1)
			wantEqual(t, "left out", viewer.batches[0].LeftOut, int(n-maxRows))
			wantAll(t, viewer.batches, n)
		})
	}
}

// TestGroupOfSeveralCaptureURLs sorts what was committed together to where it belongs.
func TestGroupOfSeveralCaptureURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		seven, eight, home := open(t, h, 7), open(t, h, 8), open(t, h, Home)
		var group []*hook.Request
		for i, url := range []hook.ID{7, 7, 8, 9, 7, 8} {
			group = append(group, &hook.Request{Summary: hook.Summary{ID: hook.ID(i + 1), CaptureURLID: url}})
		}
		h.Arrived(group)
		pass(homeEvery) // a topic that was silent speaks at once, perhaps before the whole group is sorted
		ids := func(p *page, of func(*Batch) []hook.ID) (all []hook.ID) {
			for _, b := range p.batches {
				all = append(all, of(b)...)
			}
			slices.Sort(all)
			return slices.Compact(all)
		}
		wantEqual(t, "of the one", ids(seven, rows), []hook.ID{1, 2, 5})
		wantEqual(t, "of the other", ids(eight, rows), []hook.ID{3, 6})
		wantEqual(t, "at home", ids(home, func(b *Batch) []hook.ID { return b.URLs }), []hook.ID{7, 8, 9})
	})
}

// TestEventsOfOneBatch gathers while the topic waits for its turn. The batch is told in the order pruned, rows, removed:
// rows that are pruned already are not in it, and what is removed may be.
func TestEventsOfOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		viewer := open(t, h, 7)
		arrive(h, 7, 1, 1)
		synctest.Wait()
		arrive(h, 7, 2, 6)
		h.Publish(Event{Kind: Removed, CaptureURL: 7, Request: 5})
		h.Publish(Event{Kind: Pruned, CaptureURL: 7, Request: 3})
		h.Publish(Event{Kind: Pruned, CaptureURL: 7, Request: 2}) // told late
		h.Publish(Event{Kind: Removed, CaptureURL: 7, Request: 1})
		h.Publish(Event{Kind: Changed, CaptureURL: 7})
		h.Publish(Event{Kind: Deleted, CaptureURL: 7})
		pass(frameEvery)
		wantEqual(t, "batches", len(viewer.batches), 2)
		got := viewer.batches[1]
		wantEqual(t, "rows", rows(got), []hook.ID{6, 5, 4})
		wantEqual(t, "removed", got.Removed, []hook.ID{5, 1})
		wantEqual(t, "pruned", got.Pruned, 3)
		wantEqual(t, "the rest", []bool{got.Changed, got.Deleted, got.Reset, got.Ping}, []bool{true, true, false, false})
		wantEqual(t, "left out", got.LeftOut, 0)
	})
}

// TestTooManyRemovals says that the page is to be read again.
func TestTooManyRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		viewer := open(t, h, 7)
		remove := func(n hook.ID) {
			for id := range n {
				h.Publish(Event{Kind: Removed, CaptureURL: 7, Request: id + 1})
			}
			pass(time.Second)
		}
		h.Publish(Event{Kind: Changed, CaptureURL: 7})
		synctest.Wait()
		remove(maxHome)
		remove(1)
		h.Publish(Event{Kind: Changed, CaptureURL: 7})
		synctest.Wait()
		remove(maxHome + 1)
		var resets []bool
		for _, b := range viewer.batches {
			resets = append(resets, b.Reset)
		}
		wantEqual(t, "resets", resets, []bool{false, false, false, false, true})
	})
}

func TestHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		home := open(t, h, Home)
		start := time.Now()
		for i := range 100 { // each of them a few times in ten seconds
			h.Publish(Event{Kind: Changed, CaptureURL: hook.ID(10 + i%3)})
			arrive(h, hook.ID(20), hook.ID(i), hook.ID(i))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(home.batches); n > 21 || n < 20 {
			t.Errorf("%d batches in %s", n, time.Since(start))
		}
		wantEqual(t, "capture URLs", home.batches[5].URLs, []hook.ID{10, 11, 12, 20})
		wantEqual(t, "rows", len(home.batches[5].Rows), 0)
		for id := range hook.ID(maxHome) {
			h.Publish(Event{Kind: Deleted, CaptureURL: 1000 + id, Owner: 5})
			arrive(h, 1000+id, 1, 1) // told late
		}
		pass(homeEvery)
		last := home.batches[len(home.batches)-1]
		wantEqual(t, "whose the deleted one was", last.Owners[1000], 5)
		wantEqual(t, "owner of one that is there", home.batches[5].Owners[10], Nobody)
		wantEqual(t, "as many as can be named", []any{len(last.URLs), last.Reset}, []any{maxHome, false})
		for id := range hook.ID(maxHome + 1) {
			h.Publish(Event{Kind: Deleted, CaptureURL: 1000 + id})
		}
		pass(homeEvery)
		last = home.batches[len(home.batches)-1]
		wantEqual(t, "one more", []any{len(last.URLs), last.Reset}, []any{0, true})
	})
}

func TestBroadcastReachesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		pages := []*page{open(t, h, 7), open(t, h, 7), open(t, h, 8), open(t, h, Home)}
		arrive(h, 7, 1, 1) // the pace of a topic holds nothing up
		synctest.Wait()
		message := "the disk is full"
		h.Broadcast(&Batch{Degraded: &message})
		synctest.Wait()
		for i, p := range pages {
			last := p.batches[len(p.batches)-1]
			if last.Degraded == nil || *last.Degraded != message {
				t.Errorf("viewer %d got %+v", i, last)
			}
		}
	})
}

func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		viewer, home := open(t, h, 7), open(t, h, Home)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		pass(pingEvery)
		for about, p := range map[string]*page{"a viewer": viewer, "home": home} {
			if len(p.batches) != 1 || !p.batches[0].Ping {
				t.Errorf("%s got %+v", about, p.batches)
			}
		}
		pass(time.Millisecond) // between two turns
		var pinged atomic.Int64
		for range 10 * pingTurns {
			v := h.Join(8, func(*Batch) error { pinged.Add(1); return nil }, func(error) {})
			v.Start()
			t.Cleanup(v.Leave)
		}
		pass(pingEvery / pingTurns)
		wantEqual(t, "pinged in one turn", pinged.Load(), 10)
		pass(pingEvery - pingEvery/pingTurns)
		wantEqual(t, "pinged in all", pinged.Load(), 10*pingTurns)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestFramesAreRenderedOnce, however many viewers ask for them at the same time.
func TestFramesAreRenderedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		var rendered, delivered atomic.Int32
		for range 100 {
			v := h.Join(7, func(b *Batch) error {
				frames := b.Frames(func(b *Batch) [][]byte {
					rendered.Add(1)
					runtime.Gosched() // let the others come
					return [][]byte{fmt.Append(nil, len(b.Rows))}
				})
				if string(frames[0]) != "3" {
					return errors.New("wrong frames")
				}
				delivered.Add(1)
				return nil
			}, func(err error) { t.Error(err) })
			v.Start()
			defer v.Leave()
		}
		arrive(h, 7, 1, 3)
		time.Sleep(time.Second)
		wantEqual(t, "rendered and delivered", []int32{rendered.Load(), delivered.Load()}, []int32{1, 100})
	})
}

// TestDeliveries: what changes together is told together, after the request that it belongs to, and never more than fits.
func TestDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		viewer, other := open(t, h, 7), open(t, h, 8)
		h.Delivered([]hook.DeliveryNews{{ID: 21, RequestID: 1, CaptureURLID: 7, SubscriptionID: 31}})
		arrive(h, 7, 1, 1)
		h.Delivered([]hook.DeliveryNews{{ID: 21, RequestID: 1, CaptureURLID: 7, SubscriptionID: 31}, {ID: 22, RequestID: 1, CaptureURLID: 7}})
		pass(time.Second)
		wantEqual(t, "batches", []int{len(viewer.batches), len(other.batches)}, []int{2, 0})
		wantEqual(t, "rows", rows(viewer.batches[0]), []hook.ID{1})
		wantEqual(t, "deliveries", *viewer.batches[1].Deliveries, Deliveries{
			Requests: []hook.ID{1}, Deliveries: []hook.ID{21, 22}, Subscriptions: []hook.ID{31},
		})
		for id := range hook.ID(1000) {
			h.Delivered([]hook.DeliveryNews{{ID: id + 1, RequestID: id + 1, CaptureURLID: 7, SubscriptionID: 31}})
		}
		pass(time.Second)
		wantEqual(t, "batches", len(viewer.batches), 3)
		d := viewer.batches[2].Deliveries
		wantEqual(t, "all", d.All, true)
		wantEqual(t, "named", []int{len(d.Requests), len(d.Deliveries), len(d.Subscriptions)}, []int{maxNews, maxNews, 1})
		wantEqual(t, "the newest", d.Requests[maxNews-1], hook.ID(1000))
	})
}
