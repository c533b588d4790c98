// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// readChunk is how much of a child's output is read at once.
const readChunk = 4 << 10

// takerWait is how long the first answer after output waits for a host that takes it.
// Hosts of other languages need not.
const takerWait = 50 * time.Millisecond

// readerOutput is a child's output as it comes out of two pipes. Nothing is
// read that nobody takes, so that output from before the host came waits in the
// pipes. Hosts that are connected at once share it, and when one of them ends it,
// it ends for all.
type readerOutput struct {
	readers [2]io.Reader // stdout and stderr; nil: none
	start   sync.Once
	chunks  chan outputChunk // closed when both readers have ended
	back    chan outputChunk // holds one that a host did not get
	closed  chan struct{}
	once    sync.Once
	pipes   stdio.Pipes // what is read, as far as it is known

	inFlight stdio.InFlight // chunks: read, and sent
	takers   atomic.Int32   // hosts
	came     chan struct{}  // closed when the first has come, or is not waited for
	first    sync.Once      // closes came
}

type outputChunk struct {
	isStderr bool
	data     []byte
}

func newReaderOutput(stdout, stderr io.Reader) *readerOutput {
	return &readerOutput{
		readers: [2]io.Reader{stdout, stderr},
		chunks:  make(chan outputChunk),
		back:    make(chan outputChunk, 1),
		closed:  make(chan struct{}),
		came:    make(chan struct{}),
	}
}

// close ends the reading. A reader that is being read belongs to the caller,
// who ends it.
func (o *readerOutput) close() { o.once.Do(func() { close(o.closed) }) }

func (o *readerOutput) subscribe() stdioSubscription {
	o.start.Do(func() {
		var reading wait.Group
		for i, r := range o.readers {
			if r != nil {
				reading.Go(func() { o.read(r, i == 1) })
			}
		}
		go func() {
			reading.Wait()
			close(o.chunks)
		}()
	})
	o.takers.Add(1)
	o.first.Do(func() { close(o.came) })
	return &readerSubscription{output: o}
}

// Settled implements stdio.Syncer.
func (o *readerOutput) Settled() bool {
	// What has left the pipes is counted.
	return !o.isTaken() || o.pipes.Settled() && o.inFlight.Settled()
}

// Sync implements stdio.Syncer.
func (o *readerOutput) Sync(ctx context.Context) error {
	o.awaitTaker(ctx)
	if !o.isTaken() {
		return nil
	}
	if err := o.pipes.Sync(ctx); err != nil {
		return err
	}
	return o.inFlight.Sync(ctx)
}

// isTaken reports whether a host takes the output, or may be about to.
func (o *readerOutput) isTaken() bool {
	select {
	case <-o.came:
		return o.takers.Load() > 0
	default:
		return true
	}
}

// awaitTaker waits for the first host. A Go host asks for the output before it
// calls, but the call may be served first.
func (o *readerOutput) awaitTaker(ctx context.Context) {
	timer := time.NewTimer(takerWait)
	defer timer.Stop()
	select {
	case <-o.came:
	case <-ctx.Done(): // Another answer waits for as long.
	case <-timer.C:
		o.first.Do(func() { close(o.came) })
	}
}

// finish ends the output after what was written by now. A reader of which nobody
// knows how much that is ends at once.
func (o *readerOutput) finish(ctx context.Context) {
	for _, r := range o.readers {
		if r == nil {
			continue
		}
		f, ok := r.(stdio.Finisher)
		if !ok {
			o.close()
			return
		}
		f.Finish(ctx)
	}
}

func (o *readerOutput) read(r io.Reader, isStderr bool) {
	for {
		buf := make([]byte, readChunk)
		n, err := r.Read(buf)
		if n > 0 {
			o.inFlight.Add(1)
			select {
			case o.chunks <- outputChunk{isStderr, buf[:n]}:
			case <-o.closed:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type readerSubscription struct {
	output *readerOutput
	holds  bool // what next has returned, and may not be sent yet
}

func (s *readerSubscription) next(ctx context.Context) (isStderr bool, data []byte, err error) {
	s.sent()
	if ctx.Err() != nil {
		// The host may come back for it on another connection.
		return false, nil, context.Cause(ctx)
	}
	var chunk outputChunk
	ok := true
	select {
	case chunk = <-s.output.back:
	default:
		select {
		case chunk = <-s.output.back:
		case chunk, ok = <-s.output.chunks:
		case <-s.output.closed:
			ok = false
		case <-ctx.Done():
			return false, nil, context.Cause(ctx)
		}
	}
	if !ok {
		return false, nil, io.EOF
	}
	s.holds = true
	return chunk.isStderr, chunk.data, nil
}

// sent notes that what next has returned last was sent.
func (s *readerSubscription) sent() {
	if s.holds {
		s.holds = false
		s.output.inFlight.Arrive(1)
	}
}

func (s *readerSubscription) unsent(isStderr bool, data []byte) {
	select {
	case s.output.back <- outputChunk{isStderr, data}:
		s.holds = false
	default: // Another host has lost its connection at the same time.
	}
}

func (s *readerSubscription) finish(ctx context.Context) { s.output.finish(ctx) }

func (s *readerSubscription) close() {
	s.sent()
	s.output.takers.Add(-1)
}
