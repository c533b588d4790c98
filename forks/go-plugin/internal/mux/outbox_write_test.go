// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"fmt"
	"net"
	"testing"
)

// cutWriter takes a number of bytes of what it is given first, and all of what comes later.
type cutWriter struct {
	net.Conn // nil
	takes    int
	got      []byte
}

func (w *cutWriter) take(p []byte) int {
	n := min(len(p), w.takes)
	w.takes -= n
	w.got = append(w.got, p[:n]...)
	return n
}

func (w *cutWriter) writeSome(p []byte) (int, error) { return w.take(p), nil }
func (w *cutWriter) flush() error                    { return nil }
func (w *cutWriter) flushed() bool                   { return true }

// Write implements net.Conn.
func (w *cutWriter) Write(p []byte) (int, error) {
	w.got = append(w.got, p...)
	return len(p), nil
}

func (w *cutWriter) writeSomeOf(list [][]byte) (n int, err error) {
	for _, p := range list {
		took := w.take(p)
		if n += took; took < len(p) {
			break
		}
	}
	return n, nil
}

// TestGatherIsCutAnywhere has a connection take any number of bytes of what is gathered, with
// more pieces than go into one write. The rest follows, in order.
func TestGatherIsCutAnywhere(t *testing.T) {
	chain := func() (first *buffer, want []byte) {
		for i := range maxGathered + 4 {
			b := &buffer{of: &sending{of: new(sendings), buffer: newBuffer()}, next: first, data: fmt.Appendf(nil, "<%d>", i)}
			if i%3 == 0 {
				b.tail = []byte("tail")
			}
			if i == 7 {
				b.data = nil
			}
			want = append(append(bytes.Clone(b.data), b.tail...), want...)
			first = b
		}
		return first, want
	}
	_, all := chain()
	for takes := range len(all) + 1 {
		for name, write := range map[string]func(*outbox, *buffer) error{
			"at once": func(o *outbox, b *buffer) error {
				rest, n, err := o.writeSome(b)
				if err != nil || rest == nil {
					return err
				}
				return o.writeAll(rest, n)
			},
			"in the background": func(o *outbox, b *buffer) error { return o.writeAll(b, 0) },
		} {
			first, want := chain()
			w := &cutWriter{takes: takes}
			if err := write(&outbox{conn: w, socket: w, gather: w}, first); err != nil || !bytes.Equal(w.got, want) {
				t.Fatalf("%s, %d bytes taken: %v\n%q, want\n%q", name, takes, err, w.got, want)
			}
		}
	}
}
