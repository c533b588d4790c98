// SPDX-License-Identifier: MPL-2.0

package mux

// isOverLocked reports whether neither side has anything more to say. The caller holds mu.
func (s *Stream) isOverLocked() bool {
	return s.closed || s.err != nil || s.in.ended && s.out.ended
}

// leaveIfOver wakes everybody, and removes the stream from the session if it is over.
// The caller has changed what ends it, and holds the lock, which is released.
//
// Its opener counts a stream until the frames that end it are put, and the other side no longer
// than until then. The frame that opens a stream in its place is behind those, and so the other
// side counts no more streams than their opener.
func (s *Stream) leaveIfOver() {
	s.readable.Broadcast()
	s.writable.Broadcast()
	s.call.wakeUp()
	over := s.isOverLocked()
	if over && s.over != nil {
		select {
		case <-s.over:
		default:
			close(s.over)
		}
	}
	leaves := over && (s.unsaid == 0 || !s.isOurs())
	s.mu.Unlock()
	if leaves {
		s.table.remove(s)
	}
}

// CloseWrite tells the other side that nothing more is written. Reading goes on.
func (s *Stream) CloseWrite() error {
	s.mu.Lock()
	if err := s.endLocked(); err != nil || s.out.ended {
		s.mu.Unlock()
		return s.explain("close", err)
	}
	s.out.ended = true
	s.unsaid++
	s.leaveIfOver() // A write that waits gives up, and lets go of sending.
	s.sending.Lock()
	defer s.sending.Unlock()
	b := newBuffer()
	b.finish(b.begin(kindEnd, s.id))
	return s.explain("close", s.say(b, true))
}

// Close ends both directions. The other side can read what was written before.
func (s *Stream) Close() error { return s.close(true, "the other side has closed the stream") }

// Reset ends both directions, and gives the other side the reason. What was written
// before may be lost.
func (s *Stream) Reset(reason string) error { return s.close(false, reason) }

func (s *Stream) close(inOrder bool, reason string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	wasOver := s.isOverLocked()
	end, reset := inOrder && !s.out.ended, !inOrder || !s.in.ended
	s.closed = true
	s.in.drop()
	s.out.ended = true
	s.in.deadline.stop()
	s.out.deadline.stop()
	if !wasOver {
		s.unsaid++
	}
	s.leaveIfOver()
	s.table.take(s)
	if wasOver {
		return nil
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	b := newBuffer()
	if end {
		b.finish(b.begin(kindEnd, s.id))
	}
	if reset {
		b.reset(s.id, reason)
	}
	_ = s.say(b, true) // The session may have ended, and with it the stream.
	return nil
}

func (b *buffer) reset(id uint64, reason string) {
	start := b.begin(kindReset, id)
	b.text(reason[:min(len(reason), maxReason)])
	b.finish(start)
}

// fail ends the stream, because the other side or the session has.
func (s *Stream) fail(err error) {
	s.mu.Lock()
	var failed func(error)
	if s.err == nil {
		s.err = err
		failed, s.failed = s.failed, nil
	}
	s.leaveIfOver()
	if failed != nil {
		failed(err)
	}
}
