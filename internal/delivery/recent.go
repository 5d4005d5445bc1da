package delivery

import (
	"slices"
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	recentBytes = 16 << 20  // of the requests that are kept
	recentBody  = 256 << 10 // a body larger than this is read from the store
)

// recent keeps the requests that were captured last, because most of them are sent at once: reading them back from the
// store would take as long as sending them.
type recent struct {
	mu       sync.Mutex
	requests map[hook.ID]*hook.Request
	order    []hook.ID // oldest first
	bytes    int
}

// keep takes requests that are on disk and are to be delivered.
func (k *recent) keep(requests []*hook.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.requests == nil {
		k.requests = map[hook.ID]*hook.Request{}
	}
	for _, r := range requests {
		if !delivered(r) || len(r.Body) > recentBody {
			continue
		}
		k.requests[r.ID] = r
		k.order = append(k.order, r.ID)
		k.bytes += recentSize(r)
	}
	for k.bytes > recentBytes {
		k.drop(k.order[0])
		k.order = k.order[1:]
	}
}

func delivered(r *hook.Request) bool {
	return slices.ContainsFunc(r.Routes, hook.Route.Queued)
}

// recentSize is about what a kept request takes.
func recentSize(r *hook.Request) int {
	n := 2<<10 + len(r.Body) + len(r.Path) + len(r.Query)
	for _, headers := range [][]hook.Header{r.Headers, r.Trailers} {
		for _, h := range headers {
			n += 64 + len(h.Name) + len(h.Value)
		}
	}
	return n
}

func (k *recent) get(id hook.ID) *hook.Request {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests[id]
}

func (k *recent) drop(id hook.ID) {
	if r := k.requests[id]; r != nil {
		k.bytes -= recentSize(r)
		delete(k.requests, id)
	}
}
