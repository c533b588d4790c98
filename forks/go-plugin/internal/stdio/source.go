// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readChunk is how much of a child's output is read at once, in bytes.
	readChunk = 4 << 10
	// takerWait is how long the first answer after output waits for a host that takes
	// the output. Hosts of other languages need not.
	takerWait = 50 * time.Millisecond
)

// Source is a child's output as it comes out of two readers. Nothing is read that
// nobody takes, so that output from before the host came waits in the pipes. Hosts that
// are connected at once share it, and when one of them finishes it, it ends for all.
// All methods may be called from any goroutine.
type Source struct {
	readers [2]io.Reader // stdout and stderr; nil: none
	pipes   Pipes        // what is read, as far as it is known
	start   sync.Once
	reading atomic.Int32 // readers that have not ended
	chunks  chan Chunk   // closed when both have
	back    chan Chunk   // holds one that a host did not get
	open    context.Context
	close   context.CancelFunc // ends open

	inFlight InFlight           // chunks: read, and passed on
	takers   atomic.Int32       // hosts
	waiting  context.Context    // for the first of them, which is not waited for twice
	came     context.CancelFunc // ends waiting
}

var _ Syncer = (*Source)(nil)

// NewSource returns the output of the two readers, either of which may be nil. pipes
// are what they read, as far as that is known. The caller closes the source, and ends
// the readers.
func NewSource(stdout, stderr io.Reader, pipes Pipes) *Source {
	s := &Source{
		readers: [2]io.Reader{stdout, stderr},
		pipes:   pipes,
		chunks:  make(chan Chunk),
		back:    make(chan Chunk, 1),
	}
	s.open, s.close = context.WithCancel(context.Background())
	s.waiting, s.came = context.WithCancel(context.Background())
	return s
}

// Close ends the reading after the Read at hand, and all streams.
func (s *Source) Close() { s.close() }

// Subscribe returns the output for one more host, which closes it.
func (s *Source) Subscribe() Stream {
	s.start.Do(func() {
		s.reading.Store(int32(len(s.readers)))
		go s.read(s.readers[0], Stdout)
		go s.read(s.readers[1], Stderr)
	})
	s.takers.Add(1)
	s.came()
	return &sourceStream{Source: s}
}

func (s *Source) read(r io.Reader, ch Channel) {
	defer func() {
		if s.reading.Add(-1) == 0 {
			close(s.chunks)
		}
	}()
	for r != nil {
		buf := make([]byte, readChunk)
		n, err := r.Read(buf)
		if n > 0 {
			s.inFlight.Add(1)
			select {
			case s.chunks <- Chunk{ch, buf[:n]}:
			case <-s.open.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Settled implements [Syncer].
func (s *Source) Settled() bool {
	// What has left the pipes is counted.
	return !s.isTaken() || s.pipes.Settled() && s.inFlight.Settled()
}

// Sync implements [Syncer].
func (s *Source) Sync(ctx context.Context) error {
	s.awaitTaker(ctx)
	if !s.isTaken() {
		return nil
	}
	if err := s.pipes.Sync(ctx); err != nil {
		return err
	}
	return s.inFlight.Sync(ctx)
}

// isTaken reports whether a host takes the output, or may be about to.
func (s *Source) isTaken() bool { return s.waiting.Err() == nil || s.takers.Load() > 0 }

// awaitTaker waits for the first host. A Go host asks for the output before it
// calls, but the call may be served first.
func (s *Source) awaitTaker(ctx context.Context) {
	timer := time.NewTimer(takerWait)
	defer timer.Stop()
	select {
	case <-s.waiting.Done():
	case <-ctx.Done(): // Another answer waits for as long.
	case <-timer.C:
		s.came()
	}
}

// Finish ends the output after what was written by now. A reader of which nobody
// knows how much that is ends at once.
func (s *Source) Finish(ctx context.Context) {
	for _, r := range s.readers {
		if r == nil {
			continue
		}
		f, ok := r.(Finisher)
		if !ok {
			s.Close()
			return
		}
		f.Finish(ctx)
	}
}

// sourceStream is the output for one host. When that closes it with a chunk that it did
// not pass on, as when its connection was lost, the next host gets the chunk.
type sourceStream struct {
	*Source
	held *Chunk // what Next has returned last; nil: it was passed on
}

// Next implements [Stream].
func (s *sourceStream) Next(ctx context.Context) (Chunk, error) {
	s.passed()
	if ctx.Err() != nil {
		// The host may come back for it on another connection.
		return Chunk{}, context.Cause(ctx)
	}
	var chunk Chunk
	ok := true
	select {
	case chunk = <-s.back:
	default:
		select {
		case chunk = <-s.back:
		case chunk, ok = <-s.chunks:
		case <-s.open.Done():
			ok = false
		case <-ctx.Done():
			return Chunk{}, context.Cause(ctx)
		}
	}
	if !ok {
		return Chunk{}, io.EOF
	}
	s.held = &chunk
	return chunk, nil
}

func (s *sourceStream) passed() {
	if s.held != nil {
		s.held = nil
		s.inFlight.Arrive(1)
	}
}

// Close implements [Stream].
func (s *sourceStream) Close() {
	if s.held != nil {
		select {
		case s.back <- *s.held:
			s.held = nil
		default: // Another host has lost its connection at the same time.
		}
	}
	s.passed()
	s.takers.Add(-1)
}
