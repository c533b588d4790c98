// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// maxOpenStreams is how many streams of a session either side opens.
	maxOpenStreams = 4096
	// moreStreams is how many more the other side takes: what ends a stream may come a little
	// behind what opens the next.
	moreStreams = 256
	// maxWaitingStreams is how many of them may wait for an owner.
	maxWaitingStreams = 256
	// maxStreamHeader is the size of a stream's header, in bytes.
	maxStreamHeader = 32 << 10
	// maxStreamHeaders is the size of the headers of all streams that a side has open, in
	// bytes.
	maxStreamHeaders = 16 << 20
	// moreHeaders is how many bytes more the other side takes, as with moreStreams.
	moreHeaders = 1 << 20
	// streamBudget is how many bytes all windows of a session's streams have together
	// beyond streamWindow.
	streamBudget = 16 << 20
	// maxReason is how many bytes of the reason of a reset are sent.
	maxReason = 1 << 10
)

// ErrTooManyStreams is a stream that was not opened: the other side might refuse it.
var ErrTooManyStreams = errors.New("the session takes no more streams")

// fewAtOnce is of how many streams the owners are woken together when a session ends.
const fewAtOnce = 16

// Acceptors have, by purpose, what is called with each stream that the other side opens.
// It must not block. It takes the stream (Take, Accept), at once or later, or ends it
// (Close, Reset), unless it returns why the stream is refused, which the other side is
// told. Streams of other purposes are refused.
type Acceptors [purposes]func(*Stream) error

// streamTable has the streams of a session.
type streamTable struct {
	out    *outbox
	conn   net.Conn // for its addresses
	isHost bool
	accept Acceptors
	budget atomic.Int64 // what is left of streamBudget
	open   atomic.Int64 // streams
	urgent atomic.Int64 // of them, those for which somebody has to read at once

	// Of the session's reader.
	ready *Stream // a unary call that is complete, and was not taken
	woke  bool    // somebody was given the end of a call

	opening sync.Mutex // streams leave in the order of their numbers; locked before mu

	mu      sync.Mutex
	byID    map[uint64]*Stream
	own     uint64 // id of the next stream that this side opens
	latest  uint64 // id of the last stream that the other side has opened
	ours    crowd  // streams that this side has opened
	theirs  crowd  // streams that the other side has opened
	waiting int    // of theirs and of those that ended since, nobody has taken
	err     error  // why the session has ended
}

// crowd counts the open streams of one side, and the bytes of their headers.
type crowd struct{ streams, headers int }

func (c *crowd) add(s *Stream) { c.streams++; c.headers += s.headerSize }

func (c *crowd) remove(s *Stream) { c.streams--; c.headers -= s.headerSize }

// init prepares the table. Hosts open streams with even numbers, from 2.
func (t *streamTable) init(out *outbox, conn net.Conn, isHost bool, accept Acceptors) {
	t.out, t.conn, t.isHost, t.accept = out, conn, isHost, accept
	t.byID = make(map[uint64]*Stream)
	t.budget.Store(streamBudget)
	t.own = 1
	if isHost {
		t.own = 2
	}
}

// openStream opens a stream, and sends first, which is short, and the end of its half if
// ends is set. It waits while the outbox is full, until ctx ends.
func (t *streamTable) openStream(ctx context.Context, purpose Purpose, header, first []byte, ends bool) (*Stream, error) {
	if len(header) > maxStreamHeader {
		return nil, fmt.Errorf("the header of a stream has %d bytes, at most %d are possible", len(header), maxStreamHeader)
	}
	if err := t.lockOpening(ctx); err != nil {
		return nil, err
	}
	defer t.opening.Unlock()
	t.mu.Lock()
	if err := t.mayOpen(len(header)); err != nil {
		defer t.mu.Unlock()
		return nil, err
	}
	s := newStream(t, t.own, purpose, header)
	t.own += 2
	t.byID[s.id] = s
	t.ours.add(s)
	t.count(s, 1)
	t.mu.Unlock()
	if _, err := t.out.put(s.beginning(first, ends), s.urgency(len(header)+len(first))); err != nil {
		t.remove(s)
		return nil, lostStream(err)
	}
	return s, nil
}

// mayOpen says why no stream can be opened with a header of n bytes, if so. The caller holds mu.
func (t *streamTable) mayOpen(n int) error {
	switch {
	case t.err != nil:
		return lostStream(t.err)
	case t.ours.streams >= maxOpenStreams:
		return fmt.Errorf("%w: %d are open", ErrTooManyStreams, t.ours.streams)
	case t.ours.headers+n > maxStreamHeaders:
		return fmt.Errorf("%w: the headers of those that are open have %d bytes, and %d more would be too many", ErrTooManyStreams, t.ours.headers, n)
	}
	return nil
}

// lockOpening locks opening while there is room. All that wait for it are woken by the same
// write, which makes room for few of them.
func (t *streamTable) lockOpening(ctx context.Context) error {
	t.opening.Lock()
	for t.out.isFull() {
		t.opening.Unlock()
		if err := t.out.awaitRoom(ctx, nil); err != nil {
			if ctx.Err() != nil {
				return err
			}
			return lostStream(err)
		}
		t.opening.Lock()
	}
	return nil
}

// send puts a message without a value.
func (t *streamTable) send(b *buffer) error {
	if err := b.seal(); err != nil {
		return err
	}
	return t.out.say(b, now)
}

// take notes that s does not wait for an owner any more.
func (t *streamTable) take(s *Stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.waits {
		s.waits = false
		t.waiting--
	}
}

// remove forgets s, which is over. It may be called again.
func (t *streamTable) remove(s *Stream) {
	t.mu.Lock()
	here := t.byID[s.id] == s
	if here {
		delete(t.byID, s.id)
		t.count(s, -1)
		if s.isOurs() {
			t.ours.remove(s)
		} else {
			t.theirs.remove(s)
		}
	}
	t.mu.Unlock()
	if here {
		s.mu.Lock()
		t.give(s.in.window - streamWindow)
		s.mu.Unlock()
	}
}

// end ends all streams with the session.
func (t *streamTable) end(err error) {
	t.mu.Lock()
	t.err = err
	streams := make([]*Stream, 0, len(t.byID))
	for _, s := range t.byID {
		streams = append(streams, s)
	}
	t.mu.Unlock()
	for i, s := range streams {
		s.fail(lostStream(err))
		if i%fewAtOnce == fewAtOnce-1 {
			runtime.Gosched() // Others need not wait until all their owners have run.
		}
	}
}

// count adds n streams like s to those that are open.
func (t *streamTable) count(s *Stream, n int64) {
	t.open.Add(n)
	switch s.purpose {
	case Brokered, HTTP2, Call:
		t.urgent.Add(n)
	}
}

// share is up to what size a window may grow, so that all streams could have as much.
func (t *streamTable) share() int {
	return max(streamWindow, min(maxStreamWindow, streamWindow+streamBudget/int(max(1, t.open.Load()))))
}

// reserve takes up to n bytes of the budget.
func (t *streamTable) reserve(n int) int {
	for {
		left := t.budget.Load()
		taken := min(int64(n), left)
		if t.budget.CompareAndSwap(left, left-taken) {
			return int(taken)
		}
	}
}

// give returns n bytes to the budget.
func (t *streamTable) give(n int) { t.budget.Add(int64(n)) }
