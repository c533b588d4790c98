// SPDX-License-Identifier: MPL-2.0

package mux

import (
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
	kind := gobBytes
	switch to := into.(type) {
	case *string:
		kind = gobText
		done = to != nil
	case *[]byte:
		done = to != nil
	}
	if !done {
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
	switch to := into.(type) {
	case *string:
		*to = unsafe.String(unsafe.SliceData(value), n)
	case *[]byte:
		if cap(*to) >= n {
			value = append((*to)[:0], value...)
		}
		*to = value
	}
	return true, nil
}
