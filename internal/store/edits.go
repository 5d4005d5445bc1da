package store

import (
	"encoding/json"
	"fmt"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// editJSON is how an edited copy is stored.
type editJSON struct {
	Method  string       `json:"method"`
	Path    []byte       `json:"path"`
	Query   []byte       `json:"query"`
	Headers []headerJSON `json:"headers"`
	Body    []byte       `json:"body"` // null = the request's
}

func encodeEdit(e *hook.Edit) []byte {
	if e == nil {
		return []byte{}
	}
	doc := editJSON{Method: e.Method, Path: []byte(e.Path), Query: []byte(e.Query), Body: e.Body}
	for _, h := range e.Headers {
		doc.Headers = append(doc.Headers, headerJSON{h.Name, []byte(h.Value)})
	}
	return []byte(encodeJSON(doc))
}

func decodeEdit(b []byte) (*hook.Edit, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var doc editJSON
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("an edited copy is damaged: %w", err)
	}
	e := &hook.Edit{Method: doc.Method, Path: string(doc.Path), Query: string(doc.Query), Body: doc.Body}
	for _, h := range doc.Headers {
		e.Headers = append(e.Headers, hook.Header{Name: h.Name, Value: string(h.Value)})
	}
	return e, nil
}
