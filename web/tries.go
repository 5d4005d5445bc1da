package web

import (
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// tries bounds the tests of targets and the dry runs that are under way: the one waits for somebody else's server, the
// other reads many requests, and nobody needs several at once. The zero value is ready.
type tries struct {
	mu    sync.Mutex
	users map[hook.ID]struct{}
}

// begin lets a user try something out, or refuses it. The caller calls done at its end.
func (t *tries) begin(user hook.ID) (done func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.users[user]; busy {
		return nil, hook.LimitTries.Errorf(hook.RateLimited, "A test or a dry run of yours is under way: wait until it is done.")
	}
	if len(t.users) >= hook.MaxTries {
		return nil, hook.LimitTries.Errorf(hook.RateLimited, "%d tests and dry runs are under way on this server, and that is the most: try it "+
			"again in a moment.", hook.MaxTries)
	}
	if t.users == nil {
		t.users = map[hook.ID]struct{}{}
	}
	t.users[user] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.users, user)
	}, nil
}
