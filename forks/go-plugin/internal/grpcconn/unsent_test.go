// SPDX-License-Identifier: MPL-2.0

package grpcconn_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// fails is a compressor that does not compress.
type fails struct{}

func (fails) Name() string                               { return "fails" }
func (fails) Compress(io.Writer) (io.WriteCloser, error) { return nil, errors.New("no room") }
func (fails) Decompress(r io.Reader) (io.Reader, error)  { return r, nil }

// TestRequestThatCannotBeSent has calls whose requests gRPC cannot send, which it learns when
// their streams are open: no peer is named. The plugin may answer in the same words.
func TestRequestThatCannotBeSent(t *testing.T) {
	encoding.RegisterCompressor(fails{})
	same := status.Error(codes.Internal, "grpc: error while marshaling: my own")
	conn, _ := serve(t, func(context.Context) error { return same })
	cases := map[string]struct {
		request any
		option  grpc.CallOption
		sent    bool
	}{
		"no message":        {"text", grpc.EmptyCallOption{}, false},
		"too large":         {wrapperspb.String("text"), grpc.MaxCallSendMsgSize(1), false},
		"not compressed":    {wrapperspb.String("text"), grpc.UseCompressor("fails"), false},
		"answered the same": {wrapperspb.String("text"), grpc.EmptyCallOption{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var from peer.Peer
			err := conn.Invoke(t.Context(), fullMethod, tc.request, new(wrapperspb.StringValue), tc.option, grpc.Peer(&from))
			if sent := from.Addr != nil; err == nil || sent != tc.sent {
				t.Errorf("the call says %v, of %v", err, from.Addr)
			}
		})
	}
}
