package web

import (
	"sync"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// tries bounds the tests of targets, the dry runs and the counts of replays that are under way: the first wait for somebody
// else's server, the others read many requests, and nobody needs several at once. The zero value is ready.
type tries struct {
	mu    sync.Mutex
	users map[hook.ID]struct{}
}

// begin lets a user try something out, or refuses it. The caller calls done at its end.
func (t *tries) begin(user hook.ID) (done func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.users[user]; busy {
		return nil, hook.LimitTries.Errorf(hook.RateLimited, "A test, a dry run or a count of yours is under way: wait until it is done.")
	}
	if len(t.users) >= hook.MaxTries {
		return nil, hook.LimitTries.Errorf(hook.RateLimited, "%d tests, dry runs and counts are under way on this server, and that is the most: try it "+
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
