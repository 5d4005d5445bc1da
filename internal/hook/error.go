package hook

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in the terms of whoever asked. The web turns it into a status in one place.
type Kind int

// The kinds of errors. Anything that is not an *Error is Internal.
const (
	Internal        Kind = iota // a fault of ours; the message is for the log only
	Malformed                   // cannot be read at all: broken JSON, an unknown field
	Invalid                     // can be read and breaks a rule
	Unauthorized                // no valid login or token
	Forbidden                   // known, and not allowed
	NotFound                    // is not there, or belongs to somebody else
	Conflict                    // clashes with what is there
	TooLarge                    // over a limit of size
	UnsupportedType             // a content type we do not read
	Misdirected                 // a host name we do not answer to
	RateLimited                 // too many; later again
	Unavailable                 // cannot be done now; later again
)

// FieldError is a mistake in one field of a form or a JSON document.
type FieldError struct {
	Location string // where: "name", "response.headers[2].value"
	Message  string // what is wrong and what to do, for the user; never repeats the input
}

// Error is an error with two texts: Message is what the user may read, Err what the log must know.
type Error struct {
	Kind    Kind
	Limit   Limit // that was met, when it was one
	Message string
	Fields  []FieldError
	Err     error
}

// Error returns the text for the log: the message, the fields and the cause.
func (e *Error) Error() string {
	text := e.Message
	for _, f := range e.Fields {
		text += fmt.Sprintf("; %s: %s", f.Location, f.Message)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error of the kind with a message for the user. A %w in the format is kept as the cause but its text
// is part of the message: wrap only what the user may read.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), Err: errors.Unwrap(err)}
}

// KindOf returns the kind of err, Internal when it is not one of ours.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// invalid gathers the mistakes of one document.
type invalid []FieldError

func (v *invalid) add(location, format string, args ...any) {
	*v = append(*v, FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}

func (v invalid) err() error {
	if len(v) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Message: "Some of the values cannot be used.", Fields: v}
}
