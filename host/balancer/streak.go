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
	// streakPause is how soon a pick must follow the one before, in
	// microseconds. Later the endpoint is as cold as any other.
	streakPause = 1000
)

// streak remembers the candidate that was drawn last. If it is idle again, the
// next call goes there too: the caches and the threads of both sides are warm,
// where another endpoint's would have to be woken first. The zero value
// remembers nothing.
type streak struct {
	// state is in one word, so that it changes at once: the candidate's index in
	// 24 bits, how many more calls it gets in 8, and the time of the last pick
	// in 32.
	state atomic.Uint64
}

func pack(index, left int, now uint32) uint64 {
	return uint64(index)<<40 | uint64(left)<<32 | uint64(now)
}

func unpack(state uint64) (index, left int, at uint32) {
	return int(state >> 40), int(state >> 32 & 0xff), uint32(state)
}

// begin is told of a draw.
func (s *streak) begin(index int, now uint32) { s.state.Store(pack(index, streakLength-1, now)) }

// next gives the index of the candidate to stay with, or false. It asks whether
// that one is idle.
func (s *streak) next(now uint32, idle func(index int) bool) (int, bool) {
	state := s.state.Load()
	index, left, at := unpack(state)
	if left == 0 || now-at > streakPause || !idle(index) {
		return 0, false
	}
	// Of two picks at the same moment one goes elsewhere.
	return index, s.state.CompareAndSwap(state, pack(index, left-1, now))
}

// avoid ends the streak if its candidate is one to avoid.
func (s *streak) avoid(is func(index int) bool) {
	state := s.state.Load()
	if index, left, _ := unpack(state); left > 0 && is(index) {
		s.state.CompareAndSwap(state, 0)
	}
}

var epoch = time.Now()

// sinceEpoch is in microseconds, and begins anew every 71 minutes: then a streak
// that ended so long ago may get one more call.
func sinceEpoch() uint32 { return uint32(time.Since(epoch).Microseconds()) }
