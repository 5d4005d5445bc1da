package live

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// stalled is a viewer that takes one batch and then nothing, and whose closing takes forever, too.
type stalled struct {
	*Viewer
	release chan struct{}
	closed  chan error
}

func stall(h *Hub, topic hook.ID) *stalled {
	s := &stalled{release: make(chan struct{}), closed: make(chan error, 10)}
	s.Viewer = h.Join(topic, func(*Batch) error {
		<-s.release
		return nil
	}, func(err error) {
		s.closed <- err
		<-s.release
	})
	s.Start()
	return s
}

// TestSlowViewerIsClosed: it does not hold up the publisher, nor anybody else.
func TestSlowViewerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		slow, other := stall(h, 7), open(t, h, 7)
		publish := func(n int) {
			for range n {
				h.Publish(Event{Kind: Changed, CaptureURL: 7})
				time.Sleep(frameEvery)
			}
			synctest.Wait()
		}
		publish(1 + maxQueue) // one is being delivered
		wantEqual(t, "closed", len(slow.closed), 0)
		publish(10)
		wantEqual(t, "closed", len(slow.closed), 1)
		if err := <-slow.closed; !errors.Is(err, ErrSlow) || err.Error() == "" {
			t.Errorf("closed with %v", err)
		}
		wantEqual(t, "the other viewer's batches", len(other.batches), 11+maxQueue)
		wantEqual(t, "viewers", len(h.topics[7].viewers), 1)
		close(slow.release)
		synctest.Wait()
		slow.Leave()
		wantEqual(t, "closed again", len(slow.closed)+len(other.closed), 0)
	})
}

// TestPublisherIsNeverHeldUp: what publishes may be the goroutine that stores.
func TestPublisherIsNeverHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		slow, other := stall(h, 7), open(t, h, 8)
		start := time.Now()
		for range 2 * maxQueue {
			h.Broadcast(&Batch{Ping: true})
			arrive(h, 7, 1, 100)
			synctest.Wait()
		}
		wantEqual(t, "time that passed", time.Since(start), 0)
		wantEqual(t, "closed", len(slow.closed), 1)
		wantEqual(t, "the other viewer's batches", len(other.batches), 2*maxQueue)
		close(slow.release)
	})
}

// TestDeliverFails closes the viewer once and tells why.
func TestDeliverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		gone := errors.New("connection reset")
		var closed []error
		delivered := 0
		v := h.Join(7, func(*Batch) error {
			delivered++
			return gone
		}, func(err error) { closed = append(closed, err) })
		v.Start()
		for range 3 {
			h.Publish(Event{Kind: Changed, CaptureURL: 7})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(closed) != 1 || !errors.Is(closed[0], gone) || delivered != 1 {
			t.Errorf("delivered %d times, closed with %v", delivered, closed)
		}
		wantEqual(t, "topics", len(h.topics), 0)
	})
}

// TestNothingIsLostBeforeStart: a viewer joins, reads what is there, and then starts.
func TestNothingIsLostBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		var got []hook.ID
		v := h.Join(7, func(b *Batch) error {
			got = append(got, rows(b)...)
			return nil
		}, func(err error) { t.Error(err) })
		for id := range hook.ID(5) {
			arrive(h, 7, id+1, id+1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		wantEqual(t, "before", got, nil)
		v.Start()
		synctest.Wait()
		wantEqual(t, "after", got, []hook.ID{1, 2, 3, 4, 5})
		arrive(h, 7, 6, 6)
		synctest.Wait()
		wantEqual(t, "from then on", got, []hook.ID{1, 2, 3, 4, 5, 6})
		v.Leave()
	})
}

// TestNeverStartedViewerIsClosed: reading what is there takes too long.
func TestNeverStartedViewerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		closed := make(chan error, 2)
		v := h.Join(7, func(*Batch) error { return nil }, func(err error) { closed <- err })
		for range maxQueue + 5 {
			h.Broadcast(&Batch{Ping: true})
		}
		if err := <-closed; !errors.Is(err, ErrSlow) {
			t.Errorf("closed with %v", err)
		}
		v.Start()
		synctest.Wait()
		wantEqual(t, "closed again", len(closed), 0)
	})
}

// TestLeave ends deliveries, from wherever and however often it is called; closed is for what the viewer did not do itself.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		stays, leaves := open(t, h, 7), open(t, h, 7)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(leaves.Leave)
		}
		wg.Wait()
		arrive(h, 7, 1, 1)
		synctest.Wait()
		wantEqual(t, "batches", []int{len(stays.batches), len(leaves.batches)}, []int{1, 0})
		wantEqual(t, "closed", len(leaves.closed), 0)

		var inside *Viewer
		inside = h.Join(8, func(*Batch) error {
			inside.Leave()
			return errors.New("too late to be told")
		}, func(err error) { t.Error(err) })
		inside.Start()
		h.Publish(Event{Kind: Changed, CaptureURL: 8})
		synctest.Wait()

		again := open(t, h, 8) // a topic that was left by all works again
		h.Publish(Event{Kind: Changed, CaptureURL: 8})
		synctest.Wait()
		wantEqual(t, "batches of a new viewer", len(again.batches), 1)
	})
}

// TestManyComeAndGo joins and leaves while others publish: for the race detector, and a bubble in which a goroutine
// stayed behind does not end.
func TestManyComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for range 50 {
					v := h.Join(hook.ID(i%3), func(*Batch) error { return nil }, func(error) {})
					v.Start()
					time.Sleep(time.Duration(i) * time.Millisecond)
					v.Leave()
				}
			})
			wg.Go(func() {
				for n := range hook.ID(50) {
					arrive(h, hook.ID(1+i%2), n, n+10)
					h.Publish(Event{Kind: Removed, CaptureURL: 2, Request: n})
					h.Broadcast(&Batch{Ping: true})
					time.Sleep(time.Duration(i) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		wantEqual(t, "topics", len(h.topics), 0)
	})
}
