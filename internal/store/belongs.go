package store

import (
	"context"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// CaptureURLOf returns the capture URL that a request was sent to, without reading the request.
func (s *Store) CaptureURLOf(ctx context.Context, actor hook.Actor, request hook.ID) (hook.ID, error) {
	captureURL, _, err := s.glance(ctx, actor, request)
	return captureURL, err
}

// BodySize returns the size of a request's body, without reading the request.
func (s *Store) BodySize(ctx context.Context, actor hook.Actor, request hook.ID) (int64, error) {
	_, size, err := s.glance(ctx, actor, request)
	return size, err
}

func (s *Store) glance(ctx context.Context, actor hook.Actor, request hook.ID) (captureURL hook.ID, size int64, err error) {
	captureURL, err = queryOne(ctx, s.read, "request", func(row scanner) (id hook.ID, err error) {
		return id, row.Scan(&id, &size)
	}, "SELECT capture_url_id, body_size FROM requests WHERE id = $1", request)
	if err != nil {
		return 0, 0, err
	}
	u, err := s.visible(actor, captureURL)
	if err != nil || request <= u.clearedUpTo() {
		return 0, 0, notFound("request")
	}
	return captureURL, size, nil
}
