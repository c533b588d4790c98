// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"io"
	"time"
)

// outputWait bounds how long the end of a session waits for what the plugin has
// written before: the plugin until it is on its way, the host until it was read.
const outputWait = 2 * time.Second

// finisher is a source of the plugin's output that can be brought to its end.
type finisher interface {
	// Finish makes it end after what the process has written by now. It may wait
	// for that, but no longer than ctx.
	Finish(ctx context.Context)
}

// outputReader is a goroutine that takes output until there is no more.
type outputReader struct{ done chan struct{} }

// readOutput starts one.
func readOutput(read func()) *outputReader {
	r := &outputReader{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		read()
	}()
	return r
}

// await waits until all was taken, or ctx ends. None has taken all.
func (r *outputReader) await(ctx context.Context) {
	if r == nil {
		return
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

// copyOutput copies all of src, and reads on when dst fails: who writes must not
// wait for a disk that is full. A stream whose connection has ended gives an
// error with every piece that it still holds.
func copyOutput(dst io.Writer, src io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && dst != nil {
			if _, failed := dst.Write(buf[:n]); failed != nil {
				dst = nil
			}
		}
		if n == 0 && err != nil {
			return
		}
	}
}
