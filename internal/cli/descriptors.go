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
	limit   int // of all
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
		return descriptors{}, fmt.Errorf("this process may open %d files and connections, and needs %d: %s", limit.Cur, hook.MinDescriptors, howToRaise)
	}
	return divide(int(min(limit.Cur, 1<<30))), nil
}

// divide gives live views two thirds of what deliveries leave, and connections the rest, up to the limits of each.
func divide(limit int) (d descriptors) {
	d.limit = limit
	d.idle = min(egress.MaxIdle, limit/8)
	left := limit - hook.DescriptorsKept - hook.MaxSending - d.idle
	d.sockets = min(hook.MaxSockets, left*2/3)
	d.conns = min(hook.MaxConns, left-d.sockets)
	return d
}

// wantedDescriptors is the lowest limit at which all limits of ours can be reached.
const wantedDescriptors = hook.DescriptorsKept + hook.MaxSending + egress.MaxIdle + hook.MaxSockets + hook.MaxConns

const howToRaise = "raise the limit, with ulimit -n 65536 in the shell that starts it, LimitNOFILE=65536 in its systemd unit, " +
	"--ulimit nofile=65536 for a container, or ulimits: {nofile: 65536} in compose.yaml"

// warning says what a low limit costs, and what can be done about it.
func (d descriptors) warning() string {
	return fmt.Sprintf("this process may open %d files and connections, and %d would be enough for everything: it takes %d connections "+
		"of %d and %d live views of %d; %s", d.limit, wantedDescriptors, d.conns, hook.MaxConns, d.sockets, hook.MaxSockets, howToRaise)
}

// scarce reports whether the limits cannot all be reached.
func (d descriptors) scarce() bool { return d.conns < hook.MaxConns || d.sockets < hook.MaxSockets }
