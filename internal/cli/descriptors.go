package cli

import (
	"fmt"
	"syscall"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// descriptors is who may have how many of the files and sockets that the process may open. What is left over is for the
// database, the name server and the admin who looks why everything else is refused.
type descriptors struct {
	conns   int // from senders and to the dashboard
	sockets int // live views
	idle    int // kept open to targets, beside those in use
}

// openFiles raises the limit of the process as far as it may go and divides it up. Too low a limit is an error: everything
// would be refused as soon as there is something to do.
func openFiles() (descriptors, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return descriptors{}, fmt.Errorf("the limit of open files cannot be read: %w", err)
	}
	if limit.Cur < limit.Max { // Go has done so at its start, and stopped one short
		raised := limit
		raised.Cur = raised.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	if limit.Cur < hook.MinDescriptors {
		return descriptors{}, fmt.Errorf("this process may open %d files and connections, and needs %d: raise the limit, with "+
			"ulimit -n %d in the shell that starts it, LimitNOFILE=%d in its systemd unit, or --ulimit nofile=%d for a container",
			limit.Cur, hook.MinDescriptors, 16*hook.MinDescriptors, 16*hook.MinDescriptors, 16*hook.MinDescriptors)
	}
	return divide(int(min(limit.Cur, 1<<30))), nil
}

// divide gives live views two thirds of what deliveries leave, and connections the rest, up to the limits of each.
func divide(limit int) (d descriptors) {
	d.idle = min(egress.MaxIdle, limit/8)
	left := limit - hook.DescriptorsKept - hook.MaxSending - d.idle
	d.sockets = min(hook.MaxSockets, left*2/3)
	d.conns = min(hook.MaxConns, left-d.sockets)
	return d
}

// scarce reports whether the limits cannot all be reached.
func (d descriptors) scarce() bool { return d.conns < hook.MaxConns || d.sockets < hook.MaxSockets }
