package web

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// reading bounds the memory of what answers are made of and strangers have chosen the size of: bodies that were captured, what
// targets answered to the attempts of a delivery, pages of a list. One user takes half of hook.MaxBodiesRead at most, so that
// nobody is shut out by the slow readers of another. Whoever would exceed that waits, and is sent away after hook.BodiesReadWait.
// What is small is not counted.
type reading struct {
	free   *semaphore.Weighted
	mu     sync.Mutex
	shares map[hook.ID]*share // by user; those that neither hold room nor wait for some are not there
}

// share is what one user may take.
type share struct {
	free *semaphore.Weighted
	in   int // requests that hold some or wait for it
}

func newReading() *reading {
	return &reading{free: semaphore.NewWeighted(hook.MaxBodiesRead), shares: map[hook.ID]*share{}}
}

// wait takes room for a body, for a user, until done is called, once it is out of use. A body larger than half of the room counts
// as half, and is the only one of its user: were it to count whole, one reader of it would shut out everybody.
func (b *reading) wait(ctx context.Context, user hook.ID, size int64) (done func(), err error) {
	if size <= hook.SmallBody {
		return func() {}, nil
	}
	limited, cancel := context.WithTimeout(ctx, hook.BodiesReadWait)
	defer cancel()
	done, err = b.take(limited, user, size)
	switch {
	case err == nil:
		return done, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, hook.Errorf(hook.Unavailable, "Too many large requests are being read at the same time. Try again.")
}

// take waits for the share of the user first: who waits for that stands in nobody's way.
func (b *reading) take(ctx context.Context, user hook.ID, size int64) (done func(), err error) {
	size = min(size, hook.MaxBodiesRead/2)
	own := b.enter(user)
	if err := own.free.Acquire(ctx, size); err != nil {
		b.leave(user, own)
		return nil, err
	}
	giveBack := func() {
		own.free.Release(size)
		b.leave(user, own)
	}
	if err := b.free.Acquire(ctx, size); err != nil {
		giveBack()
		return nil, err
	}
	return func() {
		b.free.Release(size)
		giveBack()
	}, nil
}

func (b *reading) enter(user hook.ID) *share {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.shares[user]
	if own == nil {
		own = &share{free: semaphore.NewWeighted(hook.MaxBodiesRead / 2)}
		b.shares[user] = own
	}
	own.in++
	return own
}

func (b *reading) leave(user hook.ID, own *share) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if own.in--; own.in == 0 {
		delete(b.shares, user)
	}
}

// wholeRequest reads a request with its body. There is room for it until done is called, which is to be done whatever err is.
func (s *Server) wholeRequest(r *http.Request, id hook.ID) (q *hook.Request, done func(), err error) {
	summary, err := s.Store.Summary(r.Context(), actor(r), id)
	if err != nil {
		return nil, func() {}, err
	}
	if done, err = s.reading.wait(r.Context(), user(r).ID, summary.BodySize); err != nil {
		return nil, func() {}, err
	}
	q, err = s.Store.Request(r.Context(), actor(r), id)
	return q, done, err
}

// ownWhole is wholeRequest of the request that the path names, when it belongs to the capture URL.
func (s *Server) ownWhole(r *http.Request, u templates.URLItem) (q *hook.Request, done func(), err error) {
	id, err := pathID(r, "rid", hook.RequestPrefix)
	if err != nil {
		return nil, func() {}, err
	}
	q, done, err = s.wholeRequest(r, id)
	if err == nil && q.CaptureURLID != u.ID {
		err = errNoPage
	}
	return q, done, err
}

// attempts reads the attempts of a delivery. There is room for them until done is called, which is to be done whatever err is.
func (s *Server) attempts(r *http.Request, id hook.ID) (attempts []hook.Attempt, done func(), err error) {
	size, err := s.Store.AttemptsSize(r.Context(), actor(r), id)
	if err != nil {
		return nil, func() {}, err
	}
	if done, err = s.reading.wait(r.Context(), user(r).ID, size); err != nil {
		return nil, func() {}, err
	}
	attempts, err = s.Store.Attempts(r.Context(), actor(r), id)
	return attempts, done, err
}

// readPage reads a page of a list, of whose rows strangers have chosen some of the size. Nearly every page is small. Of a large one,
// which shows when it has been read, nothing is kept until there is room, and then it is read again. There is room for it until
// done is called, which is to be done whatever err is.
func readPage[T any](s *Server, r *http.Request, read func() ([]T, error), size func(*T) int) (rows []T, done func(), err error) {
	found, err := read()
	total := int64(0)
	for i := range found {
		total += int64(size(&found[i]))
	}
	if err != nil || total <= hook.SmallBody {
		return found, func() {}, err
	}
	if done, err = s.reading.wait(r.Context(), user(r).ID, total); err != nil {
		return nil, func() {}, err
	}
	rows, err = read()
	return rows, done, err
}

// bodyPiece is how much of a body is encoded at a time, and how much of an answer a reader gets time for.
const bodyPiece = 32 << 10

// writePieces answers with a document of which the large parts are written in pieces: one string of the encoder would be up to
// six times as large as the body, in memory, and twice while it grows.
func writePieces(w http.ResponseWriter, status int, write func(out *bufio.Writer) error) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	out := bufio.NewWriterSize(inPace(w), bodyPiece) // it keeps its first error
	err := write(out)
	_ = out.WriteByte('\n')
	if err != nil || out.Flush() != nil {
		panic(http.ErrAbortHandler) // the reader has left; should we be at fault, half a document must not look whole
	}
	return nil
}

// writeOpen writes an object without its end.
func writeOpen(out *bufio.Writer, doc any) error {
	data, err := json.Marshal(doc, jsontext.AllowInvalidUTF8(true))
	if err == nil {
		_, _ = out.Write(data[:len(data)-1])
	}
	return err
}

// writeWithBody writes an object that gets two members more, of which one is null: the body as text, or as base64.
func writeWithBody(out *bufio.Writer, doc any, name string, body []byte) error {
	if err := writeOpen(out, doc); err != nil {
		return err
	}
	if utf8.Valid(body) {
		_, _ = out.WriteString(`,"` + name + `":"`)
		quoteText(out, body)
		_, _ = out.WriteString(`","` + name + `_base64":null}`)
	} else {
		_, _ = out.WriteString(`,"` + name + `":null,"` + name + `_base64":"`)
		writeBase64(out, body)
		_, _ = out.WriteString(`"}`)
	}
	return nil
}

// quoteText writes UTF-8 as what stands between the quotes of a JSON string.
func quoteText(out io.Writer, text []byte) {
	var quoted []byte
	for len(text) > 0 {
		end := min(bodyPiece, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		quoted, _ = jsontext.AppendQuote(quoted[:0], text[:end]) // fails with what is not UTF-8 only
		if _, err := out.Write(quoted[1 : len(quoted)-1]); err != nil {
			return
		}
		text = text[end:]
	}
}

func writeBase64(out io.Writer, data []byte) {
	enc := base64.NewEncoder(base64.StdEncoding, out)
	_, _ = enc.Write(data)
	_ = enc.Close()
}
