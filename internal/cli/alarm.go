package cli

import (
	"sync"
	"time"
)

// steadyFor is how long all has to be well until that is told.
const steadyFor = time.Minute

// alarm tells at once that something is wrong, and that it is over when it has been for a while: what comes and goes is told once.
type alarm struct {
	tell func(message string) // in words, "" when all is well

	mu   sync.Mutex
	told string
	over *time.Timer // until that is told; nil when it is not over, or has been told
}

// set notes what is wrong now, "" when nothing is.
func (a *alarm) set(message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over != nil {
		a.over.Stop()
		a.over = nil
	}
	switch {
	case message == a.told:
	case message != "":
		a.told = message
		a.tell(message)
	default:
		a.over = time.AfterFunc(steadyFor, a.allWell)
	}
}

func (a *alarm) allWell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over != nil {
		a.over, a.told = nil, ""
		a.tell("")
	}
}
