// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"slices"
	"time"
)

// leastGrant is what is granted at once unless less is left, in bytes: a grant costs a
// frame.
const leastGrant = 64 << 10

// unlockAndGrant grants what there is room for in the window, to all messages that want
// some in turn, and unlocks.
//
// The window is as small as keeps the connection busy, because small messages wait
// behind what was granted. Granted is what goes beyond half of it: when everything
// granted has come while there was more to come, the peer had to wait for the grant,
// and the window doubles. When half of it takes long although the peer had not to wait,
// the window shrinks.
func (s *arrivals) unlockAndGrant() {
	if s.granted <= s.window/2 && s.wantsMore() {
		s.adapt()
		s.share()
	}
	var grants *buffer
	if s.due {
		grants = s.tellWanting()
	}
	s.mu.Unlock()
	if grants != nil && len(grants.data) > 0 {
		_ = s.out.say(grants, now) // If it fails, the session has ended.
	}
}

// wantsMore reports whether any message waits for bytes to be granted, and not only for a word
// that it counts no more.
func (s *arrivals) wantsMore() bool {
	return slices.ContainsFunc(s.wanting, func(a *arrival) bool { return a.ungiven > 0 })
}

// tellWanting makes the frames of the grants, and forgets what wants no more.
func (s *arrivals) tellWanting() *buffer {
	s.due = false
	grants := newBuffer()
	kept := s.wanting[:0]
	for _, a := range s.wanting {
		if a.grant > 0 || !a.told {
			start := grants.begin(kindGrant, a.key.channel, a.key.number, uint64(a.grant))
			grants.finish(start)
			a.grant, a.told = 0, true
		}
		if a.ungiven > 0 {
			kept = append(kept, a)
		}
	}
	clear(s.wanting[len(kept):])
	s.wanting = kept
	return grants
}

// adapt changes the window after a round.
func (s *arrivals) adapt() {
	began := s.round
	s.round = time.Now()
	switch took := s.round.Sub(began); {
	case began.IsZero(): // There was nothing before.
	case s.granted == 0 || took < quickRound:
		s.window = min(2*s.window, maxWindow)
	case took > slowRound:
		s.window = max(s.window-s.window/4, minWindow)
	}
}

// share gives room in the window to those that want some.
func (s *arrivals) share() {
	s.due = true
	room := s.window - s.granted
	each := max(room/len(s.wanting), leastGrant)
	for n := len(s.wanting); n > 0 && room > 0; n-- {
		a := s.wanting[0]
		s.wanting = append(s.wanting[1:], a) // the next in turn is another one
		some := min(each, a.ungiven, room)
		a.ungiven -= some
		a.grant += some
		a.given += some
		s.granted += some
		room -= some
	}
}
