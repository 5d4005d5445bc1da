package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// What is made of stored requests takes room, as what arrives does: deliveries by hand and by replays are refused when requests
// would be. Attempts of what is queued go on, see Broken.

const (
	// perDelivery is what a delivery that no capture made is counted with beside its edited copy and its attempts: one request can have
	// any number of them.
	perDelivery = 200
	// copyBytes is how much one transaction writes of edited copies, about 10 ms for each MiB.
	copyBytes = 4 << 20
	// resendBatch is how many deliveries one transaction makes of a list of them.
	resendBatch = 200
	// forgotten is how many rows of replays one transaction removes beside what it is for.
	forgotten = 20
)

// Room returns why nothing is made of the requests of a capture URL now, nil when it is: nothing can be stored, or it holds twice the
// bytes it may. Its newest request does not count, which stays however large it is.
func (s *Store) Room(ctx context.Context, captureURL hook.ID) error {
	return s.room(ctx, s.read, captureURL)
}

func (s *Store) room(ctx context.Context, from querier, captureURL hook.ID) error {
	if message, _ := s.degraded(); message != "" {
		return &hook.Error{Kind: hook.Unavailable, Message: "No deliveries are made now. " + message}
	}
	u := s.urls.load().byID[captureURL]
	if u == nil {
		return nil // whoever asks finds that out
	}
	stats, most := u.getStats(), 2*u.get().Keep.Or(s.opts.Keep).Bytes
	if stats.Bytes < most {
		return nil
	}
	newest, err := queryAll(ctx, from, func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
		"SELECT stored_size FROM requests WHERE id = $1 AND id > $2", stats.LastRequestID, u.clearedUpTo())
	if err != nil || len(newest) > 0 && stats.Bytes-newest[0] < most {
		return err
	}
	return &hook.Error{Kind: hook.Unavailable, Message: "This capture URL holds twice the bytes it may keep, and no deliveries are made of its requests: " +
		"delete some requests, or let it keep more."}
}

// roomFor is room for all that a resend would make.
func (s *Store) roomFor(ctx context.Context, from querier, made []newDelivery) error {
	asked := map[hook.ID]bool{}
	for i := range made {
		if id := made[i].CaptureURLID; !asked[id] {
			asked[id] = true
			if err := s.room(ctx, from, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// copied returns the bytes of the edited copy that a resend makes.
func (s *Store) copied(ctx context.Context, r hook.Resend) (int64, error) {
	if r.EditOf == 0 {
		return int64(len(encodeEdit(r.Edit))), nil
	}
	size, err := queryAll(ctx, s.read, func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
		"SELECT length(edit) FROM deliveries WHERE id = $1", r.EditOf)
	if err != nil || len(size) == 0 {
		return 0, err
	}
	return size[0], nil
}

// partly is the error of a resend of which some were made. Its words say so.
func partly(err error, made, asked int) error {
	known, ok := errors.AsType[*hook.Error](err)
	if made == 0 || !ok {
		return err
	}
	return &hook.Error{
		Kind: known.Kind, Limit: known.Limit, Message: fmt.Sprintf("%d of %d were resent, the others not. %s", made, asked, known.Message), Err: err,
	}
}
