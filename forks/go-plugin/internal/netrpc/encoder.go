// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// pairEncoder encodes headers and bodies in turn into one gob stream, as net/rpc
// does. A body that cannot be encoded leaves nothing in the stream but
// descriptions of types, which the other side takes in wherever they come.
type pairEncoder struct {
	enc *gob.Encoder
	// out is what is to be sent. Its owner takes it.
	out  []byte
	body []byte
	to   *[]byte // where enc writes: out or body
	last int     // where in it the last message of gob begins

	max    int          // bytes of a body; zero: any number
	trial  *gob.Encoder // see tryOut
	tried  int          // bytes that it has written
	nested mux.NestedTypes
	broken error
}

// newPairEncoder returns an encoder. The sample is any header: its type is
// described before a body can use the same. No body has more than max bytes, if
// that is not zero.
func newPairEncoder(sample any, max int) *pairEncoder {
	e := &pairEncoder{nested: make(mux.NestedTypes), max: max}
	e.enc = gob.NewEncoder((*pairWriter)(e))
	e.to = &e.out
	_ = e.enc.Encode(sample) // The headers of net/rpc always encode.
	e.out = e.out[:e.last]
	return e
}

// pairWriter is where gob writes: each message with one call.
type pairWriter pairEncoder

func (w *pairWriter) Write(p []byte) (int, error) {
	w.last = len(*w.to)
	*w.to = append(*w.to, p...)
	return len(p), nil
}

var errGobOutOfStep = errors.New("a value could be encoded once, but not twice")

// add appends a header and a body to out. Neither is there after an error.
func (e *pairEncoder) add(header, body any) error {
	if e.broken != nil {
		return e.broken
	}
	e.to, e.body = &e.body, e.body[:0]
	nested := e.nested.Has(reflect.TypeOf(body))
	if nested {
		if err := e.tryOut(body); err != nil {
			return err
		}
	}
	err := mux.Encode(e.enc, body)
	switch {
	case err != nil && nested:
		// Half of the value is there.
		e.broken = fmt.Errorf("%w: %w", errGobOutOfStep, err)
		return err
	case err == nil && !nested:
		if err = e.fits(len(e.body)); err != nil {
			e.body = e.body[:e.last] // the descriptions of types stay
		}
	}
	if err == nil {
		e.to = &e.out
		err = mux.Encode(e.enc, header)
	}
	e.out = append(e.out, e.body...)
	if cap(e.body) > streamBuffer {
		e.body = nil
	}
	return err
}

// tryOut encodes a value that holds interfaces, to nowhere. The types of what
// they hold are described within the value, which gob writes in pieces: if its
// encoding failed half way, some would be written already, and the other side out
// of step for as long as the stream lasts.
func (e *pairEncoder) tryOut(body any) error {
	if e.trial == nil {
		e.trial = gob.NewEncoder(countingWriter{&e.tried})
	}
	e.tried = 0
	err := mux.Encode(e.trial, body)
	if err == nil {
		err = e.fits(e.tried)
	}
	if err != nil {
		e.trial = nil
	}
	return err
}

// fits says whether a body of that many bytes may be sent.
func (e *pairEncoder) fits(size int) error {
	if e.max > 0 && size > e.max {
		return &mux.TooLargeError{Size: uint64(size), Max: uint64(e.max)}
	}
	return nil
}

// countingWriter counts what is written, and drops it.
type countingWriter struct{ n *int }

func (w countingWriter) Write(p []byte) (int, error) {
	*w.n += len(p)
	return len(p), nil
}

// writeTo writes what was added.
func (e *pairEncoder) writeTo(conn io.Writer) error {
	_, err := conn.Write(e.out)
	e.out = e.out[:0]
	if cap(e.out) > streamBuffer {
		e.out = nil
	}
	return err
}
