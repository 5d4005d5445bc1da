package cli

import (
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestDescriptors: nobody is promised a descriptor that may be somebody else's.
func TestDescriptors(t *testing.T) {
	for limit, want := range map[int]descriptors{
		hook.MinDescriptors: {conns: 491, sockets: 981, idle: 512},
		20_000:              {conns: 5840, sockets: hook.MaxSockets, idle: egress.MaxIdle},
		1 << 20:             {conns: hook.MaxConns, sockets: hook.MaxSockets, idle: egress.MaxIdle},
	} {
		got := divide(limit)
		if got != want {
			t.Errorf("of %d: %+v, want %+v", limit, got, want)
		}
		if sum := got.conns + got.sockets + got.idle + hook.MaxSending + hook.DescriptorsKept; sum > limit {
			t.Errorf("of %d, %d are given away", limit, sum)
		}
		if got.scarce() != (limit < 1<<20) {
			t.Errorf("of %d: scarce is %v", limit, got.scarce())
		}
	}
}
