package web

import "time"

const (
	// acceptPause is how long nobody must have connected until no more is accepted: what the kernel has accepted by then would
	// be reset.
	acceptPause = 25 * time.Millisecond
	drainTime   = time.Second            // for accepting, and again for answering what has been accepted
	idleTime    = 250 * time.Millisecond // of it, for connections that were used before
)

// Drain accepts who has connected already and then nobody else, and waits until each new connection has had its answer: a
// server that is shut down drops the requests that it reads from then on. Those that were used before have a moment to
// send one that gets a clear answer and an end.
func (c *Conns) Drain() {
	c.listener.last.Store(time.Now().Add(drainTime).UnixNano())
	if err := c.listener.acceptSoon(); err != nil {
		_ = c.listener.Close()
	}
	<-c.listener.closed
	tick := time.NewTicker(acceptPause)
	defer tick.Stop()
	for began := time.Now(); c.busy(time.Since(began)); {
		<-tick.C
	}
}

// busy reports whether connections are to be waited for, after so long.
func (c *Conns) busy(waited time.Duration) bool {
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	return open > 0 && waited < drainTime && (waited < idleTime || c.fresh.Load() > 0)
}

// goOn closes the listener when nobody has come twice in a row, or end has passed: a deadline that is over hides who came just
// then, so one more look is taken. It reports whether the listener is still open.
func (l *limited) goOn(end time.Time, err error) bool {
	l.quiet++
	if err == nil {
		l.quiet = 0
	}
	if l.quiet < 2 && time.Now().Before(end) && l.acceptSoon() == nil || err == nil {
		return true
	}
	_ = l.Close()
	close(l.closed)
	return false
}

// acceptSoon lets Accept fail when nobody comes for acceptPause.
func (l *limited) acceptSoon() error {
	timed, ok := l.Listener.(interface{ SetDeadline(t time.Time) error })
	if !ok {
		return l.Close()
	}
	return timed.SetDeadline(time.Now().Add(acceptPause))
}
