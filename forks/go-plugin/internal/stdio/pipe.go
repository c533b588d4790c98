// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPipe is more than any pipe holds, in bytes: the largest that Linux gives
	// to users. What was in a pipe is read once that much was.
	maxPipe = 1 << 20
	// blindWait is how long whoever asks for the content of a pipe waits where
	// reads have no deadlines (Windows), and a waiting one cannot be woken.
	blindWait = 100 * time.Millisecond
)

// Pipe is a pipe that one process writes to and reads itself. Its reader can be
// asked for what is in it by now, which a plain pipe cannot: its read waits for
// more. All methods may be called from any goroutine; one Read at a time gets
// something.
type Pipe struct {
	// W is written to.
	W *os.File

	r       *os.File
	end     pipeEnd       // of r
	taking  atomic.Bool   // something was read, and not passed on yet
	over    atomic.Bool   // r is read no more, and may be closed
	reading sync.Mutex    // guards what is asked now
	now     chan struct{} // nil: nobody asks
	left    int           // of maxPipe, for now
	last    bool          // nothing is read after that

	mu        sync.Mutex
	asked     chan struct{} // not looked at yet, of all who ask meanwhile; nil: nobody does
	finishing bool
	ended     bool // Read gives nothing more
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
	return &Pipe{W: w, r: r, end: end}, nil
}

// Read waits for something that was written. It returns io.EOF when W was closed
// everywhere, or when everything was read that had been written before Finish. What
// it has returned counts as passed on when it is called again.
func (p *Pipe) Read(b []byte) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	for !p.hasEnded() {
		if p.now == nil {
			p.takeAsked()
		}
		if p.now != nil {
			if n := p.readNow(b); n > 0 {
				return n, nil
			}
			p.answer()
			continue
		}
		n, err := p.read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // Somebody asks.
		}
		if err != nil {
			p.stop()
		}
		return n, err
	}
	return 0, io.EOF
}

func (p *Pipe) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// readNow reads what is there, and returns zero when all was read that there was
// when it was asked for.
func (p *Pipe) readNow(b []byte) int {
	if p.left <= 0 {
		return 0
	}
	n := p.readWaiting(b[:min(len(b), p.left)])
	p.left -= n
	return n
}

// takeAsked looks who wants to know of what is in the pipe now.
func (p *Pipe) takeAsked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		return
	}
	p.now, p.left, p.last = p.asked, maxPipe, p.finishing
	p.asked = nil
	_ = p.r.SetReadDeadline(time.Time{})
}

// Passed says that what Read has returned last was passed on, though the reader has
// not come for more.
func (p *Pipe) Passed() { p.taking.Store(false) }

// answer tells them that it was read.
func (p *Pipe) answer() {
	if p.last {
		p.stop()
		return
	}
	close(p.now)
	p.now = nil
}

// stop is called by the reader, which gives nothing more.
func (p *Pipe) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.over.Store(true)
	p.taking.Store(false)
	for _, done := range []chan struct{}{p.asked, p.now} {
		if done != nil {
			close(done)
		}
	}
	p.asked, p.now = nil, nil
}

// ask returns what is closed once all was read that is in the pipe now, and the
// reader has come for more.
func (p *Pipe) ask(finish bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finishing = p.finishing || finish
	if p.asked != nil {
		return p.asked
	}
	done := make(chan struct{})
	if p.ended {
		close(done)
		return done
	}
	if p.r.SetReadDeadline(time.Unix(1, 0)) == nil {
		p.asked = done
		return done
	}
	if finish {
		_ = p.W.Close() // The reader comes to the end of the pipe.
	}
	time.AfterFunc(blindWait, func() { close(done) })
	return done
}

// Finish makes Read return io.EOF after what was written by now. Where reads have
// no deadlines it closes W.
func (p *Pipe) Finish(context.Context) { p.ask(true) }

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
