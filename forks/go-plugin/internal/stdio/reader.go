// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"io"
)

// Reader reads a [Stream] as bytes, in one goroutine at a time. What Read has returned
// counts as passed on when all of its chunk was read and Read is called again.
type Reader struct {
	Stream
	rest []byte
}

var (
	_ io.ReadCloser = (*Reader)(nil)
	_ io.WriterTo   = (*Reader)(nil)
)

// Read blocks until there is output; io.EOF after Close, or when there is no
// more.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes the stream to w, chunk by chunk and without a copy, until it
// ends or w fails.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for r.fill() == nil {
		n, err := w.Write(r.rest)
		total += int64(n)
		r.rest = r.rest[n:]
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// fill waits for the next chunk if all of the last was read. It fails with io.EOF alone.
func (r *Reader) fill() error {
	if len(r.rest) > 0 {
		return nil
	}
	c, err := r.Next(context.Background())
	r.rest = c.Data
	return err
}

// Close ends the stream; a waiting Read returns io.EOF. It returns nil.
func (r *Reader) Close() error {
	r.Stream.Close()
	return nil
}
