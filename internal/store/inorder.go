package store

import (
	"context"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// maxHeads is how many queues InOrder looks at: a page of deliveries may be about hundreds.
const maxHeads = 20

// InOrder says of deliveries which wait for another one, because their subscription keeps the order, and for which: for the head
// of their queue. What is held, or is being sent, does not wait for that.
func (s *Store) InOrder(ctx context.Context, deliveries []hook.Delivery) error {
	heads := map[hook.ID]*hook.Ahead{}
	for i := range deliveries {
		d := &deliveries[i]
		e := s.urls.load().subs[d.SubscriptionID]
		if e == nil || !e.get().Ordered || d.State != hook.Pending && d.State != hook.Waiting {
			continue
		}
		head, known := heads[e.id]
		switch {
		case known:
		case len(heads) == maxHeads:
			head = &hook.Ahead{}
		default:
			var err error
			if head, err = s.head(ctx, e); err != nil {
				return err
			}
			heads[e.id] = head
		}
		if head != nil && head.Delivery != d.ID {
			d.Ahead = head
		}
	}
	return nil
}

// head returns the delivery that the others of an ordered subscription wait for, nil when there is none.
func (s *Store) head(ctx context.Context, e *subEntry) (*hook.Ahead, error) {
	type row struct{ delivery, request hook.ID }
	found, err := queryAll(ctx, s.read, func(r scanner) (x row, err error) { return x, r.Scan(&x.delivery, &x.request) },
		headQuery, e.id, e.getStatus().discarded)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	head := &hook.Ahead{Delivery: found[0].delivery}
	switch request, err := s.Summary(ctx, hook.System, found[0].request); {
	case err == nil:
		head.Request = &request
	case !hook.Is(err, hook.NotFound):
		return nil, err
	}
	return head, nil
}

// headQuery asks as dueQuery does for the first row.
const headQuery = "SELECT d.id, d.request_id FROM deliveries d WHERE " + ofSubscription +
	" AND d.id > $2 AND d.state < 2 ORDER BY d.due_at, d.id LIMIT 1"
