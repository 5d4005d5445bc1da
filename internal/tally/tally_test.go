package tally

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestOfURL: each capture URL has its own rows, the reason that was met last on top; and few of them are remembered.
func TestOfURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counts Tally
		for _, limit := range []hook.Limit{hook.LimitRate, hook.LimitPaused, hook.LimitRate} {
			time.Sleep(time.Minute)
			counts.CountURL(1, limit)
		}
		counts.CountURL(2, hook.LimitFull)
		now := time.Now()
		want := []URLRow{{Row{hook.LimitRate, 2}, now}, {Row{hook.LimitPaused, 1}, now.Add(-time.Minute)}}
		if diff := cmp.Diff(want, counts.OfURL(1)); diff != "" {
			t.Error(diff)
		}
		all := []Row{{hook.LimitRate, 2}, {hook.LimitPaused, 1}, {hook.LimitFull, 1}}
		if diff := cmp.Diff(all, counts.Rows()); diff != "" {
			t.Error(diff)
		}
		for url := range hook.ID(mostURLs) {
			counts.CountURL(url+10, hook.LimitRate)
		}
		if n := len(counts.urls); n > mostURLs {
			t.Errorf("%d capture URLs are remembered", n)
		}
		if got := counts.OfURL(mostURLs + 9); len(got) != 1 {
			t.Errorf("of the last one: %v", got)
		}
	})
}
