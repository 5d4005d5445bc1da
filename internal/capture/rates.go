package capture

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const mostBuckets = 10_000 // that are remembered; then all begin anew

// rates hold capture URLs to the rate that their owners have set.
type rates struct {
	mu      sync.Mutex
	buckets map[hook.ID]*rate.Limiter
}

// wait returns how long a sender has to wait until a request is taken; 0 = this one is.
func (r *rates) wait(url *hook.CaptureURL, now time.Time) time.Duration {
	if url.Rate == 0 {
		return 0
	}
	reservation := r.bucket(url).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (r *rates) bucket(url *hook.CaptureURL) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit, burst := rate.Limit(url.Rate), max(1, int(url.Rate*hook.RateBurst.Seconds()))
	b := r.buckets[url.ID]
	if b == nil {
		if r.buckets == nil || len(r.buckets) >= mostBuckets {
			r.buckets = map[hook.ID]*rate.Limiter{}
		}
		b = rate.NewLimiter(limit, burst)
		r.buckets[url.ID] = b
	}
	if b.Limit() != limit {
		b.SetLimit(limit)
		b.SetBurst(burst)
	}
	return b
}
