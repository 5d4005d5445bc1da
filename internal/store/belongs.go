package store

import (
	"context"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// CaptureURLOf returns the capture URL that a request was sent to, without reading the request.
func (s *Store) CaptureURLOf(ctx context.Context, actor hook.Actor, request hook.ID) (hook.ID, error) {
	captureURL, err := queryOne(ctx, s.read, "request", scanID, "SELECT capture_url_id FROM requests WHERE id = $1", request)
	if err != nil {
		return 0, err
	}
	u, err := s.visible(actor, captureURL)
	if err != nil || request <= u.clearedUpTo() {
		return 0, notFound("request")
	}
	return captureURL, nil
}
