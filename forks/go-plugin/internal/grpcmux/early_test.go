// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Whoever makes a unary call may use the bytes of its long request again as soon as it
// returns, even if the plugin has not taken them all: the race detector tells who reads them
// later.
func TestBytesAreFreeAfterEarlyReturn(t *testing.T) {
	for name, want := range map[string]codes.Code{"answered": codes.Aborted, "cancelled": codes.Canceled} {
		t.Run(name, func(t *testing.T) { bothWays(t, func(t *testing.T, w way) { testEarlyReturn(t, w, want) }) })
	}
}

func testEarlyReturn(t *testing.T, w way, want codes.Code) {
	started := make(chan struct{}, 1)
	s := newSession(t, w, &service{stream: func(stream grpc.ServerStream) error {
		started <- struct{}{}
		if want == codes.Canceled {
			<-stream.Context().Done()
		}
		return status.Error(want, "the request was not read")
	}})
	data := make([]byte, 1<<20)
	for letter := byte('a'); letter < 'i'; letter++ {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			if want == codes.Canceled {
				cancel()
			}
		}()
		err := s.Invoke(ctx, streamMethod, wrapperspb.Bytes(data), new(wrapperspb.BytesValue))
		fill(data, letter)
		cancel()
		if status.Code(err) != want {
			t.Errorf("the call ends with %v, want %v", err, want)
		}
	}
	s.checkWay(t, w)
}
