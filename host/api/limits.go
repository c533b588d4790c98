// SPDX-License-Identifier: MPL-2.0

package api

import (
	"fmt"
	"sync"
)

// shares bounds how many calls are in flight, all together and of one plugin, and how
// many bytes the bodies of one plugin's have, so that a plugin which does not answer
// cannot keep the callers of others out.
type shares struct {
	max, each int
	eachBytes int64

	mu    sync.Mutex
	taken int
	of    map[string]share // by plugin; none is zero
}

// share is what calls of one plugin have taken.
type share struct {
	calls int
	bytes int64
}

func newShares(maximum, each int, eachBytes int64) *shares {
	return &shares{max: maximum, each: each, eachBytes: eachBytes, of: make(map[string]share)}
}

// enter takes a place for a call whose body counts some bytes. The error says that
// there is none, and for whom; without one, leave must follow.
func (s *shares) enter(plugin string, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of[plugin]
	switch {
	case of.calls >= s.each:
		return fmt.Errorf("%d calls of plugin %q are in flight already", s.each, plugin)
	case s.taken >= s.max:
		return fmt.Errorf("%d calls are in flight already", s.max)
	case bytes > 0 && of.calls > 0 && of.bytes+bytes > s.eachBytes:
		return fmt.Errorf("the bodies of calls of plugin %q in flight are as many bytes as this host holds", plugin)
	}
	s.taken++
	s.of[plugin] = share{of.calls + 1, of.bytes + bytes}
	return nil
}

// leave gives the place back.
func (s *shares) leave(plugin string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	of := s.of[plugin]
	if of.calls == 1 {
		delete(s.of, plugin)
		return
	}
	s.of[plugin] = share{of.calls - 1, of.bytes - bytes}
}
