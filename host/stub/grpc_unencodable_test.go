// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

var chatting = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// openChat opens a stream through a stub, which ends with the test.
func openChat(t *testing.T, router balancer.Router) grpc.ClientStream {
	t.Helper()
	routed, err := NewGRPC(Config{Router: router})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = routed.Close() })
	s, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// interceptStreams is a connection whose streams are what open makes of them.
func interceptStreams(t *testing.T, open grpc.StreamClientInterceptor) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///unused", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStreamInterceptor(open))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// heldStream does not tell its sender anything before its reader was told of the end.
type heldStream struct {
	grpc.ClientStream
	told <-chan struct{}
}

// SendMsg implements grpc.ClientStream.
func (s heldStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	<-s.told
	return err
}

// TestStreamWhoseReaderWaits has a codec fail to encode a message of a stream while another
// goroutine waits for the plugin's: both are told of it, and it says nothing of the endpoint,
// whoever is told first.
func TestStreamWhoseReaderWaits(t *testing.T) {
	_, c := grpcPods(t, newLedger())
	c.awaitReady(t, 3)
	own, _ := c.ready[0].ClientConn()
	conns := map[string]*grpc.ClientConn{
		"mux": own,
		"HTTP/2": serveForeign(t, grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			<-s.Context().Done()
			return nil
		}))),
	}
	for name, conn := range conns {
		for _, held := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, held %v", name, held), func(t *testing.T) {
				for range 20 {
					failToEncode(t, conn, held)
				}
			})
		}
	}
}

// failToEncode opens a stream on a connection and fails to send on it.
func failToEncode(t *testing.T, conn *grpc.ClientConn, held bool) {
	t.Helper()
	told := make(chan struct{})
	o := &endings{ends: make(chan balancer.Outcome, 10)}
	o.conn = interceptStreams(t, func(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		s, err := conn.NewStream(ctx, desc, method, opts...)
		if held {
			s = heldStream{s, told}
		}
		return s, err
	})
	s := openChat(t, o)
	waits, received := make(chan struct{}), error(nil)
	go func() {
		defer close(told)
		close(waits)
		received = s.RecvMsg(new(wrapperspb.StringValue))
	}()
	<-waits
	sent := s.SendMsg("no message")
	<-told
	f, ok := Cause(sent)
	if !ok || f.Reason != ReasonArguments || status.Code(sent) != codes.Internal {
		t.Errorf("the sender is told %v", sent)
	}
	// If the reader is told first, it is told what gRPC says.
	if first, _ := Cause(received); !errors.Is(sent, received) || first != nil && first != f {
		t.Errorf("the sender is told %v, and the reader %v", sent, received)
	}
	if got := <-o.ends; got != balancer.Abandoned || len(o.ends) > 0 {
		t.Errorf("the lease ends as %v, and %d times more", got, len(o.ends))
	}
}

// endedStream ends as its reader asks, and its sender's fate is a test's.
type endedStream struct {
	grpc.ClientStream
	opts    []grpc.CallOption
	ends    error
	sending chan struct{} // closed when there is a sender
	send    func() error
}

// RecvMsg implements grpc.ClientStream.
func (s *endedStream) RecvMsg(any) error {
	<-s.sending
	for _, o := range s.opts {
		if o, ok := o.(grpc.OnFinishCallOption); ok {
			o.OnFinish(s.ends)
		}
	}
	return s.ends
}

// SendMsg implements grpc.ClientStream.
func (s *endedStream) SendMsg(any) error {
	close(s.sending)
	return s.send()
}

// TestStreamEndsBesideSender has a stream end for its reader while there is a sender, who ends
// later, in each way. The lease is given back once.
func TestStreamEndsBesideSender(t *testing.T) {
	ends := status.Error(codes.Internal, "the end")
	for name, c := range map[string]struct {
		ends error
		send func() error
		want balancer.Outcome
	}{
		"told the same": {ends, func() error { return ends }, balancer.Abandoned},
		"told little":   {ends, func() error { return io.EOF }, balancer.Answered},
		"sent it":       {ends, func() error { return nil }, balancer.Answered},
		"panicked":      {ends, func() error { panic("codec") }, balancer.Answered},
		"lost":          {errCut, func() error { return io.EOF }, balancer.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan struct{})
			o := &endings{ends: make(chan balancer.Outcome, 10)}
			o.conn = interceptStreams(t, func(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				(&cutStream{opts: opts}).names(new(net.TCPAddr))
				return &endedStream{opts: opts, ends: c.ends, sending: make(chan struct{}), send: func() error {
					<-told
					return c.send()
				}}, nil
			})
			s := openChat(t, o)
			go func() {
				defer close(told)
				_ = s.RecvMsg(nil)
			}()
			func() {
				defer func() { _ = recover() }()
				_ = s.SendMsg(nil)
			}()
			<-told
			if got := <-o.ends; got != c.want || len(o.ends) > 0 {
				t.Errorf("the lease ends as %v, want %v, and %d times more", got, c.want, len(o.ends))
			}
		})
	}
}
