// Copyright IBM Corp. 2016, 2025
// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/connectivity"
)

// samples are the states of a connection that a watcher sees, one by one. After the last
// nothing happens any more.
type samples struct {
	left []connectivity.State
	end  context.CancelFunc
}

func (s *samples) GetState() connectivity.State { return s.left[0] }

// WaitForStateChange reports a change also if the state is the same again by now, as gRPC's
// does.
func (s *samples) WaitForStateChange(context.Context, connectivity.State) bool {
	if len(s.left) == 1 {
		s.end()
		return false
	}
	s.left = s.left[1:]
	return true
}

// TestShortReady holds that a plugin which leaves at once is noticed, though nobody has seen
// that its connection was ready.
func TestShortReady(t *testing.T) {
	const idle, connecting, ready, failure = connectivity.Idle, connectivity.Connecting, connectivity.Ready, connectivity.TransientFailure
	for name, c := range map[string]struct {
		seen   []connectivity.State
		leaves bool
	}{
		"each is seen":           {[]connectivity.State{idle, connecting, ready, idle}, true},
		"READY is not seen":      {[]connectivity.State{connecting, idle}, true},
		"only IDLE is seen":      {[]connectivity.State{idle, idle}, true},
		"it connects again":      {[]connectivity.State{connecting, ready, connecting}, true},
		"it fails after READY":   {[]connectivity.State{ready, failure}, true},
		"it stays":               {[]connectivity.State{idle, connecting, ready}, false},
		"it cannot be connected": {[]connectivity.State{idle, connecting, failure, connecting}, false},
		"nothing happens":        {[]connectivity.State{idle}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := watchLeave(ctx, &samples{slices.Clone(c.seen), cancel}); (err == nil) != c.leaves {
				t.Errorf("after %v: %v", c.seen, err)
			}
		})
	}
}
