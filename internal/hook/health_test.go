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
