package cli

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAlarm: what comes and goes is told once, and that it is over when it is.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		a := &alarm{tell: func(message string) { told = append(told, message) }}
		a.set("")
		for range 10 {
			a.set("failing")
			time.Sleep(10 * time.Second)
			a.set("")
			time.Sleep(steadyFor - time.Second)
		}
		a.set("damaged")
		time.Sleep(2 * steadyFor)
		a.set("")
		time.Sleep(2 * steadyFor)
		a.set("failing")
		if diff := cmp.Diff([]string{"failing", "damaged", "", "failing"}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
