// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"testing"
	"testing/synctest"
	"time"
)

// slowWriter takes as long with every write as it is told.
type slowWriter struct {
	cutWriter
	each time.Duration
}

// Write implements net.Conn.
func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(w.each)
	return w.cutWriter.Write(p)
}

// A part counts once for the pace, however many writes it takes: one that was half gathered is
// no sign of a connection that is twice as fast.
func TestPartCountsOnce(t *testing.T) {
	const head = 10
	for name, test := range map[string]struct {
		size  int // of the part
		takes int // bytes of it that leave in the first write
		from  int // bytes of it that had left before
		each  time.Duration
		want  int
	}{
		"at once":             {size: 2 * partSize, takes: 3 * partSize, want: 2 * partSize},
		"half gathered":       {size: 2 * partSize, takes: partSize / 2, want: 2 * partSize},
		"not gathered":        {size: 2 * partSize, want: 2 * partSize},
		"half had left":       {size: 2 * partSize, from: partSize, want: 2 * partSize},
		"hardly any was left": {size: 2 * partSize, from: partSize + head + 1, want: partSize},
		"short":               {size: partSize - head - 1, want: partSize},
		"neither":             {size: partSize, each: time.Millisecond, want: partSize},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &slowWriter{cutWriter: cutWriter{takes: test.takes}, each: test.each}
				o := &outbox{conn: w, socket: w, gather: w, pace: pace{partSize}}
				part := &buffer{data: make([]byte, head), tail: make([]byte, test.size), of: &sending{of: new(sendings), buffer: newBuffer()}}
				if err := o.writeAll(part, test.from); err != nil {
					t.Fatal(err)
				}
				if got := o.pace.part(); got != test.want {
					t.Errorf("the next part has %d bytes, want %d", got, test.want)
				}
			})
		})
	}
}
