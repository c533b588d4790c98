// SPDX-License-Identifier: MPL-2.0

package mux

// keepEarly counts a message that came as a whole before there was room for it until it is
// decoded: a peer that leaves no room could else send any number of them.
func (s *arrivals) keepEarly(a *arrival) {
	if s.early == nil {
		s.early = make(map[*arrival]bool)
	}
	s.early[a] = true
}

// releaseEarly counts such a message no more, which is decoded, or needed no more. The peer is
// told of that by its first grant, of 0 bytes.
func (s *arrivals) releaseEarly(a *arrival) {
	if a.come == 0 || a.come < a.size {
		return
	}
	if s.early[a] {
		delete(s.early, a)
		s.unasked -= a.come
	}
	s.want(a)
}

// leaveEarly counts those of a channel no more that this side closes: its peer counts them
// until it is told of that end, and may then send others in their place.
func (s *arrivals) leaveEarly(channel uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.early {
		if a.key.channel == channel {
			delete(s.early, a)
			s.unasked -= a.come
		}
	}
}
