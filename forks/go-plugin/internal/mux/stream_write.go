// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"fmt"
	"math"
	"os"
)

// smallWrite is up to how many bytes are written without waiting for a turn.
const smallWrite = 4 << 10

// sender is what a stream may send, and what waits to be sent.
type sender struct {
	allowed int    // by the other side
	pending []byte // of a write that waits for its turn, or to be allowed
	listed  bool   // the outbox gives the stream turns
	ended   bool   // by this side
	deadline
}

// wantsTurns reports that the outbox has to be told to give the stream turns.
func (o *sender) wantsTurns() bool {
	if o.listed || len(o.pending) == 0 || o.allowed == 0 {
		return false
	}
	o.listed = true
	return true
}

// Write implements net.Conn. It returns when all of p is on its way, which does not mean
// that it has arrived.
func (s *Stream) Write(p []byte) (int, error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	n, err := s.write(p, false)
	return n, s.explain("write", err)
}

// WriteLast is Write and CloseWrite in one.
func (s *Stream) WriteLast(p []byte) (int, error) {
	s.sending.Lock()
	n, err := s.write(p, true)
	s.sending.Unlock()
	if err != nil {
		return n, s.explain("write", err)
	}
	return n, s.CloseWrite()
}

// write sends p, and the end of the stream as well if it is the last and leaves without
// a turn. The caller holds sending.
func (s *Stream) write(p []byte, last bool) (int, error) {
	if len(p) <= smallWrite && !s.table.out.isFull() {
		b, err := s.small(p, last)
		if err != nil {
			return 0, err
		}
		if b != nil {
			if last && !s.isOurs() {
				s.mu.Lock()
				s.leaveIfOver() // before the other side can know
			}
			return len(p), s.put(b, last)
		}
	}
	return s.writeInTurn(p)
}

// put sends frames. If last is set, they end the stream or its half, and count as unsaid.
func (s *Stream) put(b *buffer, last bool) error {
	if len(b.data) == 0 {
		b.recycle()
		return nil
	}
	_, err := s.table.out.put(b, s.urgency(len(b.data)))
	return s.wasPut(err, last)
}

// say is put for frames that cannot wait for room.
func (s *Stream) say(b *buffer, last bool) error {
	if len(b.data) == 0 {
		b.recycle()
		return nil
	}
	return s.wasPut(s.table.out.say(b, s.urgency(len(b.data))), last)
}

func (s *Stream) wasPut(err error, last bool) error {
	if last {
		s.mu.Lock()
		s.unsaid--
		if s.isOurs() {
			s.leaveIfOver()
		} else {
			s.mu.Unlock() // It has left before.
		}
	}
	if err != nil {
		return lostStream(err)
	}
	return nil
}

// small makes frames of p, and of the end if it is the last, if p may be sent now. While
// the outbox still gives turns for an earlier write, what is put could be overtaken.
func (s *Stream) small(p []byte, last bool) (*buffer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writeError(); err != nil || len(p) > s.out.allowed || s.out.listed {
		return nil, err
	}
	s.out.allowed -= len(p)
	b := newBuffer()
	if len(p) > 0 {
		s.appendData(b, p)
	}
	if last {
		s.out.ended = true
		s.unsaid++
		b.finish(b.begin(kindEnd, s.id))
	}
	return b, nil
}

func (s *Stream) appendData(b *buffer, p []byte) {
	start := b.begin(kindData, s.id)
	b.data = append(b.data, p...)
	b.finish(start)
}

// writeInTurn sends p in parts, for which the outbox asks.
func (s *Stream) writeInTurn(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writeError(); err != nil {
		return 0, err
	}
	s.out.pending = p
	if s.out.wantsTurns() {
		s.mu.Unlock()
		s.table.out.enlist(s)
		s.mu.Lock()
	}
	for len(s.out.pending) > 0 {
		if err := s.writeError(); err != nil {
			n := len(p) - len(s.out.pending)
			s.out.pending = nil
			return n, err
		}
		s.writable.Wait()
	}
	return len(p), nil
}

// writeError is why nothing can be written. The caller holds mu.
func (s *Stream) writeError() error {
	switch err := s.endLocked(); {
	case err != nil:
		return err
	case s.out.ended:
		return errWriteClosed
	case s.out.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// part implements bulk.
func (s *Stream) part(b *buffer, n int) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeError() == nil {
		n = min(n, len(s.out.pending), s.out.allowed)
		p := s.out.pending[:n]
		s.out.pending, s.out.allowed = s.out.pending[n:], s.out.allowed-n
		for len(p) > 0 {
			k := min(len(p), chunkSize)
			s.appendData(b, p[:k])
			p = p[k:]
		}
		if len(s.out.pending) == 0 {
			s.writable.Broadcast()
		}
		s.out.listed = len(s.out.pending) > 0 && s.out.allowed > 0
	} else {
		s.out.listed = false
	}
	return s.out.listed
}

// credit is told that the other side takes n bytes more, and has accepted the stream.
func (s *Stream) credit(n uint64) error {
	s.mu.Lock()
	if n > math.MaxInt32 || int64(s.out.allowed)+int64(n) > math.MaxInt32 {
		s.mu.Unlock()
		return fmt.Errorf("%w: a credit of %d bytes for stream %d, which has %d", errMalformed, n, s.id, s.out.allowed)
	}
	s.out.allowed += int(n)
	if !s.accepted {
		s.accepted = true
		s.writable.Broadcast()
	}
	listed := s.out.wantsTurns()
	s.mu.Unlock()
	if listed {
		s.table.out.enlist(s)
	}
	return nil
}
