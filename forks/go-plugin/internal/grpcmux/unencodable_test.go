// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"errors"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// failing is a codec that cannot encode, and lets others run meanwhile.
type failing struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (failing) Marshal(any) (mem.BufferSlice, error) {
	for range 100 {
		runtime.Gosched()
	}
	return nil, errors.New("it cannot be encoded")
}

// A message that cannot be encoded ends its stream, also for those that wait for the plugin:
// no connection was lost.
func TestUnencodableWhileOthersWait(t *testing.T) {
	bothWays(t, func(t *testing.T, w way) {
		s := newSession(t, w, &service{stream: func(stream grpc.ServerStream) error {
			<-stream.Context().Done()
			return nil
		}})
		waits := map[string]func(grpc.ClientStream) error{
			"message": func(s grpc.ClientStream) error { return s.RecvMsg(new(Text)) },
			"header":  func(s grpc.ClientStream) error { _, err := s.Header(); return err },
		}
		for name, wait := range waits {
			for range 30 {
				stream, err := s.NewStream(t.Context(), bidirectional, streamMethod, grpc.ForceCodecV2(failing{encoding.GetCodecV2(proto.Name)}))
				if err != nil {
					t.Fatal(err)
				}
				begun, told := make(chan struct{}), make(chan error, 1)
				go func() {
					close(begun)
					told <- wait(stream)
				}()
				<-begun
				sent := stream.SendMsg(text("x"))
				received := <-told
				if status.Code(sent) != codes.Internal || !errors.Is(received, sent) || errors.Is(received, peererr.ErrConnectionLost) {
					t.Fatalf("%s: the sender is told %v, and who waits %v", name, sent, received)
				}
			}
		}
	})
}
