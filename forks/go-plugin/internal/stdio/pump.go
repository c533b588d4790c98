// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"io"
)

// Finisher is output that can be brought to its end.
type Finisher interface {
	// Finish makes the output end after what the process has written by now. It may
	// wait for that to come, but no longer than ctx.
	Finish(ctx context.Context)
}

// Pump is a goroutine that moves output until there is no more.
type Pump struct{ done chan struct{} }

// StartPump starts one, which ends when move returns.
func StartPump(move func()) *Pump {
	p := &Pump{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		move()
	}()
	return p
}

// Wait waits until the pump has ended. When ctx ends first, it returns its cause. A nil
// pump has ended.
func (p *Pump) Wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Sink passes output on to a writer until that fails, and drops what comes after: who
// writes must not wait for a disk that is full. One goroutine at a time may write.
type Sink struct {
	to     io.Writer // nil: everything is dropped
	failed func(error)
}

// NewSink returns a sink over to, which may be nil to drop everything. The error with
// which to fails is given to failed, unless that is nil.
func NewSink(to io.Writer, failed func(error)) *Sink {
	if to == io.Discard {
		to = nil
	}
	return &Sink{to, failed}
}

// Drops reports whether everything is dropped by now.
func (s *Sink) Drops() bool { return s.to == nil }

// Write implements io.Writer. It never fails.
func (s *Sink) Write(p []byte) (int, error) {
	if s.to == nil {
		return len(p), nil
	}
	if _, err := s.to.Write(p); err != nil {
		s.to = nil
		if s.failed != nil {
			s.failed(err)
		}
	}
	return len(p), nil
}

// Copy passes all of src on to dst, and reads on when dst fails. It ends when src gives
// an error and no data: a stream whose connection has ended gives an error with every
// piece that it still holds.
func Copy(dst *Sink, src io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			_, _ = dst.Write(buf[:n])
		}
		if n == 0 && err != nil {
			return
		}
	}
}
