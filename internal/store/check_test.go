package store_test

import (
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// TestCheckFindsWrongCounts changes what has to fit together, behind the store's back.
func TestCheckFindsWrongCounts(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"UPDATE capture_url_stats SET kept = kept + 1":                                                   "counts 4 requests",
		"UPDATE capture_url_stats SET bytes = bytes - 1":                                                 "bytes, and there are 3 with",
		"UPDATE subscription_stats SET unfinished = 7":                                                   "counts 7 unfinished deliveries, and there are 2",
		"UPDATE deliveries SET state = 4 WHERE id = (SELECT max(id) FROM deliveries)":                    "counts 2 unfinished deliveries, and there are 1",
		"UPDATE deliveries SET request_id = 5 WHERE state < 2 AND id = (SELECT max(id) FROM deliveries)": "its request 5 is gone",
		"INSERT INTO attempts SELECT 5, number, origin, made_by, started_at, duration, dns, connect, tls_handshake, first_byte, remote_addr, " +
			"tls, status, error, method, url, request_headers, response_headers, response_body, response_truncated FROM attempts": "delivery 5, which is gone",
	} {
		path, key := newPath(t), seal.NewKey()
		open := func() *store.Store { return storetest.Open(t, store.Options{Path: path, Key: key}) }
		s := open()
		u := storetest.CaptureURL(t, s)
		sub := storetest.Subscription(t, s, u.ID)
		for range 3 {
			route(t, s, u.ID, sub.ID)
		}
		_, err := s.Record(t.Context(), store.Turn{
			Results: []store.Result{result(claim(t, s, sub.ID)[0], 200, hook.Next{State: hook.Succeeded})},
		})
		must(t, err)
		wantCheck(t, s, "before", "")
		closeStore(t, s)
		db := openRaw(t, path)
		exec(t, db, change)
		must(t, db.Close())
		wantCheck(t, open(), change, want)
	}
}
