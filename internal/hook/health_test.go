package hook

import (
	"testing"
	"time"
)

// TestHeldWhy: how often a target is probed is said in words.
func TestHeldWhy(t *testing.T) {
	for pause, want := range map[time.Duration]string{
		FirstProbe: "every 30 seconds", 2 * FirstProbe: "every minute", LastProbe: "every 10 minutes",
		90 * time.Second: "every 90 seconds", time.Second: "every second", 2 * time.Hour: "every 2 hours",
	} {
		s := SubscriptionStatus{Health: Health{DownSince: time.Unix(0, 0), ProbeWait: pause}}
		if got := s.HeldWhy(); got != "target down since 1970-01-01 00:00 UTC, probed "+want {
			t.Errorf("%v: %q, want %q", pause, got, want)
		}
	}
}

// TestInTrouble: what a list shows as failing, waiting for its target, down or disabled is in trouble; what people paused is not.
func TestInTrouble(t *testing.T) {
	now := time.Unix(1e9, 0)
	var failing Health
	failing.FailedAttempt(1, "answered 500", now, false)
	quiet, down, back := failing, failing, failing
	quiet.QuietUntil, down.DownSince = now.Add(time.Minute), now
	back.Succeeded(now)
	for name, c := range map[string]struct {
		status SubscriptionStatus
		want   bool
	}{
		"new":                   {SubscriptionStatus{}, false},
		"failing":               {SubscriptionStatus{Health: failing}, true},
		"asked for a pause":     {SubscriptionStatus{Health: quiet}, true},
		"down":                  {SubscriptionStatus{Health: down}, true},
		"back":                  {SubscriptionStatus{Health: back}, false},
		"paused while it fails": {SubscriptionStatus{Health: failing, Subscription: Subscription{Hold: Hold{Paused: true}}}, false},
		"disabled":              {SubscriptionStatus{Subscription: Subscription{Hold: Hold{Disabled: true, Paused: true}}}, true},
	} {
		if got := c.status.InTrouble(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
