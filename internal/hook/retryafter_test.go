package hook

import (
	"testing"
	"time"
)

// FuzzRetryAfter: whatever a target says, the pause is within its bounds.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"0", "-1", "1e99", "120", "99999999999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct", "Mon, 01 Jan 0001 00:00:00 GMT", " 5 "} {
		f.Add(value)
	}
	now := time.Date(2026, 10, 21, 7, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		pause, ok := ParseRetryAfter(value, now)
		if ok && (pause < MinRetryAfter || pause > MaxRetryAfter) {
			t.Errorf("%q is a pause of %v", value, pause)
		}
	})
}
