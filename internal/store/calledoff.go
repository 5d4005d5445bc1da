package store

import "github.com/hookkeeper/hookkeeper/internal/hook"

// Discarding what a subscription holds, deleting it, and deleting all requests of a capture URL take effect at once, and the
// rows of the deliveries follow. Whoever is about to change such a row asks here first.

// discarded reports whether a delivery was cancelled together with all that its subscription held.
func (s *Store) discarded(d *hook.Delivery) bool {
	if d.SubscriptionID == 0 {
		return false
	}
	e := s.urls.load().subs[d.SubscriptionID]
	return e == nil || d.ID <= e.getStatus().discarded
}

// gone reports whether the request of a delivery was deleted together with all of its capture URL.
func (s *Store) gone(d *hook.Delivery) bool {
	u := s.urls.load().byID[d.CaptureURLID]
	return u == nil || d.RequestID <= u.clearedUpTo()
}
