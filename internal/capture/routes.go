package capture

import (
	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// routes asks the filter of each subscription whether it wants the request.
func routes(r *hook.Request, subscriptions []*hook.Subscription) []hook.Route {
	if len(subscriptions) == 0 {
		return nil
	}
	facts := filter.NewFacts(r, hook.FilterWork)
	all := make([]hook.Route, len(subscriptions))
	for i, sub := range subscriptions {
		all[i] = hook.Route{Subscription: sub.ID, Refused: facts.Match(&sub.Filter)}
	}
	return all
}
