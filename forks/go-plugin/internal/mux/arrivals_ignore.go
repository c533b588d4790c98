// SPDX-License-Identifier: MPL-2.0

package mux

import "math"

// ignore has a message that is not taken remembered until it has come, or its sender, who is
// told to give it up, has ended it. There is no room for it, and its parts count for nothing.
// The error is one of the peer.
func (s *arrivals) ignore(m *message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := callKey{m.channel, m.number}
	return s.expect(&arrival{key: key, size: int(min(m.size, math.MaxInt)), ignored: true})
}

// skip counts n bytes of a message that is ignored.
func (s *arrivals) skip(a *arrival, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.come += n; a.come == a.size && s.messages[a.key] == a {
		s.forget(a)
	}
}
