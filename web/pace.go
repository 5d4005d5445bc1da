package web

import (
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// paced writes an answer that is held in memory for as long as it is read. Its reader gets the time that a sender gets for a
// body, by how much of it has been read, and loses the connection when hook.ReadPause has passed and nothing more could be written:
// no one limit for the whole of it would do for both who reads slowly and who does not read.
type paced struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	began time.Time
	n     int64 // bytes that were written, or are being
}

// inPace returns where an answer is written that begins now. The limits of the server's own do not count for it any more.
func inPace(w http.ResponseWriter) io.Writer {
	return &paced{w: w, conn: http.NewResponseController(w), began: time.Now()}
}

func (p *paced) Write(data []byte) (n int, err error) {
	for piece := range slices.Chunk(data, bodyPiece) {
		p.extend(len(piece))
		written, err := p.w.Write(piece)
		n += written
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// extend gives the reader time for n more bytes. What waits in the buffers of the system counts as read: without the second
// limit, who reads a few bytes of it from time to time would have the time that was given for all of it.
func (p *paced) extend(n int) {
	p.n += int64(n)
	now := time.Now()
	deadline := p.began.Add(hook.BodyTimeout + time.Duration(p.n)*time.Second/hook.BodyRate)
	if longest := now.Add(hook.ReadPause); deadline.After(longest) {
		deadline = longest
	}
	_ = p.conn.SetWriteDeadline(deadline) // not supported by a recorder, which waits for nobody
	// net/http reads on, to notice who leaves; were its time over, whatever is asked next on the connection would be cancelled.
	_ = p.conn.SetReadDeadline(now.Add(exchangeTimeout))
}
