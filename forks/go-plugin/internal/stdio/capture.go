// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// pumpBuffer is what is moved at once, in bytes: a pipe's usual capacity.
const pumpBuffer = 64 << 10

// Captured stands between a process and its standard output and error.
type Captured struct {
	// Stdout and Stderr are to be installed as os.Stdout and os.Stderr.
	Stdout, Stderr *os.File

	pipes []*capturedPipe
}

// Capture makes two pipes. What is written to Captured.Stdout and
// Captured.Stderr goes to hub and then to the originals stdout and stderr,
// either of which may be nil to go to hub alone. The originals get every byte
// in order, and remain the caller's. If writing to an original fails, that
// original gets no more, and the pipe is drained all the same: a plugin must
// not stop because nobody takes its output.
//
// The caller installs the files, and before Close puts its own back.
func Capture(hub *Hub, stdout, stderr *os.File) (*Captured, error) {
	out, err := newCapturedPipe(hub, Stdout, stdout)
	if err != nil {
		return nil, err
	}
	errs, err := newCapturedPipe(hub, Stderr, stderr)
	if err != nil {
		return nil, errors.Join(err, out.pipe.Close(), out.closeOriginal())
	}
	for _, p := range []*capturedPipe{out, errs} {
		hub.follow(p.pipe)
		p.pump = StartPump(p.move)
	}
	return &Captured{Stdout: out.pipe.W, Stderr: errs.pipe.W, pipes: []*capturedPipe{out, errs}}, nil
}

// Close closes Stdout and Stderr and waits until everything that was written
// to them has reached the originals and the hub. A process that the plugin
// started and that still holds the pipes is not waited for. When ctx ends
// first, its cause is returned and the rest is lost. An error in writing to an
// original is returned too.
func (c *Captured) Close(ctx context.Context) error {
	var errs []error
	for _, p := range c.pipes {
		if err := p.pipe.W.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, fmt.Errorf("close the captured %s: %w", p.ch, err))
		}
		p.pipe.Finish(ctx)
	}
	for _, p := range c.pipes {
		if err := p.pump.Wait(ctx); err != nil {
			errs = append(errs, fmt.Errorf("flush %s: %w", p.ch, err))
		} else {
			errs = append(errs, p.failed)
		}
		// Ends a pump that still waits; one that has ended does not care.
		_ = p.pipe.closeRead()
	}
	return errors.Join(errs...)
}

// capturedPipe is one channel on its way from a pipe to the hub and the original.
type capturedPipe struct {
	hub      *Hub
	ch       Channel
	pipe     *Pipe
	original *os.File // our own duplicate; nil for none
	buffer   []byte   // not on move's stack, which would be the largest of the process
	pump     *Pump
	sink     *Sink // over original
	failed   error // why the original gets no more; to be read after the pump has ended
}

func newCapturedPipe(hub *Hub, ch Channel, original *os.File) (*capturedPipe, error) {
	p := &capturedPipe{hub: hub, ch: ch, sink: NewSink(nil, nil), buffer: make([]byte, pumpBuffer)}
	var err error
	if original != nil {
		if p.original, err = duplicate(original); err != nil {
			return nil, fmt.Errorf("duplicate %s: %w", ch, err)
		}
		p.sink = NewSink(p.original, func(err error) { p.failed = fmt.Errorf("write the original %s: %w", ch, err) })
	}
	if p.pipe, err = NewPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("create a pipe for %s: %w", ch, err), p.closeOriginal())
	}
	return p, nil
}

func (p *capturedPipe) closeOriginal() error {
	if p.original == nil {
		return nil
	}
	return p.original.Close()
}

func (p *capturedPipe) move() {
	defer p.closeOriginal() //nolint:errcheck // a duplicate; what was written is written
	for {
		n, err := p.pipe.Read(p.buffer)
		if n > 0 {
			p.hub.Write(p.ch, p.buffer[:n])
			p.pipe.Passed() // The original may block.
			_, _ = p.sink.Write(p.buffer[:n])
		}
		if err != nil {
			return
		}
	}
}
