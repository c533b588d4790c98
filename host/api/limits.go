// SPDX-License-Identifier: MPL-2.0

package api

import (
	"fmt"
	"sync"
)

// shares bounds how many calls are in flight, all together and of one plugin, so that
// a plugin which does not answer cannot keep the callers of others out.
type shares struct {
	max, each int

	mu    sync.Mutex
	taken int
	of    map[string]int // by plugin; none is zero
}

func newShares(maximum, each int) *shares {
	return &shares{max: maximum, each: each, of: make(map[string]int)}
}

// enter takes a place for a call. The error says that there is none, and for whom;
// without one, leave must follow.
func (s *shares) enter(plugin string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[plugin] >= s.each:
		return fmt.Errorf("%d calls of plugin %q are in flight already", s.each, plugin)
	case s.taken >= s.max:
		return fmt.Errorf("%d calls are in flight already", s.max)
	}
	s.taken++
	s.of[plugin]++
	return nil
}

// leave gives the place back.
func (s *shares) leave(plugin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[plugin]--; s.of[plugin] == 0 {
		delete(s.of, plugin)
	}
}

// gate lets a number of requests in at once.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

// enter reports whether there is room. Whoever got in leaves.
func (g gate) enter() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g gate) leave() { <-g }
