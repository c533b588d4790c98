// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// maxPipe is more than any pipe holds, in bytes: the largest that Linux gives to users.
// What was in a pipe is read once that much was.
const maxPipe = 1 << 20

// Pipe is a pipe that one process writes to and reads itself. It knows whether
// something is in it, and can be brought to its end, which a plain pipe cannot: its
// read waits for more. All methods may be called from any goroutine; one Read at a time
// gets something.
type Pipe struct {
	// W is written to.
	W *os.File

	r         *os.File
	end       pipeEnd      // of r
	inFlight  InFlight     // bytes: read, and passed on
	held      atomic.Int64 // bytes that Read has returned last, if they were not passed on
	finishing atomic.Bool
	left      atomic.Int64 // of maxPipe, once finishing
	over      atomic.Bool  // r is read no more, and may be closed
}

// NewPipe makes a pipe. The caller closes it.
func NewPipe() (*Pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	end, err := newPipeEnd(r)
	if err != nil {
		return nil, errors.Join(err, r.Close(), w.Close())
	}
	p := &Pipe{W: w, r: r, end: end}
	p.left.Store(maxPipe)
	return p, nil
}

// Read waits for something that was written. It returns io.EOF when W was closed
// everywhere, or when everything was read that had been written before Finish. What
// it has returned counts as passed on when it is called again.
func (p *Pipe) Read(b []byte) (int, error) {
	p.Passed()
	for !p.finishing.Load() {
		n, err := p.read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // woken by Finish
		}
		if err != nil {
			p.stop()
		}
		return n, err
	}
	// The pipe may be written to without end.
	if left := p.left.Load(); left > 0 {
		if n := p.readWaiting(b[:min(len(b), int(left))]); n > 0 {
			p.left.Add(int64(-n))
			return n, nil
		}
	}
	p.stop()
	return 0, io.EOF
}

// Passed says that what Read has returned last was passed on, though the reader has
// not come for more.
func (p *Pipe) Passed() {
	if n := p.held.Swap(0); n > 0 {
		p.inFlight.Arrive(int(n))
	}
}

// stop is called by the reader, which gives nothing more.
func (p *Pipe) stop() {
	p.over.Store(true)
	p.inFlight.End()
}

// Finish makes Read return io.EOF after what was written by now. Where reads have
// no deadlines (Windows) it closes W.
func (p *Pipe) Finish(context.Context) {
	if !canWake {
		_ = p.W.Close() // The reader comes to the end of the pipe.
		return
	}
	p.finishing.Store(true)
	_ = p.r.SetReadDeadline(time.Unix(1, 0)) // wakes a Read that waits
}

// Close closes both ends.
func (p *Pipe) Close() error {
	err := p.W.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, p.closeRead())
}

func (p *Pipe) closeRead() error {
	p.over.Store(true)
	if err := p.r.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Pipes are the pipes that have taken the place of a process's standard output
// and error.
type Pipes []*Pipe

var _ Syncer = Pipes(nil)

// Settled reports whether all that was written to the pipes by now was read and
// passed on. It is quick enough to be asked before each answer: where nothing was
// written it costs one system call. On Windows, which has none for it, it is
// always true.
func (p Pipes) Settled() bool {
	if p.holdAny() {
		return false
	}
	// What a pipe no longer holds is counted.
	for _, pipe := range p {
		if !pipe.inFlight.Settled() {
			return false
		}
	}
	return true
}

// Sync waits until all that this process has written to the pipes by now was read
// and passed on. When ctx ends first, its cause is returned.
func (p Pipes) Sync(ctx context.Context) error {
	for _, pipe := range p {
		if err := pipe.awaitRead(ctx); err != nil {
			return err
		}
		if err := pipe.inFlight.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}
