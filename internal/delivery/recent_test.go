package delivery

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestRecentIsBounded: whatever part of a request is large, those that are kept stay within their limit.
func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 60<<10)
	for part, fill := range map[string]func(*hook.Request){
		"body":     func(r *hook.Request) { r.Body = []byte(large) },
		"path":     func(r *hook.Request) { r.Path = large },
		"query":    func(r *hook.Request) { r.Query = large },
		"headers":  func(r *hook.Request) { r.Headers = []hook.Header{{Name: "X-A", Value: large}} },
		"trailers": func(r *hook.Request) { r.Trailers = []hook.Header{{Name: large, Value: ""}} },
	} {
		var k recent
		for id := range hook.ID(1000) {
			r := &hook.Request{Summary: hook.Summary{ID: id + 1}, Routes: []hook.Route{{Subscription: 1, Refused: hook.Delivered}}}
			fill(r)
			k.keep([]*hook.Request{r})
		}
		if n := len(k.requests); n == 0 || n > recentBytes/len(large) {
			t.Errorf("%d requests with a large %s are kept, which is %d bytes", n, part, n*len(large))
		}
	}
}
