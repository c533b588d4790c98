// SPDX-License-Identifier: MPL-2.0

package balancer

import "sync/atomic"

const (
	// stickyCalls is how many calls in a row an endpoint gets at most. Then
	// there is another draw, so that calls are spread after all, and one that
	// fails quickly does not attract everything.
	stickyCalls = 128
	// stickyPause is how soon a pick must follow the one before, in
	// microseconds. Later the endpoint is as cold as any other.
	stickyPause = 1000
)

// stickyPick remembers the candidate that was drawn last. While it is idle, the next
// call goes there too: the caches and the threads of both sides are warm, where another
// endpoint's would have to be woken first. The zero value remembers nothing.
type stickyPick struct {
	// state is one word, so that it changes at once: the candidate's index in 24 bits,
	// how many more calls it gets in 8, and the time of the last pick in 32.
	state atomic.Uint64
}

func pack(index, left int, now uint32) uint64 {
	return uint64(index)<<40 | uint64(left)<<32 | uint64(now)
}

// begin is told of a draw. Times are in microseconds, and begin anew every 71 minutes:
// then a candidate of so long ago may get one more call.
func (s *stickyPick) begin(index int, now uint32) { s.state.Store(pack(index, stickyCalls-1, now)) }

// next gives the index of the candidate to stay with, or false.
func (s *stickyPick) next(now uint32) (index int, ok bool) {
	state := s.state.Load()
	index, left, at := int(state>>40), int(state>>32&0xff), uint32(state)
	if left == 0 || now-at > stickyPause {
		return 0, false
	}
	// Of two picks at the same time one goes elsewhere.
	return index, s.state.CompareAndSwap(state, pack(index, left-1, now))
}

// end makes the next pick a draw.
func (s *stickyPick) end() { s.state.Store(0) }
