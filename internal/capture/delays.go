package capture

import (
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// delays counts the answers that wait for their time. Each holds a connection, and those of one capture URL, or of all that
// wait, must not be all that there are.
type delays struct {
	mu    sync.Mutex
	all   int
	ofURL map[hook.ID]int
}

// begin counts one more answer of a capture URL that waits, unless there are too many.
func (d *delays) begin(url hook.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= hook.MaxDelays || d.ofURL[url] >= hook.MaxDelaysOfURL {
		return false
	}
	if d.ofURL == nil {
		d.ofURL = map[hook.ID]int{}
	}
	d.all++
	d.ofURL[url]++
	return true
}

func (d *delays) end(url hook.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.ofURL[url]--; d.ofURL[url] == 0 {
		delete(d.ofURL, url)
	}
}
