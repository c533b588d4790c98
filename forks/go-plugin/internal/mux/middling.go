// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"io"
	"unsafe"
)

// A text, or bytes, that is too long to be looked at in the buffer of the connection, and short
// enough for one frame, is read to where it shall be. gob would read it to memory of its own
// first, and keep that.

// decodeMiddling decodes what is left of the message into what into points to, if it is such a
// value and as into wants it, and reads until it has come. Otherwise it reports false and has
// taken nothing: gob has to judge.
func (in *inbox) decodeMiddling(into any) (done bool, err error) {
	if in.left <= shortRead {
		return false, nil
	}
	kind, ok := plainTarget(into)
	if !ok {
		return false, nil
	}
	data, err := in.r.Peek(plainHead)
	if err != nil {
		return false, nil // It comes again.
	}
	head, n, ok := cutPlain(data, kind, in.left)
	if !ok {
		return false, nil
	}
	_, _ = in.r.Discard(head) // It is there.
	in.left -= head
	value := newValue(n)[:n]
	if _, err := io.ReadFull(in, value); err != nil {
		return true, err
	}
	giveValue(into, value)
	return true, nil
}

// decodeBody does so with a body that has come as a whole. If it is owned nobody else has it, and
// the value may be part of it.
func decodeBody(body []byte, owned bool, into any) bool {
	kind, ok := plainTarget(into)
	if !ok {
		return false
	}
	head, _, ok := cutPlain(body, kind, len(body))
	if !ok {
		return false
	}
	value := body[head:]
	if !owned {
		value = bytes.Clone(value)
	}
	giveValue(into, value)
	return true
}

// plainTarget gives what gob has for a value that into points to, if that is a text or bytes.
func plainTarget(into any) (kind string, ok bool) {
	switch to := into.(type) {
	case *string:
		return gobText, to != nil
	case *[]byte:
		return gobBytes, to != nil
	}
	return "", false
}

// giveValue makes value, which nobody else has, what into points to.
func giveValue(into any, value []byte) {
	switch to := into.(type) {
	case *string:
		*to = unsafe.String(unsafe.SliceData(value), len(value))
	case *[]byte:
		if cap(*to) >= len(value) { // As gob does.
			value = append((*to)[:0], value...)
		}
		*to = value
	}
}
