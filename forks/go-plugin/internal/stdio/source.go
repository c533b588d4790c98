// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"io"
	"slices"
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
	stdout, stderr sourceOutput
	pipes          Pipes // what is read, as far as it is known
	open           context.Context
	close          context.CancelFunc // ends open

	inFlight InFlight           // chunks: read, and passed on
	takers   atomic.Int32       // hosts
	waiting  context.Context    // for the first of them, which is not waited for twice
	came     context.CancelFunc // ends waiting
}

var _ interface {
	Syncer
	Outputs
} = (*Source)(nil)

// sourceOutput is one of the two outputs of a source.
type sourceOutput struct {
	channel Channel
	reader  io.Reader // nil: none
	start   sync.Once
	chunks  chan Chunk // closed when there is no more
	back    chan Chunk // holds one that a host did not get
}

func newSourceOutput(channel Channel, reader io.Reader) sourceOutput {
	return sourceOutput{channel: channel, reader: reader, chunks: make(chan Chunk), back: make(chan Chunk, 1)}
}

// NewSource returns the output of the two readers, either of which may be nil. pipes
// are what they read, as far as that is known. The caller closes the source, and ends
// the readers.
func NewSource(stdout, stderr io.Reader, pipes Pipes) *Source {
	s := &Source{stdout: newSourceOutput(Stdout, stdout), stderr: newSourceOutput(Stderr, stderr), pipes: pipes}
	s.open, s.close = context.WithCancel(context.Background())
	s.waiting, s.came = context.WithCancel(context.Background())
	return s
}

// Close ends the reading after the Read at hand, and all streams.
func (s *Source) Close() { s.close() }

// Subscribe implements [Outputs].
func (s *Source) Subscribe() Stream { return s.subscribe(&s.stdout, &s.stderr) }

// Split implements [Outputs].
func (s *Source) Split() (stdout, stderr *Reader) {
	return &Reader{Stream: s.subscribe(&s.stdout, nil)}, &Reader{Stream: s.subscribe(nil, &s.stderr)}
}

// subscribe returns a stream of the outputs that are not nil.
func (s *Source) subscribe(stdout, stderr *sourceOutput) Stream {
	stream := &sourceStream{Source: s, stdout: stdout, stderr: stderr}
	stream.live, stream.end = context.WithCancel(s.open)
	for _, out := range stream.outputs() {
		out.start.Do(func() { go s.read(out) })
	}
	s.takers.Add(1)
	s.came()
	return stream
}

func (s *Source) read(out *sourceOutput) {
	defer close(out.chunks)
	for out.reader != nil {
		buf := make([]byte, readChunk)
		n, err := out.reader.Read(buf)
		if n > 0 {
			s.inFlight.Add(1)
			select {
			case out.chunks <- Chunk{out.channel, buf[:n]}:
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
	for _, r := range []io.Reader{s.stdout.reader, s.stderr.reader} {
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
	stdout, stderr *sourceOutput // nil: not taken, or at its end; of Next
	live           context.Context
	end            context.CancelFunc // ends live

	mu     sync.Mutex // guards these
	held   *Chunk     // what Next has returned last; nil: it was passed on
	closed bool
}

// outputs returns those that are not at their end.
func (s *sourceStream) outputs() []*sourceOutput {
	return slices.DeleteFunc([]*sourceOutput{s.stdout, s.stderr}, func(out *sourceOutput) bool { return out == nil })
}

// Next implements [Stream].
func (s *sourceStream) Next(ctx context.Context) (Chunk, error) {
	s.mu.Lock()
	s.passed()
	s.mu.Unlock()
	for {
		if ctx.Err() != nil {
			// The host may come back for it on another connection.
			return Chunk{}, context.Cause(ctx)
		}
		chunk, ok := s.returned()
		if !ok {
			var err error
			if chunk, err = s.await(ctx); err != nil {
				return Chunk{}, err
			}
		}
		if chunk.Data != nil {
			return s.hold(chunk)
		}
	}
}

// returned gives what another host did not get.
func (s *sourceStream) returned() (chunk Chunk, ok bool) {
	for _, out := range s.outputs() {
		select {
		case chunk = <-out.back:
			return chunk, true
		default:
		}
	}
	return Chunk{}, false
}

// await waits for the next chunk. An empty one says that an output has come to its end.
func (s *sourceStream) await(ctx context.Context) (Chunk, error) {
	if s.stdout == nil && s.stderr == nil {
		return Chunk{}, io.EOF
	}
	stdout, stderr := s.stdout.channels(), s.stderr.channels()
	var (
		chunk Chunk
		ok    bool
	)
	select {
	case chunk = <-stdout.back:
	case chunk = <-stderr.back:
	case chunk, ok = <-stdout.chunks:
		if !ok {
			s.stdout = nil
		}
	case chunk, ok = <-stderr.chunks:
		if !ok {
			s.stderr = nil
		}
	case <-s.live.Done():
		return Chunk{}, io.EOF
	case <-ctx.Done():
		return Chunk{}, context.Cause(ctx)
	}
	return chunk, nil
}

// channels are those of an output, and none for nil.
func (o *sourceOutput) channels() (c struct{ chunks, back chan Chunk }) {
	if o != nil {
		c.chunks, c.back = o.chunks, o.back
	}
	return c
}

// hold notes what Next returns.
func (s *sourceStream) hold(chunk Chunk) (Chunk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = &chunk
	if s.closed {
		s.giveBack()
		return Chunk{}, io.EOF
	}
	return chunk, nil
}

// passed is called with the lock.
func (s *sourceStream) passed() {
	if s.held != nil {
		s.held = nil
		s.inFlight.Arrive(1)
	}
}

// giveBack leaves what was not passed on to the next host. It is called with the lock.
func (s *sourceStream) giveBack() {
	if s.held == nil {
		return
	}
	out := &s.Source.stdout
	if s.held.Channel == Stderr {
		out = &s.Source.stderr
	}
	select {
	case out.back <- *s.held:
		s.held = nil
	default: // Another host has lost its connection at the same time.
		s.passed()
	}
}

// Close implements [Stream].
func (s *sourceStream) Close() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.giveBack()
	s.takers.Add(-1)
}
