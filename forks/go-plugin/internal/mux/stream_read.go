// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// streamWindow is how many bytes a side may send on a stream at first, and what each
	// stream has to itself.
	streamWindow = 16 << 10
	// maxStreamWindow is up to how much that grows.
	maxStreamWindow = 1 << 20
	// windowGrowth is how many times as large a window becomes at once.
	windowGrowth = 4
	// growWithin is how long half a window takes that its reader finds too small.
	growWithin = 50 * time.Millisecond
	// chunkSize is how many bytes of a stream are kept together.
	chunkSize = 16 << 10
	// smallChunk is the same where few have come.
	smallChunk = 1 << 10
)

// receiver is what a stream has received and what its other side may still send.
type receiver struct {
	chunks  []*chunk // what was not read
	unread  int      // bytes in them
	owed    int      // bytes that were read, and not credited yet
	window  int      // unread, owed, and what the other side may send
	granted time.Time
	ended   bool // by the other side
	deadline
}

// chunk is a piece of what has come.
type chunk struct {
	data []byte
	from int // what is before it was read
}

var chunks = [2]sync.Pool{
	{New: func() any { return &chunk{data: make([]byte, 0, smallChunk)} }},
	{New: func() any { return &chunk{data: make([]byte, 0, chunkSize)} }},
}

func newChunk(n int) *chunk {
	if n <= smallChunk {
		return chunks[0].Get().(*chunk)
	}
	return chunks[1].Get().(*chunk)
}

func (c *chunk) recycle() {
	pool := &chunks[1]
	if cap(c.data) <= smallChunk {
		pool = &chunks[0]
	}
	c.data, c.from = c.data[:0], 0
	pool.Put(c)
}

// add keeps c, and reports false if the other side was not allowed to send it.
func (r *receiver) add(c *chunk) bool {
	if len(c.data) > r.window-r.unread-r.owed {
		return false
	}
	r.unread += len(c.data)
	if n := len(r.chunks); n > 0 {
		if last := r.chunks[n-1]; cap(last.data)-len(last.data) >= len(c.data) {
			last.data = append(last.data, c.data...)
			c.recycle()
			return true
		}
	}
	r.chunks = append(r.chunks, c)
	return true
}

// read gives p what has come.
func (r *receiver) read(p []byte) (n int) {
	for n < len(p) && len(r.chunks) > 0 {
		c := r.chunks[0]
		k := copy(p[n:], c.data[c.from:])
		n += k
		if c.from += k; c.from == len(c.data) {
			c.recycle()
			r.chunks[0] = nil
			r.chunks = r.chunks[1:]
		}
	}
	if len(r.chunks) == 0 {
		r.chunks = nil
	}
	r.unread -= n
	r.owed += n
	return n
}

// drop forgets what was not read.
func (r *receiver) drop() {
	for _, c := range r.chunks {
		c.recycle()
	}
	r.chunks, r.unread = nil, 0
}

// grant returns how much the other side may send more, once half of the window was read.
// The window grows while half of it takes less than growWithin, and shrinks to what is
// its share of the session's.
func (r *receiver) grant(now func() time.Time, t *streamTable) (credit int) {
	if r.ended || 2*r.owed < r.window {
		return 0
	}
	at := now()
	isFast := at.Sub(r.granted) < growWithin && 2*r.unread < r.window
	r.granted = at
	credit, r.owed = r.owed, 0
	share := t.share()
	switch {
	case r.window > share:
		less := min(r.window-share, credit)
		credit, r.window = credit-less, r.window-less
		t.give(less)
	case isFast:
		more := t.reserve(min(r.window*(windowGrowth-1), share-r.window))
		credit, r.window = credit+more, r.window+more
	}
	return credit
}

// Expect grants at once what is left of a message of which n bytes are still to come, as far
// as a window may grow.
func (s *Stream) Expect(n int) {
	s.mu.Lock()
	more := min(n, s.table.share()) - s.in.window
	if s.in.ended || s.closed || s.err != nil || more <= 0 {
		s.mu.Unlock()
		return
	}
	more = s.table.reserve(more)
	credit := more + s.in.owed
	s.in.window, s.in.owed = s.in.window+more, 0
	s.mu.Unlock()
	if credit > 0 {
		_ = s.table.send(newMessage(kindCredit, s.id, uint64(credit)))
	}
}

// Read implements net.Conn.
func (s *Stream) Read(p []byte) (int, error) {
	n, credit, err := s.read(p)
	if credit > 0 {
		_ = s.table.send(newMessage(kindCredit, s.id, uint64(credit)))
	}
	return n, s.explain("read", err)
}

func (s *Stream) read(p []byte) (n, credit int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, 0, net.ErrClosed
		case s.in.passed:
			return 0, 0, os.ErrDeadlineExceeded
		case s.in.unread > 0 && len(p) > 0:
			n = s.in.read(p)
			if s.err == nil {
				credit = s.in.grant(time.Now, s.table)
			}
			return n, credit, nil
		case s.in.ended:
			return 0, 0, io.EOF
		case s.err != nil:
			return 0, 0, s.err
		case len(p) == 0:
			return 0, 0, nil
		}
		s.readable.Wait()
	}
}

// receive takes in what the message at hand has for the stream. Only the session's
// reader calls it.
func (s *Stream) receive(in *inbox) error {
	for in.left > 0 {
		n := min(in.left, chunkSize)
		c := newChunk(n)
		c.data = c.data[:n]
		if _, err := io.ReadFull(in, c.data); err != nil {
			c.recycle()
			return err
		}
		if err := s.keep(c); err != nil {
			return err
		}
	}
	return nil
}

// keep gives a piece of data to whoever reads.
func (s *Stream) keep(c *chunk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.err != nil:
		c.recycle() // The other side may not know yet.
	case s.in.ended:
		return fmt.Errorf("%w: data after the end of stream %d", errMalformed, s.id)
	case !s.in.add(c):
		return fmt.Errorf("%w: more data on stream %d than was granted", errMalformed, s.id)
	default:
		s.readable.Broadcast()
		s.call.answered = true
		if 2*s.in.unread >= s.in.window {
			s.call.wakeUp()
		}
	}
	return nil
}

// receiveEnd is told that the other side writes no more.
func (s *Stream) receiveEnd() error {
	s.mu.Lock()
	if s.in.ended {
		s.mu.Unlock()
		return fmt.Errorf("%w: stream %d ends twice", errMalformed, s.id)
	}
	s.in.ended = true
	s.leaveIfOver()
	return nil
}
