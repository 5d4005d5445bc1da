package store

import (
	"encoding/binary"
	"errors"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// A header list is stored as its names and values one after another, each behind its length as an unsigned varint.

func appendHeaders(b []byte, headers []hook.Header) []byte {
	for _, h := range headers {
		b = binary.AppendUvarint(b, uint64(len(h.Name)))
		b = append(b, h.Name...)
		b = binary.AppendUvarint(b, uint64(len(h.Value)))
		b = append(b, h.Value...)
	}
	return b
}

var errHeaders = errors.New("a stored header list is damaged")

func decodeHeaders(b []byte) ([]hook.Header, error) {
	var headers []hook.Header
	for len(b) > 0 {
		name, rest, err := cutString(b)
		if err != nil {
			return nil, err
		}
		value, rest, err := cutString(rest)
		if err != nil {
			return nil, err
		}
		headers = append(headers, hook.Header{Name: name, Value: value})
		b = rest
	}
	return headers, nil
}

func cutString(b []byte) (string, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, errHeaders
	}
	b = b[size:]
	return string(b[:n]), b[n:], nil
}
