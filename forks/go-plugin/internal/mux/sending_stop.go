// SPDX-License-Identifier: MPL-2.0

package mux

// stop ends a message of which no more is to be sent, and returns it, or nil if there is
// none. What was sent of it counts until giveBack: the other side counts it until it is told,
// and what is sent before that could else be more than it allows. cut reports whether the
// other side waits for the rest.
func (s *sendings) stop(key callKey) (m *sending, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopLocked(s.messages[key])
}

func (s *sendings) stopLocked(m *sending) (_ *sending, cut bool) {
	if m == nil {
		return nil, false
	}
	delete(s.messages, m.key)
	m.stopped = true
	if m.left() == 0 {
		return m, false
	}
	m.finish()
	if m.answer {
		s.out.dropUnsent()
	}
	return m, m.begun
}

// stopChannel stops the messages of a channel.
func (s *sendings) stopChannel(channel uint64) (stopped []*sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, m := range s.messages {
		if key.channel == channel {
			s.stopLocked(m)
			stopped = append(stopped, m)
		}
	}
	return stopped
}

// giveBack lets others be sent in the place of what stop has returned, once the other side is
// told of that, or knows.
func (s *sendings) giveBack(stopped ...*sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range stopped {
		if m != nil && !m.admitted {
			s.unasked -= m.unasked
		}
	}
}

// drop is stop of a message that the other side has forgotten.
func (s *sendings) drop(key callKey) {
	m, _ := s.stop(key)
	s.giveBack(m)
}

// begin notes that the first frame of an answer was put. It reports false if the answer was
// stopped before.
func (s *sendings) begin(m *sending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.begun = true
	return !m.stopped
}
