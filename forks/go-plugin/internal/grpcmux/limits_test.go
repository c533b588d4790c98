// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestWhatHTTP2Would holds what docs/architecture.md says of calls that have none: the
// connection stays idle, there is no user agent, and a prepared message is refused.
func TestWhatHTTP2Would(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		var agent []string
		s := newSession(t, w, &service{
			unary: func(ctx context.Context, in *Text) (*Text, error) {
				agent = metadata.ValueFromIncomingContext(ctx, "user-agent")
				return in, nil
			},
			stream: func(stream grpc.ServerStream) error { return stream.RecvMsg(new(Text)) },
		})
		if err := s.Invoke(t.Context(), unaryMethod, &Text{Value: "a"}, new(Text)); err != nil || agent != nil {
			t.Errorf("user agent %q, %v", agent, err)
		}
		if state := s.GetState(); state != connectivity.Idle {
			t.Errorf("the connection is %v", state)
		}
		stream, err := s.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, streamMethod)
		if err != nil {
			t.Fatal(err)
		}
		prepared := new(grpc.PreparedMsg)
		if err := prepared.Encode(stream, &Text{Value: "a"}); status.Code(err) != codes.Internal {
			t.Errorf("a message is prepared: %v", err)
		}
		if err := stream.SendMsg(prepared); status.Code(err) != codes.Internal {
			t.Errorf("a prepared message is sent: %v", err)
		}
		_ = stream.CloseSend()
		_ = stream.RecvMsg(new(Text))
	})
}
