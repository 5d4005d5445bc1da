package live

import (
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Viewer is one open page. Its batches are delivered one after another by a goroutine that exists only while there are
// some: an idle viewer costs a small struct.
type Viewer struct {
	hub     *Hub
	topic   *topic
	deliver func(*Batch) error
	closed  func(error)
	turn    int // when it is pinged

	mu    sync.Mutex
	queue []*Batch
	busy  bool // a goroutine is delivering
	left  bool
}

type slowError struct{}

func (slowError) Error() string { return "the viewer does not read" }

// ErrSlow is why a viewer was closed that did not read.
var ErrSlow error = slowError{}

// Join makes a viewer of a capture URL, or of Home. deliver gets each batch, one at a time, and may block; batches that
// were published after Join are waiting for it once Start is called. closed is called at most once, when deliver
// failed or too many batches wait (ErrSlow); the viewer has left then.
func (h *Hub) Join(captureURL hook.ID, deliver func(*Batch) error, closed func(error)) *Viewer {
	v := &Viewer{hub: h, deliver: deliver, closed: closed, busy: true}
	h.mu.Lock()
	defer h.mu.Unlock()
	v.turn = h.joined % pingTurns
	h.joined++
	t := h.topics[captureURL]
	if t == nil {
		t = &topic{id: captureURL, viewers: map[*Viewer]struct{}{}}
		h.topics[captureURL] = t
	}
	v.topic = t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.viewers[v] = struct{}{}
	return v
}

// Start begins the deliveries.
func (v *Viewer) Start() { go v.run() }

// Leave ends the deliveries. It may be called more than once, from any goroutine.
func (v *Viewer) Leave() { v.leave() }

// leave reports whether the viewer was still there.
func (v *Viewer) leave() bool {
	v.mu.Lock()
	left := v.left
	v.left, v.queue = true, nil
	v.mu.Unlock()
	if left {
		return false
	}
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	v.topic.mu.Lock()
	defer v.topic.mu.Unlock()
	delete(v.topic.viewers, v)
	if len(v.topic.viewers) == 0 && v.hub.topics[v.topic.id] == v.topic {
		delete(v.hub.topics, v.topic.id)
	}
	return true
}

func (v *Viewer) push(b *Batch) {
	v.mu.Lock()
	if v.left {
		v.mu.Unlock()
		return
	}
	v.queue = append(v.queue, b)
	slow := len(v.queue) > maxQueue
	start := !v.busy && !slow
	v.busy = v.busy || start
	v.mu.Unlock()
	switch {
	case slow && v.leave():
		go v.closed(ErrSlow) // it says goodbye to somebody who does not read, and the publisher must not wait for that
	case start:
		go v.run()
	}
}

// run delivers until nothing waits.
func (v *Viewer) run() {
	for {
		v.mu.Lock()
		if len(v.queue) == 0 {
			v.queue, v.busy = nil, false
			v.mu.Unlock()
			return
		}
		b := v.queue[0]
		v.queue = v.queue[1:]
		v.mu.Unlock()
		if err := v.deliver(b); err != nil {
			if v.leave() {
				v.closed(err)
			}
			return
		}
	}
}
