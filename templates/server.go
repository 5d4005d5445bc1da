package templates

import (
	"time"

	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// ServerView is what an operator sees of the server; sizes are bytes.
type ServerView struct {
	Version  string
	Started  time.Time
	Degraded string // why requests cannot be stored, "" when they can
	Warning  string // what may come to that, "" when nothing
	Memory   int64
	Sockets  int // live views that are open
	Database int64
	WAL      int64
	Unused   int64
	Free     int64 // on the volume, of Volume
	Volume   int64
	Reserve  int64
	Requests int64
	Waiting  int64
	Refused  []tally.Row
}
