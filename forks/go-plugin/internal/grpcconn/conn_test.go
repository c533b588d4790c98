// SPDX-License-Identifier: MPL-2.0

package grpcconn_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// method is what the plugin of these tests does with a call.
type method func(ctx context.Context) error

const fullMethod = "/test.Plugin/Call"

// serve serves the method on a real socket and returns a connection to it.
func serve(t *testing.T, run method, options ...grpc.ServerOption) (*grpc.ClientConn, *grpc.Server) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Plugin", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			handler := func(ctx context.Context, _ any) (any, error) { return in, run(ctx) }
			if intercept == nil {
				return handler(ctx, in)
			}
			return intercept(ctx, in, &grpc.UnaryServerInfo{FullMethod: fullMethod}, handler)
		},
	}}}, struct{}{})
	var serving sync.WaitGroup
	serving.Add(1)
	go func() {
		defer serving.Done()
		_ = server.Serve(lis)
	}()
	conn, err := grpcconn.New(grpcconn.Config{
		Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	return conn, server
}

func call(ctx context.Context, conn *grpc.ClientConn) error {
	return conn.Invoke(ctx, fullMethod, wrapperspb.String(""), new(wrapperspb.StringValue))
}

// TestWhoseErrorItIs has errors of the same code from the plugin and from the connection.
func TestWhoseErrorItIs(t *testing.T) {
	busy := status.Error(codes.Unavailable, "closing transport due to my own reasons")
	cases := map[string]struct {
		reason string
		run    func(ctx context.Context, stop func()) error
		lost   bool
	}{
		"Answer": {"Its trailers came from the plugin.", func(context.Context, func()) error { return busy }, false},
		"AnswerAfterHeader": {"Its trailers hold nothing that gRPC shows.", func(ctx context.Context, _ func()) error {
			_ = grpc.SendHeader(ctx, metadata.Pairs("a", "b"))
			return busy
		}, false},
		"Lost": {"There is no answer.", func(ctx context.Context, stop func()) error { go stop(); <-ctx.Done(); return nil }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var server *grpc.Server
			conn, server := serve(t, func(ctx context.Context) error { return tc.run(ctx, func() { server.Stop() }) })
			err := call(t.Context(), conn)
			if errors.Is(err, peererr.ErrConnectionLost) != tc.lost || status.Code(err) != codes.Unavailable {
				t.Errorf("%s\nthe call says %v", tc.reason, err)
			}
		})
	}
}

func TestCallsAfterCloseAreLost(t *testing.T) {
	conn, _ := serve(t, func(context.Context) error { return nil })
	if err := call(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := call(t.Context(), conn); !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("a call after Close says %v", err)
	}
}

// nilError panics where gRPC asks an error for its text.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestPanicsAreAnswered(t *testing.T) {
	text := panics.Func(func(method string, value any) string { return method + " failed" })
	for name, run := range map[string]method{
		"Panic":    func(context.Context) error { panic("no") },
		"NilError": func(context.Context) error { return (*nilError)(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			conn, _ := serve(t, run, grpcconn.AnswerPanics(text)...)
			err := call(t.Context(), conn)
			if status.Code(err) != codes.Internal || status.Convert(err).Message() != fullMethod+" failed" {
				t.Errorf("the call says %v", err)
			}
		})
	}
}

func TestTextsOfErrorsAreBounded(t *testing.T) {
	const most = 1 << 20
	long := status.Error(codes.Aborted, strings.Repeat("x", most+1))
	if got := status.Convert(grpcconn.BoundStatus(long, most)); len(got.Message()) > most || got.Code() != codes.Aborted {
		t.Errorf("%d bytes, %v", len(got.Message()), got.Code())
	}
	short := status.Error(codes.Aborted, "x")
	if got := grpcconn.BoundStatus(short, most); got != short {
		t.Errorf("a short error became %v", got)
	}
	if err := grpcconn.BoundStatus(nil, most); err != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestDialOnce(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	dial := grpcconn.DialOnce(here)
	if conn, err := dial(t.Context()); conn != here || err != nil {
		t.Errorf("the first dial gives %v, %v", conn, err)
	}
	if conn, err := dial(t.Context()); conn != nil || !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("the second dial gives %v, %v", conn, err)
	}
}

func TestSessionMethods(t *testing.T) {
	for method, want := range map[string]bool{
		"/plugin.GRPCBroker/StartStream": true, "/grpc.health.v1.Health/Check": true,
		"/test.Relay/Hold": false, "/plugin.GRPCBrokerage/X": false, "": false, "/": false, "odd": false,
	} {
		if got := grpcconn.IsSessionMethod(method); got != want {
			t.Errorf("IsSessionMethod(%q) = %v", method, got)
		}
	}
}
