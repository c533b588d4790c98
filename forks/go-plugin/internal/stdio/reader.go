// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"io"
)

// Reader reads one channel of a hub as a stream of bytes. One goroutine at a time may
// read.
type Reader struct {
	sub  *Subscription
	rest []byte
}

var (
	_ io.ReadCloser = (*Reader)(nil)
	_ io.WriterTo   = (*Reader)(nil)
)

// Read blocks until there is output; io.EOF after Close, or when the hub was
// closed and everything was read.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		c, err := r.sub.Next(context.Background())
		if err != nil {
			return 0, err
		}
		r.rest = c.Data
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo writes the stream to w, chunk by chunk and without a copy, until it
// ends or w fails.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if len(r.rest) == 0 {
			c, err := r.sub.Next(context.Background())
			if err == io.EOF {
				return total, nil
			}
			if err != nil {
				return total, err
			}
			r.rest = c.Data
		}
		n, err := w.Write(r.rest)
		total += int64(n)
		r.rest = r.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// Finish ends the stream after what the process has written by now. It waits for
// that to come, but no longer than ctx.
func (r *Reader) Finish(ctx context.Context) { r.sub.Finish(ctx) }

// Settled is that of the subscription. What Read has returned counts as passed on
// when all of its chunk was read and Read is called again.
func (r *Reader) Settled() bool { return r.sub.Settled() }

// Sync is that of the subscription.
func (r *Reader) Sync(ctx context.Context) error { return r.sub.Sync(ctx) }

// Close ends the stream; a waiting Read returns io.EOF. It returns nil.
func (r *Reader) Close() error {
	r.sub.Close()
	return nil
}
