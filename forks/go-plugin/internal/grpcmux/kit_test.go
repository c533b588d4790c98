// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/mux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Text is the message of the tests' service.
type Text = wrapperspb.StringValue

// service is what the tests' plugin serves.
type service struct {
	unary  func(context.Context, *Text) (*Text, error)
	stream func(grpc.ServerStream) error
}

const (
	unaryMethod  = "/test.Service/Unary"
	streamMethod = "/test.Service/Stream"
)

var description = grpc.ServiceDesc{
	ServiceName: "test.Service",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
		in := new(Text)
		if err := dec(in); err != nil {
			return nil, err
		}
		run := func(ctx context.Context, req any) (any, error) { return srv.(*service).unary(ctx, req.(*Text)) }
		if chain == nil {
			return run(ctx, in)
		}
		return chain(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: unaryMethod}, run)
	}}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Stream", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(*service).stream(stream) },
	}},
}

// session is a session of gRPC calls with a plugin in this process.
type session struct {
	*grpc.ClientConn
	host   *mux.Host
	plugin *mux.Plugin
}

// newSession starts a session on a TCP connection.
func newSession(t testing.TB, s *service, opts ...grpc.ServerOption) *session {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	here, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(opts, grpc.ChainStreamInterceptor(received))...)
	server.RegisterService(&description, s)
	calls := grpcmux.NewServer(context.Background(), server, there, nil, func() func() { return func() {} })
	plugin := mux.NewPlugin(there, mux.PluginConfig{
		Unary:  calls.Serve,
		Accept: mux.Acceptors{mux.Call: calls.Accept, mux.UnaryCall: calls.Accept},
	})
	served := make(chan error, 1)
	go func() { served <- plugin.Serve() }()
	host := mux.NewHost(here, mux.HostConfig{})
	host.KeepReading()
	client := grpcmux.NewClient(host, peer.Peer{Addr: here.RemoteAddr(), LocalAddr: here.LocalAddr()})
	conn, err := grpc.NewClient("passthrough:///unused", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(client.Unary), grpc.WithStreamInterceptor(client.Stream),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			t.Error("a call is left to HTTP/2")
			return nil, net.ErrClosed
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = host.Close()
		<-served
		server.Stop()
	})
	return &session{conn, host, plugin}
}

// received lets more of a request come when a message of it was taken.
func received(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, receiver{stream})
}

type receiver struct{ grpc.ServerStream }

func (r receiver) RecvMsg(msg any) error {
	defer grpcmux.Received(r.Context())
	return r.ServerStream.RecvMsg(msg)
}

func text(s string) *Text { return &Text{Value: s} }
