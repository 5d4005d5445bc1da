package web

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// reading bounds the memory of captured bodies that answers are made of, which strangers have chosen the size of. Whoever
// would exceed hook.MaxBodiesRead waits, and is sent away after hook.BodiesReadWait. Small bodies are not counted.
type reading struct{ free *semaphore.Weighted }

func newReading() reading { return reading{semaphore.NewWeighted(hook.MaxBodiesRead)} }

// wait takes room for a body until done is called, once it is out of use. A body larger than all the room is read alone.
func (b reading) wait(ctx context.Context, size int64) (done func(), err error) {
	if size <= hook.SmallBody {
		return func() {}, nil
	}
	size = min(size, hook.MaxBodiesRead)
	limited, cancel := context.WithTimeout(ctx, hook.BodiesReadWait)
	defer cancel()
	switch err := b.free.Acquire(limited, size); {
	case err == nil:
		return func() { b.free.Release(size) }, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, hook.Errorf(hook.Unavailable, "Too many large requests are being read at the same time. Try again.")
}

// wholeRequest reads a request with its body. There is room for it until done is called, which is to be done whatever err is.
func (s *Server) wholeRequest(r *http.Request, id hook.ID) (q *hook.Request, done func(), err error) {
	summary, err := s.Store.Summary(r.Context(), actor(r), id)
	if err != nil {
		return nil, func() {}, err
	}
	if done, err = s.reading.wait(r.Context(), summary.BodySize); err != nil {
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

// bodyPiece is how much of a body is encoded at a time.
const bodyPiece = 32 << 10

// writeWithBody answers with a document that gets the members body and body_base64. The body is written in pieces: one string
// of the encoder would be up to six times as large as the body, in memory, and twice while it grows.
func writeWithBody(w http.ResponseWriter, doc requestJSON, body []byte) error {
	data, err := json.Marshal(doc, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, bodyPiece) // it keeps its first error
	_, _ = out.Write(data[:len(data)-1])
	if utf8.Valid(body) {
		_, _ = out.WriteString(`,"body":"`)
		quoteText(out, body)
		_, _ = out.WriteString(`","body_base64":null}` + "\n")
	} else {
		_, _ = out.WriteString(`,"body":null,"body_base64":"`)
		writeBase64(out, body)
		_, _ = out.WriteString(`"}` + "\n")
	}
	if out.Flush() != nil {
		panic(http.ErrAbortHandler) // the reader has left
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
