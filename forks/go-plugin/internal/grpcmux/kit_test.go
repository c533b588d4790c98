// SPDX-License-Identifier: MPL-2.0

package grpcmux_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
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
	bound  int              // of a message, in bytes; zero: none
	codec  encoding.CodecV2 // of the server; nil: that of protobuf
	leaves *atomic.Bool     // it takes no more calls; nil: it does
}

const (
	unaryMethod  = "/test.Service/Unary"
	streamMethod = "/test.Service/Stream"
)

var description = grpc.ServiceDesc{
	ServiceName: "test.Service",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: _Service_Unary_Handler}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Stream", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(*service).stream(stream) },
	}},
}

// _Service_Unary_Handler has the name that protoc-gen-go-grpc would give it.
func _Service_Unary_Handler(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
	in := new(Text)
	if err := dec(in); err != nil {
		return nil, err
	}
	run := func(ctx context.Context, req any) (any, error) { return srv.(*service).unary(ctx, req.(*Text)) }
	if chain == nil {
		return run(ctx, in)
	}
	return chain(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: unaryMethod}, run)
}

// session is a session of gRPC calls with a plugin in this process.
type session struct {
	*grpc.ClientConn
	client *grpcmux.Client
	host   *mux.Host
	plugin *mux.Plugin
	server *counted
}

// counted counts the calls that a grpc.Server makes.
type counted struct {
	*grpc.Server
	calls atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(1)
	c.Server.ServeHTTP(w, r)
}

// way is how the plugin of a session makes its calls.
type way string

const (
	byServer way = "by the grpc.Server"
	direct   way = "without it"
)

// bothWays runs a test of what must be the same by either.
func bothWays(t *testing.T, test func(*testing.T, way)) {
	for _, w := range []way{byServer, direct} {
		t.Run(string(w), func(t *testing.T) { test(t, w) })
	}
}

// newSession starts a session on a TCP connection.
func newSession(t testing.TB, w way, s *service) *session {
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
	return newSessionOn(t, w, s, here, there)
}

// newSessionOn starts a session on a connection, of which it owns both ends.
func newSessionOn(t testing.TB, w way, s *service, here, there net.Conn) *session {
	t.Helper()
	var methods *grpcmux.Methods
	var opts []grpc.ServerOption
	if w == direct {
		methods = &grpcmux.Methods{Stream: []grpc.StreamServerInterceptor{received}, MaxMessage: s.bound, Codec: s.codec}
		opts = methods.Options()
	} else {
		opts = append(opts, grpc.ChainStreamInterceptor(received))
	}
	if s.codec != nil {
		opts = append(opts, grpc.ForceServerCodecV2(s.codec))
	}
	if s.bound > 0 {
		opts = append(opts, grpc.MaxRecvMsgSize(s.bound), grpc.MaxSendMsgSize(s.bound))
	}
	server := &counted{Server: grpc.NewServer(opts...)}
	server.RegisterService(&description, s)
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: there.RemoteAddr()})
	calls := grpcmux.NewServer(ctx, server, there, nil, methods, func() func() {
		if s.leaves != nil && s.leaves.Load() {
			return nil
		}
		return func() {}
	})
	plugin := mux.NewPlugin(there, mux.PluginConfig{
		Unary:  calls.Serve,
		Accept: mux.Acceptors{mux.Call: calls.Accept, mux.UnaryCall: calls.Accept},
	})
	served := make(chan error, 1)
	go func() { served <- serve(plugin) }()
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
	client.Conn = conn
	started := &session{conn, client, host, plugin, server}
	if w == direct {
		started.show(t, s)
	}
	return started
}

// serve serves the plugin's side of a session, and returns why that has ended.
func serve(p *mux.Plugin) error {
	ended := make(chan error, 1)
	go p.Serve(func(err error) { ended <- err })
	return <-ended
}

// show has the server run both methods once, which shows them.
func (started *session) show(t testing.TB, s *service) {
	t.Helper()
	real := *s
	s.unary = func(context.Context, *Text) (*Text, error) { return new(Text), nil }
	s.stream = func(grpc.ServerStream) error { return nil }
	if err := started.Invoke(t.Context(), unaryMethod, text(""), new(Text)); err != nil {
		t.Fatal(err)
	}
	stream, err := started.NewStream(t.Context(), bidirectional, streamMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(Text)); err != io.EOF {
		t.Fatal(err)
	}
	*s = real
	started.server.calls.Store(0)
}

// checkWay fails the test if the calls were made in the other way.
func (started *session) checkWay(t testing.TB, w way) {
	t.Helper()
	if n := started.server.calls.Load(); (n > 0) != (w == byServer) {
		t.Errorf("the grpc.Server has made %d calls", n)
	}
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
