package cli

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestDescriptors: nobody is promised a descriptor that may be somebody else's.
func TestDescriptors(t *testing.T) {
	for limit, want := range map[int]descriptors{
		hook.MinDescriptors:   {limit: hook.MinDescriptors, conns: 491, sockets: 981, idle: 512},
		20_000:                {limit: 20_000, conns: 5840, sockets: hook.MaxSockets, idle: egress.MaxIdle},
		wantedDescriptors:     {limit: wantedDescriptors, conns: hook.MaxConns, sockets: hook.MaxSockets, idle: egress.MaxIdle},
		wantedDescriptors - 1: {limit: wantedDescriptors - 1, conns: hook.MaxConns - 1, sockets: hook.MaxSockets, idle: egress.MaxIdle},
		1 << 20:               {limit: 1 << 20, conns: hook.MaxConns, sockets: hook.MaxSockets, idle: egress.MaxIdle},
	} {
		got := divide(limit)
		if got != want {
			t.Errorf("of %d: %+v, want %+v", limit, got, want)
		}
		if sum := got.conns + got.sockets + got.idle + hook.MaxSending + hook.DescriptorsKept; sum > limit {
			t.Errorf("of %d, %d are given away", limit, sum)
		}
		if got.scarce() != (limit < wantedDescriptors) {
			t.Errorf("of %d: scarce is %v", limit, got.scarce())
		}
	}
}

// TestDescriptorsWarning: whoever reads it learns what there is, what would be enough, and how to get it.
func TestDescriptorsWarning(t *testing.T) {
	got := divide(20_000).warning()
	for _, word := range []string{"20000", "24160", "5840", "ulimit -n 65536", "LimitNOFILE=65536", "ulimits: {nofile: 65536}"} {
		if !strings.Contains(got, word) {
			t.Errorf("%q says nothing of %s", got, word)
		}
	}
}
