// SPDX-License-Identifier: MPL-2.0

package balancer

import (
	"sync/atomic"
	"time"
)

const (
	// streakLength is how many calls in a row an endpoint gets at most. Then
	// there is another draw, so that calls are spread after all, and one that
	// fails quickly does not attract everything.
	streakLength = 32
	// streakPause is how soon a call must follow the one before, in
	// milliseconds. Later the endpoint is as cold as any other.
	streakPause = 1
)

// streak remembers the candidate that was drawn last. A call that follows when
// it is idle again goes there too: the caches and the threads of both sides are
// warm, where another endpoint's would have to be woken first. Of calls that
// overlap, none does.
//
// Picks at the same moment may each extend a streak, which then is a little
// longer. The zero value remembers nothing.
type streak struct {
	// state is in one word, so that a pick writes once: the candidate's index
	// in 24 bits, how many more calls it gets in 8, and the time of the last in
	// 32.
	state atomic.Uint64
}

// begin is told of a draw.
func (s *streak) begin(index int) { s.store(index, streakLength-1) }

// next gives the index of the candidate to stay with, or false. It asks whether
// that one is idle.
func (s *streak) next(idle func(index int) bool) (int, bool) {
	state := s.state.Load()
	index, left := int(state>>40), int(state>>32&0xff)
	if left == 0 || !idle(index) || sinceStart()-uint32(state) > streakPause {
		return 0, false
	}
	s.store(index, left-1)
	return index, true
}

func (s *streak) store(index, left int) {
	s.state.Store(uint64(index)<<40 | uint64(left)<<32 | uint64(sinceStart()))
}

var start = time.Now()

// sinceStart is in milliseconds, and begins anew every 49 days.
func sinceStart() uint32 { return uint32(time.Since(start).Milliseconds()) }
