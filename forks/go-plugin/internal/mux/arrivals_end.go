// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"maps"
	"slices"
)

// drop is end, and reports whether there was one.
func (s *arrivals) drop(key callKey) bool { return s.end(key) != nil }

// end gives up the message of a call that has not come as a whole, and returns it, or nil.
func (s *arrivals) end(key callKey) *arrival {
	s.mu.Lock()
	a := s.messages[key]
	if a != nil {
		s.forget(a)
	}
	filling := a != nil && a.filling // then take releases it
	s.mu.Unlock()
	if a != nil && !filling {
		s.release(a)
	}
	return a
}

// all returns the messages that have not come as a whole.
func (s *arrivals) all() []*arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.messages))
}

// dropChannel gives up the messages of a channel that this side closes.
func (s *arrivals) dropChannel(channel uint64) {
	for _, a := range s.all() {
		if a.key.channel == channel {
			s.drop(a.key)
		}
	}
	s.leaveEarly(channel)
}
