// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// Hundreds of callers at once, whose requests do not leave in one frame, and so come after the
// beginnings of all others: they are no streams that nobody takes.
func TestCrowdOfMiddlingRequests(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		s := newSession(t, w, &service{unary: func(_ context.Context, in *Text) (*Text, error) { return in, nil }})
		for _, size := range []int{5 << 10, 20 << 10} {
			text := &Text{Value: strings.Repeat("a", size)}
			var callers wait.Group
			for range 500 {
				callers.Go(func() {
					reply := new(Text)
					if err := s.Invoke(t.Context(), unaryMethod, text, reply); err != nil {
						t.Errorf("%d bytes: %v", size, err)
					}
				})
			}
			callers.Wait()
		}
	})
}

// TestCallsBeyondTheStreams has more callers than a session may have streams. Each of them is
// told that its call was not run, or has its answer, and afterwards there is room again.
func TestCallsBeyondTheStreams(t *testing.T) {
	const most, more = 4096, 10 // streams
	var running atomic.Int64
	gate := make(chan struct{})
	s := newSession(t, direct, &service{unary: func(_ context.Context, in *Text) (*Text, error) {
		running.Add(1)
		<-gate
		return in, nil
	}})
	var callers wait.Group
	defer callers.Wait()
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	call := func(p *peer.Peer) error { return s.Invoke(t.Context(), unaryMethod, &Text{}, &Text{}, grpc.Peer(p)) }
	for range most {
		callers.Go(func() {
			if err := call(new(peer.Peer)); err != nil {
				t.Error(err)
			}
		})
	}
	testkit.Eventually(t, "all calls run", func() bool { return running.Load() == most })
	for range more {
		var p peer.Peer
		if err := call(&p); status.Code(err) != codes.Unavailable || p.Addr != nil {
			t.Errorf("one more call, sent to %v: %v", p.Addr, err)
		}
	}
	open()
	callers.Wait()
	if err := call(new(peer.Peer)); err != nil {
		t.Error(err)
	}
}

// TestCallsBeyondTheHeaders has calls whose metadata are more than a session may have under way.
// Each is run, or its caller is told that it was not.
func TestCallsBeyondTheHeaders(t *testing.T) {
	const callers, size = 2200, 8 << 10
	var begun, run, failed atomic.Int64
	gate := make(chan struct{})
	s := newSession(t, direct, &service{unary: func(_ context.Context, in *Text) (*Text, error) {
		begun.Add(1)
		<-gate
		return in, nil
	}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "key", strings.Repeat("a", size))
	var group wait.Group
	for range callers {
		group.Go(func() {
			var p peer.Peer
			err := s.Invoke(ctx, unaryMethod, &Text{}, &Text{}, grpc.Peer(&p))
			if err == nil {
				run.Add(1)
				return
			}
			failed.Add(1)
			if status.Code(err) != codes.Unavailable || p.Addr != nil {
				t.Errorf("sent to %v: %v", p.Addr, err)
			}
		})
	}
	testkit.Eventually(t, "all calls run or were not sent", func() bool { return begun.Load()+failed.Load() == callers })
	close(gate)
	group.Wait()
	if run.Load() != begun.Load() || failed.Load() == 0 {
		t.Errorf("%d calls have begun, %d answers, %d failures", begun.Load(), run.Load(), failed.Load())
	}
}
