// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// lineSlack is how many bytes a queue may exceed its limit by to finish a line.
const lineSlack = 4 << 10

// Subscription is one reader's bounded queue.
//
// When a chunk does not fit, the queue takes the whole lines of it that do and
// then nothing until half of its room is free again: a reader that is too slow
// gets stretches of output with a notice between them, not shreds.
type Subscription struct {
	hub   *Hub
	pipes Pipes // the hub's
	limit int
	takes [Stderr + 1]bool
	wake  chan struct{} // holds a token when there may be something new

	mu       sync.Mutex
	queue    []Chunk
	head     int // queue[head:] is unread
	size     int // cost of the unread
	dropping bool
	pending  [Stderr + 1]uint64 // missed since the last notice
	midLine  [Stderr + 1]bool   // the last queued byte of the channel was no newline
	ended    bool               // nothing more will be queued
	closed   bool               // nothing more will be read
	handed   bool               // Next has returned a chunk, and was not called again

	inFlight InFlight // chunks: queued, or to be, and passed on
}

// Next returns the next chunk in the order of writing, waiting for one if need
// be. It returns io.EOF after Close, or once the hub is closed and everything
// was read; the cause of ctx when that ends first. One goroutine at a time may
// call it. What it has returned counts as passed on when it is called again.
func (s *Subscription) Next(ctx context.Context) (Chunk, error) {
	for {
		if c, ok, err := s.pop(); ok || err != nil {
			return c, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Chunk{}, context.Cause(ctx)
		}
	}
}

// Settled reports whether all that the process has written by now was taken from
// the subscription and passed on. See [Pipes.Settled].
func (s *Subscription) Settled() bool {
	return s.pipes.Settled() && s.inFlight.Settled()
}

// Sync waits until all that the process has written by now was taken from the
// subscription and passed on. When ctx ends first, its cause is returned.
func (s *Subscription) Sync(ctx context.Context) error {
	if err := s.pipes.Sync(ctx); err != nil {
		return err
	}
	return s.inFlight.Sync(ctx)
}

// Close detaches the subscription from its hub and drops what it holds. A
// waiting Next returns io.EOF. It may be called more than once.
func (s *Subscription) Close() {
	s.hub.remove(s)
	s.mu.Lock()
	s.ended, s.closed = true, true
	s.queue, s.head, s.size = nil, 0, 0
	s.mu.Unlock()
	s.inFlight.End()
	s.signal()
}

// Finish makes Next return io.EOF after what the process has written by now. It
// waits for that to come, but no longer than ctx.
func (s *Subscription) Finish(ctx context.Context) {
	_ = s.pipes.Sync(ctx) // What has come by then is given all the same.
	s.hub.remove(s)
	s.end()
}

// end is called when no more chunks will come.
func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}

// push queues what fits of c and counts the rest.
func (s *Subscription) push(c Chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	whole := len(c.Data)
	if s.dropping {
		c.Data = nil
	} else if s.size+c.cost() > s.limit {
		s.dropping = true
		c.Data = s.fitting(c)
	}
	if lost := uint64(whole - len(c.Data)); lost > 0 {
		if s.pending[c.Channel] == 0 {
			s.inFlight.Add(1) // its notice
		}
		s.pending[c.Channel] += lost
	}
	if len(c.Data) > 0 {
		s.inFlight.Add(1)
		s.append(c)
	}
}

// fitting returns the start of data that the queue takes before it drops: the
// whole lines for which there is room. A line whose beginning is queued already
// is finished, if it ends soon, even beyond the limit.
func (s *Subscription) fitting(c Chunk) []byte {
	room := max(0, s.limit-s.size-chunkOverhead)
	fits := c.Data[:min(room, len(c.Data))]
	if end := bytes.LastIndexByte(fits, '\n'); end >= 0 {
		return fits[:end+1]
	}
	if s.midLine[c.Channel] {
		longer := c.Data[:min(room+lineSlack, len(c.Data))]
		if end := bytes.IndexByte(longer, '\n'); end >= 0 {
			return longer[:end+1]
		}
		return fits
	}
	if s.size > 0 {
		return nil
	}
	return fits // one endless line: a part of it is better than nothing
}

// pushMissed queues a notice for what was lost before the subscription began.
func (s *Subscription) pushMissed(ch Channel, missed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight.Add(1)
	s.append(notice(ch, missed, false))
}

func (s *Subscription) append(c Chunk) {
	s.midLine[c.Channel] = c.Data[len(c.Data)-1] != '\n'
	s.queue = append(s.queue, c)
	s.size += c.cost()
	s.signal()
}

// pop takes the oldest chunk, if there is one, and ends a time of dropping
// once half of the room is free.
func (s *Subscription) pop() (c Chunk, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handed {
		s.handed = false
		s.inFlight.Arrive(1)
	}
	if s.closed {
		return Chunk{}, false, io.EOF
	}
	if s.head == len(s.queue) {
		if s.ended {
			return Chunk{}, false, io.EOF
		}
		return Chunk{}, false, nil
	}
	c, s.queue[s.head] = s.queue[s.head], Chunk{}
	s.head++
	s.handed = true
	s.size -= c.cost()
	s.compact()
	if s.dropping && s.size <= s.limit/2 {
		s.resume()
	}
	return c, true, nil
}

// resume queues a notice for each channel that missed something.
func (s *Subscription) resume() {
	s.dropping = false
	for ch, missed := range s.pending {
		if missed > 0 {
			s.append(notice(Channel(ch), missed, s.midLine[ch]))
			s.pending[ch] = 0
		}
	}
}

// compact reuses the front of the queue once it is longer than the rest.
func (s *Subscription) compact() {
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	} else if s.head > len(s.queue)/2 {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
}
