// Package live tells open pages what has happened, without ever holding up whoever made it happen.
//
// A Hub has one topic for each capture URL that somebody looks at, and one for the list of all of them (Home). What
// happens on a topic is gathered into a Batch; batches are spaced in time, so that a burst of any size becomes a bounded
// number of frames of bounded size. A batch is handed to every viewer of the topic and is turned into bytes once.
//
// Notices are hints: a viewer that lost some, or is closed because it does not read, asks the store what is newer than
// the last request it knows.
package live

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	maxRows = 50 // requests that a batch carries; the others are counted

	frameEvery     = 40 * time.Millisecond  // at most 25 batches a second
	fullFrameEvery = 100 * time.Millisecond // after one that left requests out
	homeEvery      = 500 * time.Millisecond
	deliveredEvery = 250 * time.Millisecond // also how long the first change of a delivery waits, so that its request is told first
	pingEvery      = 30 * time.Second
	pingTurns      = 120 // of pingEvery: so many groups of viewers are pinged one after another, because all at once would be felt

	maxQueue = 64  // batches that wait for one viewer; one more and it is closed
	maxHome  = 200 // capture URLs that a batch of Home names; one more and it says Reset
	maxNews  = 50  // requests, deliveries and subscriptions each that Deliveries names; more and it says All
)

// Home is the topic of the list of capture URLs.
const Home hook.ID = 0

// Nobody stands for the owner of a capture URL that was not deleted: the store knows that one.
const Nobody hook.ID = 0

// Kind says what happened.
type Kind int

// The kinds of events that are published one by one; arrivals come in groups, see Hub.Arrived.
const (
	Removed Kind = iota // one request was deleted
	Pruned              // all requests up to one were deleted, by retention or by hand
	Changed             // the capture URL was created or changed
	Deleted             // the capture URL was deleted
)

// Event is one thing that happened to a capture URL.
type Event struct {
	Kind       Kind
	CaptureURL hook.ID
	Request    hook.ID // of Removed and Pruned
	Owner      hook.ID // of Deleted: whose it was, which nobody can look up any more
}

// Batch is what happened on a topic since the batch before. It is read by many viewers and is not to be changed.
type Batch struct {
	CaptureURL hook.ID        // Home for the list of capture URLs
	Rows       []hook.Summary // the newest arrivals, newest first
	LeftOut    int            // arrivals older than Rows
	Removed    []hook.ID
	Pruned     hook.ID // all requests up to this one are gone
	Changed    bool
	Deleted    bool
	URLs       []hook.ID           // on Home: the capture URLs with news
	Owners     map[hook.ID]hook.ID // by those in URLs: whose a deleted one was, Nobody for one that is there
	Reset      bool                // too much happened to tell it: read the page again
	Degraded   *string             // the server cannot store requests, in words, or can again ("")
	Ping       bool                // nothing happened; shows whether the viewer is still there

	Deliveries *Deliveries // made or changed; in a batch of its own

	once   sync.Once
	frames [][]byte
}

// Deliveries names what belongs to deliveries that were made or have changed, each in the order of ids.
type Deliveries struct {
	All           bool      // there are more than are named
	Requests      []hook.ID // the newest
	Deliveries    []hook.ID // the newest
	Subscriptions []hook.ID
}

// Frames returns what render makes of the batch. However many viewers ask, it is rendered once.
func (b *Batch) Frames(render func(*Batch) [][]byte) [][]byte {
	b.once.Do(func() { b.frames = render(b) })
	return b.frames
}

// Hub knows all viewers. It is safe for concurrent use; no method waits for a viewer.
type Hub struct {
	mu     sync.RWMutex
	topics map[hook.ID]*topic
	joined int // viewers so far; guarded by mu
}

// NewHub returns a hub without viewers.
func NewHub() *Hub { return &Hub{topics: map[hook.ID]*topic{}} }

// Run pings every viewer once in pingEvery until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(pingEvery / pingTurns)
	defer tick.Stop()
	for turn := 0; ; turn = (turn + 1) % pingTurns {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			ping := &Batch{Ping: true}
			for _, t := range h.all() {
				t.sendTo(ping, func(v *Viewer) bool { return v.turn == turn })
			}
		}
	}
}

func (h *Hub) all() []*topic {
	h.mu.RLock()
	defer h.mu.RUnlock()
	topics := make([]*topic, 0, len(h.topics))
	for _, t := range h.topics {
		topics = append(topics, t)
	}
	return topics
}

func (h *Hub) topic(id hook.ID) *topic {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.topics[id]
}

// Arrived tells of requests that are on disk, in the order of their ids. It keeps no bodies.
func (h *Hub) Arrived(requests []*hook.Request) {
	home := h.topic(Home)
	for len(requests) > 0 {
		url := requests[0].CaptureURLID
		n := 1
		for n < len(requests) && requests[n].CaptureURLID == url {
			n++
		}
		if t := h.topic(url); t != nil {
			t.arrived(requests[:n])
		}
		if home != nil {
			home.touched(url, Nobody)
		}
		requests = requests[n:]
	}
}

// Delivered tells of deliveries that were made or have changed. Of news without a delivery, what it names has changed.
func (h *Hub) Delivered(news []hook.DeliveryNews) {
	for len(news) > 0 {
		url := news[0].CaptureURLID
		n := 1
		for n < len(news) && news[n].CaptureURLID == url {
			n++
		}
		if t := h.topic(url); t != nil {
			t.delivered(news[:n])
		}
		news = news[n:]
	}
}

// Subscription tells that a subscription of a capture URL is new, gone, or another than it was.
func (h *Hub) Subscription(captureURL, subscription hook.ID) {
	h.Delivered([]hook.DeliveryNews{{CaptureURLID: captureURL, SubscriptionID: subscription}})
	h.Publish(Event{Kind: Changed, CaptureURL: captureURL})
}

// Publish tells of an event.
func (h *Hub) Publish(e Event) {
	if t := h.topic(e.CaptureURL); t != nil {
		t.publish(e)
	}
	if home := h.topic(Home); home != nil {
		home.touched(e.CaptureURL, e.Owner)
	}
}

// Broadcast hands a batch to every viewer of every topic, at once.
func (h *Hub) Broadcast(b *Batch) {
	for _, t := range h.all() {
		t.send(b)
	}
}

// topic gathers what happens to one capture URL, or to the list of all.
type topic struct {
	id    hook.ID
	mu    sync.Mutex
	next  *Batch              // gathered since the last one was sent; nil = nothing
	urls  map[hook.ID]hook.ID // see Batch.Owners
	ready time.Time           // when the next batch may be sent

	deliveries *gathered // not told yet; nil = none
	viewers    map[*Viewer]struct{}
}

// gathered is what Deliveries is made of.
type gathered struct{ requests, deliveries, subscriptions newest }

// newest is a set of ids that keeps about maxNews of the newest.
type newest struct {
	ids  map[hook.ID]struct{}
	more bool
}

func (n *newest) add(id hook.ID) {
	if id == 0 {
		return
	}
	if n.ids == nil {
		n.ids = map[hook.ID]struct{}{}
	}
	n.ids[id] = struct{}{}
	if len(n.ids) >= 4*maxNews { // cut now and then, not with each
		n.cut()
	}
}

func (n *newest) cut() []hook.ID {
	ids := slices.Sorted(maps.Keys(n.ids))
	if extra := len(ids) - maxNews; extra > 0 {
		for _, id := range ids[:extra] {
			delete(n.ids, id)
		}
		n.more, ids = true, ids[extra:]
	}
	return ids
}

func (t *topic) arrived(requests []*hook.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.batch()
	for _, r := range requests {
		b.Rows = append(b.Rows, r.Summary)
	}
	if extra := len(b.Rows) - maxRows; extra > maxRows { // cut now and then, not with each arrival
		b.LeftOut += extra
		b.Rows = append(b.Rows[:0], b.Rows[extra:]...)
	}
}

func (t *topic) publish(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.batch()
	switch e.Kind {
	case Removed:
		b.Removed = append(b.Removed, e.Request)
		b.Reset = b.Reset || len(b.Removed) > maxHome
	case Pruned:
		b.Pruned = max(b.Pruned, e.Request)
	case Changed:
		b.Changed = true
	case Deleted:
		b.Deleted = true
	}
}

func (t *topic) delivered(news []hook.DeliveryNews) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.deliveries == nil {
		t.deliveries = &gathered{}
		time.AfterFunc(deliveredEvery, t.flushDeliveries)
	}
	for _, n := range news {
		t.deliveries.requests.add(n.RequestID)
		t.deliveries.deliveries.add(n.ID)
		t.deliveries.subscriptions.add(n.SubscriptionID)
	}
}

func (t *topic) flushDeliveries() {
	t.mu.Lock()
	g := t.deliveries
	t.deliveries = nil
	t.mu.Unlock()
	d := &Deliveries{Requests: g.requests.cut(), Deliveries: g.deliveries.cut(), Subscriptions: g.subscriptions.cut()}
	d.All = g.requests.more || g.deliveries.more || g.subscriptions.more
	t.send(&Batch{CaptureURL: t.id, Deliveries: d})
}

func (t *topic) touched(url, owner hook.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.urls == nil {
		t.urls = map[hook.ID]hook.ID{}
	}
	t.urls[url] = max(t.urls[url], owner) // nothing that is told late brings it back
	t.batch()
}

// batch returns the batch that is being gathered; a new one is sent when the topic may speak again.
func (t *topic) batch() *Batch {
	if t.next == nil {
		t.next = &Batch{CaptureURL: t.id}
		time.AfterFunc(time.Until(t.ready), t.flush)
	}
	return t.next
}

// flush sends what was gathered.
func (t *topic) flush() {
	t.mu.Lock()
	b := t.next
	t.next = nil
	b.finish(t.urls)
	t.urls = nil
	pause := frameEvery
	switch {
	case t.id == Home:
		pause = homeEvery
	case b.LeftOut > 0:
		pause = fullFrameEvery
	}
	t.ready = time.Now().Add(pause)
	t.mu.Unlock()
	t.send(b)
}

// finish cuts the arrivals to the newest, newest first, without those that are gone already.
func (b *Batch) finish(urls map[hook.ID]hook.ID) {
	if extra := len(b.Rows) - maxRows; extra > 0 {
		b.LeftOut += extra
		b.Rows = b.Rows[extra:]
	}
	b.Rows = slices.DeleteFunc(b.Rows, func(r hook.Summary) bool { return r.ID <= b.Pruned })
	slices.Reverse(b.Rows)
	if len(urls) > maxHome {
		b.Reset = true
		return
	}
	for url := range urls {
		b.URLs = append(b.URLs, url)
	}
	b.Owners = urls
	slices.Sort(b.URLs)
}

func (t *topic) send(b *Batch) {
	t.sendTo(b, func(*Viewer) bool { return true })
}

func (t *topic) sendTo(b *Batch, chosen func(*Viewer) bool) {
	t.mu.Lock()
	var viewers []*Viewer
	for v := range t.viewers {
		if chosen(v) {
			viewers = append(viewers, v)
		}
	}
	t.mu.Unlock()
	for _, v := range viewers {
		v.push(b)
	}
}
