package templates

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestOneWord: what a subscription has not delivered yet has the same name in the list and on its page.
func TestOneWord(t *testing.T) {
	for word, hold := range map[string]hook.Hold{"Waiting": {}, "Held": {Paused: true}} {
		status := hook.SubscriptionStatus{Subscription: hook.Subscription{Hold: hold}, Counts: hook.DeliveryCounts{Unfinished: 3}}
		row := parse(t, subscriptionRow(Page{}, &status)).One(".when").Text()
		if row != "3 "+strings.ToLower(word) {
			t.Errorf("the list says %q, want %s", row, word)
		}
		found := false
		for _, dt := range parse(t, subscriptionSummary(Page{}, SubscriptionView{SubscriptionStatus: status})).All(".figures dt") {
			found = found || strings.TrimSpace(dt.Text()) == word
		}
		if !found {
			t.Errorf("the page does not say %s", word)
		}
	}
}
