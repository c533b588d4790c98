// SPDX-License-Identifier: MPL-2.0

package mux

// stop ends a message of which no more is to be sent, and returns it, or nil if there is
// none. What was sent of it counts until giveBack: the other side counts it until it is told,
// and what is sent before that could else be more than it allows. cut reports whether the
// other side waits for the rest. A message of which all was sent is left alone: the other side
// counts it until it has decoded it, and says so by a grant.
func (s *sendings) stop(key callKey) (m *sending, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m = s.messages[key]; m != nil && m.left() == 0 {
		return nil, false
	}
	return s.stopLocked(m)
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

// stopChannel stops the messages of a channel. all says that those of which all was sent are
// stopped as well, because the other side, which has closed the channel, counts them no more.
func (s *sendings) stopChannel(channel uint64, all bool) (stopped []*sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, m := range s.messages {
		if key.channel == channel && (all || m.left() > 0) {
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

// drop ends a message that the other side has forgotten, or never knew.
func (s *sendings) drop(key callKey) {
	s.mu.Lock()
	m, _ := s.stopLocked(s.messages[key])
	s.mu.Unlock()
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
