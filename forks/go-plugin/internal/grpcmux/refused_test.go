// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

// A plugin that leaves takes no more calls. Whoever makes one learns that it was surely not
// run, so that it may go elsewhere: gRPC names no peer of such a call.
func TestRefused(t *testing.T) {
	calls := map[string]func(*session, *peer.Peer) error{
		"unary": func(s *session, from *peer.Peer) error {
			return s.Invoke(t.Context(), unaryMethod, text("x"), new(Text), grpc.Peer(from))
		},
		"unary without its connection": func(s *session, from *peer.Peer) error {
			sent, err := s.client.Invoke(t.Context(), s.ClientConn, unaryMethod, text("x"), new(Text), []grpc.CallOption{grpc.Peer(from)})
			if sent != (from.Addr != nil) {
				t.Errorf("sent: %v, to %v", sent, from.Addr)
			}
			return err
		},
		"stream": func(s *session, from *peer.Peer) error {
			stream, err := s.NewStream(t.Context(), bidirectional, streamMethod, grpc.Peer(from))
			if err != nil {
				return err
			}
			return stream.RecvMsg(new(Text))
		},
		"header of a stream": func(s *session, from *peer.Peer) error {
			stream, err := s.NewStream(t.Context(), bidirectional, streamMethod, grpc.Peer(from))
			if err != nil {
				return err
			}
			_, err = stream.Header()
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w way) {
				var leaves atomic.Bool
				s := newSession(t, w, &service{leaves: &leaves,
					unary:  func(context.Context, *Text) (*Text, error) { return nil, errors.New("it was run") },
					stream: func(grpc.ServerStream) error { return errors.New("it was run") },
				})
				var from peer.Peer
				if err := call(s, &from); errors.Is(err, peererr.ErrConnectionLost) || from.Addr == nil {
					t.Fatalf("a call that is run ends with %v, of %v", err, from.Addr)
				}
				leaves.Store(true)
				err := call(s, &from)
				if !errors.Is(err, peererr.ErrConnectionLost) || status.Code(err) != codes.Unavailable {
					t.Errorf("the call ends with %v, want Unavailable, and as one that was lost", err)
				}
				if from.Addr != nil {
					t.Errorf("the call was sent to %v, though it was not run", from.Addr)
				}
			})
		})
	}
}
