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

// refusalWords say which limit a status of a surface stands for.
var refusalWords = map[tally.Surface]map[int]string{
	tally.Captures: {
		400: "malformed, too long a method, or a body that did not arrive whole or in time", 403: "a page of the dashboard tried to run an answer",
		404: "no capture URL at the address", 413: "body over the limit: noted without it", 414: "path and query too long",
		429: "over the rate of the capture URL", 431: "too many header or trailer lines", 503: "paused, full, draining, too many bytes in flight, or the disk",
		508: "passed on in a circle",
	},
	tally.Dashboard: {
		401: "live view without a login", 403: "cross-site, or not allowed", 413: "form too large", 421: "unknown host name", 429: "too many logins or live views",
		500: "a fault of ours: the log has it", 503: "cannot be done now",
	},
	tally.API: {
		401: "no valid token", 403: "not allowed", 413: "body too large", 421: "unknown host name", 429: "too many wrong tokens", 500: "a fault of ours: the log has it",
		503: "cannot be done now",
	},
	tally.Deliveries:  {0: "put off for a fault of this server: a file that could not be read, or no descriptor, port or memory; the log has it"},
	tally.Connections: {0: "closed: too many are open, in all or from one address"},
}

func refusalText(row tally.Row) string {
	if words := refusalWords[row.Surface][row.Status]; words != "" {
		return words
	}
	return "refused"
}
