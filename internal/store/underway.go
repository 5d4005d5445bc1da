package store

import (
	"context"
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// underWay is the leases whose attempts are being made.
type underWay struct {
	mu     sync.Mutex
	leases map[int64]struct{}
}

func (u *underWay) has(lease int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.leases[lease]
	return ok
}

func (u *underWay) begin(lease int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases == nil {
		u.leases = map[int64]struct{}{}
	}
	u.leases[lease] = struct{}{}
}

func (u *underWay) end(results []Result) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range results {
		delete(u.leases, results[i].Claim.Lease)
	}
}

// Begin reports whether a claim is still to be sent, and if so notes that an attempt is under way until its result is recorded.
// It is not when its delivery was cancelled or removed, or its subscription paused or disabled, since it was leased. The row is
// read only when that may have happened to single deliveries; all else is in memory.
func (s *Store) Begin(ctx context.Context, c *Claim) (begun bool, err error) {
	if s.discarded(&c.Delivery) || s.gone(&c.Delivery) || s.held(c.SubscriptionID) {
		return false, nil
	}
	if c.seen != s.calledOff.Load() {
		standing, err := queryAll(ctx, s.work, scanID,
			"SELECT id FROM deliveries WHERE id = $1 AND lease = $2 AND state < 2", c.ID, c.Lease)
		if err != nil || len(standing) == 0 {
			return false, err
		}
	}
	s.underWay.begin(c.Lease)
	return true, nil
}

// held reports whether people, or the target, said that nothing is to be sent.
func (s *Store) held(subscription hook.ID) bool {
	e := s.urls.load().subs[subscription]
	return e != nil && (e.get().Hold.Paused || e.get().Hold.Disabled)
}
