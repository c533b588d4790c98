// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// maxOpenStreams is how many streams of a session the other side may have open.
	maxOpenStreams = 4096
	// maxWaitingStreams is how many of them may wait for an owner.
	maxWaitingStreams = 256
	// maxStreamHeader is the size of a stream's header, in bytes.
	maxStreamHeader = 32 << 10
	// streamBudget is how many bytes all windows of a session's streams have together
	// beyond streamWindow.
	streamBudget = 16 << 20
	// maxReason is how many bytes of the reason of a reset are sent.
	maxReason = 1 << 10
)

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
	theirs  int    // streams that the other side has opened, and which are open
	waiting int    // of them and of those that ended since, nobody has taken
	err     error  // why the session has ended
}

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
	if t.out.isFull() {
		if err := t.out.awaitRoom(ctx, nil); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, lostStream(err)
		}
	}
	t.opening.Lock()
	defer t.opening.Unlock()
	t.mu.Lock()
	if t.err != nil {
		defer t.mu.Unlock()
		return nil, lostStream(t.err)
	}
	s := newStream(t, t.own, purpose, header)
	t.own += 2
	t.byID[s.id] = s
	t.count(s, 1)
	t.mu.Unlock()
	if _, err := t.out.put(s.beginning(first, ends), s.urgency(len(header)+len(first))); err != nil {
		t.remove(s)
		return nil, lostStream(err)
	}
	return s, nil
}

// send puts a message without a value.
func (t *streamTable) send(b *buffer) error {
	if err := b.seal(); err != nil {
		return err
	}
	_, err := t.out.put(b, now)
	return err
}

// deliver acts on the message at hand, which is about a stream. Only the session's
// reader calls it. An error ends the session.
func (t *streamTable) deliver(k kind, in *inbox) error {
	id, err := binary.ReadUvarint(in)
	if err != nil {
		return in.short("a stream's number", err)
	}
	if k == kindStream {
		return t.opened(id, in)
	}
	s, err := t.find(id)
	if s == nil || err != nil {
		return err
	}
	switch k {
	case kindData:
		if err := s.receive(in); err != nil {
			return err
		}
		return t.startLong(s)
	case kindCredit:
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return in.short("the credit of a stream", err)
		}
		return s.credit(n)
	case kindEnd:
		if err := s.receiveEnd(); err != nil {
			return err
		}
		t.complete(s)
	case kindReset:
		reason, err := io.ReadAll(io.LimitReader(in, maxReason))
		if err != nil {
			return err
		}
		s.fail(&ResetError{string(reason)})
		t.givenUp(s)
	}
	return nil
}

// short is the error of a field that was not read to its end: the message has none, or the
// connection has ended.
func (in *inbox) short(field string, err error) error {
	if in.r.err != nil {
		return midway(err, 1)
	}
	return fmt.Errorf("%w: %s: %v", errMalformed, field, err)
}

// find returns a stream, or nil if it is over. A stream that there never was is malformed.
func (t *streamTable) find(id uint64) (*Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s != nil {
		return s, nil
	}
	end := t.latest + 1
	if id%2 == t.own%2 {
		end = t.own
	}
	if id == 0 || id >= end {
		return nil, fmt.Errorf("%w: stream %d was never opened", errMalformed, id)
	}
	return nil, nil
}

// opened takes in a stream that the other side opens, or refuses it.
func (t *streamTable) opened(id uint64, in *inbox) error {
	purpose, err := in.ReadByte()
	if err != nil {
		return in.short("the purpose of a stream", err)
	}
	if in.left > maxStreamHeader {
		return fmt.Errorf("%w: the header of stream %d has %d bytes, at most %d are possible", errMalformed, id, in.left, maxStreamHeader)
	}
	header := make([]byte, in.left)
	if _, err := io.ReadFull(in, header); err != nil {
		return err
	}
	s := newStream(t, id, Purpose(purpose), header)
	refusal, err := t.add(s)
	if err != nil {
		return err
	}
	if refusal == nil {
		refusal = t.accepted(s)
	}
	if refusal == nil {
		return nil
	}
	if err := t.mayRefuse(refusal); err != nil {
		return err
	}
	return s.Reset(refusal.Error())
}

// add makes s one of the session's streams, unless it says why not.
func (t *streamTable) add(s *Stream) (refusal, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.id%2 == t.own%2 || s.id <= t.latest {
		return nil, fmt.Errorf("%w: stream %d cannot be opened after stream %d", errMalformed, s.id, t.latest)
	}
	t.latest = s.id
	switch {
	case t.err != nil:
		return nil, t.err
	case s.purpose >= purposes || t.accept[s.purpose] == nil:
		return fmt.Errorf("unknown purpose %d", s.purpose), nil
	case t.theirs >= maxOpenStreams:
		return fmt.Errorf("%d streams are open, which is the most", t.theirs), nil
	case t.waiting >= maxWaitingStreams:
		return fmt.Errorf("%d streams wait to be accepted, which is the most", t.waiting), nil
	}
	t.byID[s.id] = s
	t.theirs++
	t.waiting++
	t.count(s, 1)
	s.waits = true
	return nil, nil
}

// mayRefuse returns when there is room for a refusal. A plugin's reader may wait for the
// host to make some. A host's may not: the plugin may wait for the host in the same way.
func (t *streamTable) mayRefuse(reason error) error {
	switch {
	case !t.isHost:
		return t.out.awaitRoom(context.Background(), nil)
	case t.out.isFull():
		return fmt.Errorf("the plugin opens streams, and does not read why they are refused: %w", reason)
	}
	return nil
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
		if s.id%2 != t.own%2 {
			t.theirs--
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
	for _, s := range streams {
		s.fail(lostStream(err))
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
