// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestCallsOfABurst holds the bound on calls that begin at once, before any of them is
// where calls are counted.
func TestCallsOfABurst(t *testing.T) {
	s := &Session{service: new(Service)}
	var entered atomic.Int64
	lefts := make(chan func(), 2*maxCalls)
	var all sync.WaitGroup
	for range 2 * maxCalls {
		all.Add(1)
		go func() {
			defer all.Done()
			if left := s.enterCall(); left != nil {
				entered.Add(1)
				lefts <- left
			}
		}()
	}
	all.Wait()
	close(lefts)
	if n := entered.Load(); n != maxCalls {
		t.Errorf("%d calls run, want %d", n, maxCalls)
	}
	for left := range lefts {
		left()
	}
	if left := s.enterCall(); left == nil {
		t.Error("no call may begin when all have ended")
	} else {
		left()
	}
}
