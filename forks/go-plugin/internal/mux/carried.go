// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// AppendCarried appends what a request carries beside its method and arguments, as the
// frame of a request has it, and nothing if it carries nothing. An error says why it
// cannot be sent.
func (r *Request) AppendCarried(to []byte) ([]byte, error) {
	pairs, err := r.check()
	if err != nil || r.Timeout == 0 && len(pairs) == 0 {
		return to, err
	}
	b := buffer{data: to}
	b.carried(r.Timeout, pairs...)
	return b.data, nil
}

// Carried is what has come of a call with AppendCarried.
type Carried struct {
	timeout  time.Duration // zero: none
	metadata []byte        // keys and values in turn, each behind its length
}

var errCarriedCut = errors.New("what it carries is cut off")

// ReadCarried checks what has come. It keeps data.
func ReadCarried(data []byte) (c Carried, err error) {
	if len(data) == 0 {
		return Carried{}, nil
	}
	micros, n := binary.Uvarint(data)
	if n <= 0 {
		return Carried{}, errCarriedCut
	}
	data = data[n:]
	pairs, n := binary.Uvarint(data)
	if n <= 0 {
		return Carried{}, errCarriedCut
	}
	if pairs > maxPairs {
		return Carried{}, fmt.Errorf("it has %d pairs of metadata, at most %d are possible", pairs, maxPairs)
	}
	c = Carried{timeout: time.Duration(min(micros, maxTimeout)) * time.Microsecond, metadata: data[n:]}
	rest := c.metadata
	for range 2 * pairs {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return Carried{}, errCarriedCut
		}
		rest = rest[n+int(size):]
	}
	c.metadata = c.metadata[:len(c.metadata)-len(rest)] // what a later version adds is not read
	if len(c.metadata) > maxMetadata {
		return Carried{}, fmt.Errorf("it has %d bytes of metadata, at most %d are possible", len(c.metadata), maxMetadata)
	}
	return c, nil
}

// Context gives a context with what has come: the incoming metadata, and the deadline. The
// caller calls cancel.
func (c Carried) Context(ctx context.Context) (carrying context.Context, cancel context.CancelFunc) {
	ctx = incoming(ctx, c.metadata)
	if c.timeout > 0 {
		return context.WithTimeout(ctx, c.timeout)
	}
	return context.WithCancel(ctx)
}
