package hook

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrors(t *testing.T) {
	cause := Errorf(Conflict, "taken by %s: %w", "ann", io.EOF)
	wrapped := fmt.Errorf("store: %w", cause)
	if KindOf(wrapped) != Conflict || !Is(wrapped, Conflict) || Is(wrapped, NotFound) || !errors.Is(wrapped, io.EOF) {
		t.Errorf("%v is of kind %d", wrapped, KindOf(wrapped))
	}
	if KindOf(io.EOF) != Internal || !Is(io.EOF, Internal) || Is(nil, Internal) {
		t.Error("what is not ours is internal, and no error is of no kind")
	}
	e := &Error{Kind: Invalid, Message: "Wrong.", Fields: []FieldError{{"name", "is empty"}}, Err: io.EOF}
	if got, want := e.Error(), "Wrong.; name: is empty: EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
