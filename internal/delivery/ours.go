package delivery

import (
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// When an attempt could not be made because of something in Hookkeeper or its machine, the target has nothing to do with it: the
// delivery waits a little, and neither its schedule nor the health of the target is told.
const (
	oursPause = 5 * time.Second  // until such a delivery is tried again
	oursRest  = time.Second      // of its queue, so that a long one does not run through all it has
	oursTold  = 10 * time.Second // how often the log says so
)

// later puts a delivery off for a fault of ours, in words for whoever looks at the delivery.
func (w *Worker) later(what string, err error) *hook.Next {
	w.Tally.Count(hook.LimitOurs)
	w.told.Do(func() {
		w.Log.Warn("deliveries are put off: "+what, "error", err)
	})
	return &hook.Next{
		State: hook.Waiting, Reason: "put off by Hookkeeper: " + what + "; no attempt was used up", At: time.Now().Add(hook.Jitter(oursPause)),
	}
}

// putOff reports whether a result is that of an attempt that could not be made.
func putOff(r *store.Result) bool { return r.Attempt == nil && r.Next.State == hook.Waiting }
