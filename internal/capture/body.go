package capture

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

var (
	errTooLarge = errors.New("the body is over the limit")
	errBudget   = errors.New("too many bytes are in flight")
)

// firstRead is the buffer that a body begins with; what is announced beyond it is charged and made as it arrives.
const firstRead = 4 << 10

// answerTime is how long an answer may take once the body is there: the longest delay, and what a sender needs to read it.
const answerTime = hook.MaxResponseDelay + 35*time.Second

// readBody reads a body to its end. It returns errTooLarge, errBudget, or what cut the body off; only a nil error means
// that the whole body is there.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, c *charge) ([]byte, error) {
	switch n := r.ContentLength; {
	case n == 0:
		return nil, nil
	case n > h.MaxBody:
		return nil, errTooLarge
	case n > 0 && n <= firstRead:
		return readExact(r.Body, int(n), c) // the server's own time limit is enough for it
	default:
		return h.readLarge(w, r, c)
	}
}

// readExact reads a body of a known length that is not worth growing for.
func readExact(body io.Reader, n int, c *charge) ([]byte, error) {
	if !c.grow(int64(n)) {
		return nil, errBudget
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(body, buf); err != nil {
		return nil, err
	}
	return buf, nil
}

// readLarge reads a body in growing steps, each paid for before it is taken, and gives the sender time by how much it
// has sent.
func (h *Handler) readLarge(w http.ResponseWriter, r *http.Request, c *charge) ([]byte, error) {
	control := http.NewResponseController(w)
	start := time.Now()
	defer func() { _ = control.SetWriteDeadline(time.Now().Add(answerTime)) }() // the server's own limit began with the head
	var buf []byte
	size := int64(firstRead)
	for {
		allowed := hook.BodyTimeout + time.Duration(len(buf)+1)*time.Second/hook.BodyRate
		if err := control.SetReadDeadline(start.Add(allowed)); err != nil {
			return nil, err
		}
		if len(buf) == cap(buf) {
			size = min(size, h.MaxBody+1-int64(len(buf)))
			if !c.grow(size) {
				return nil, errBudget
			}
			buf = append(make([]byte, 0, len(buf)+int(size)), buf...)
			size *= 2
		}
		n, err := r.Body.Read(buf[len(buf):min(cap(buf), len(buf)+hook.BodyRate)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > h.MaxBody:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}
