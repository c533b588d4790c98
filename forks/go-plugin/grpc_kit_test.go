// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
)

// relay is the gRPC plugin of these tests. It is both the plugin and, on the
// host, its stub.
type relay struct {
	plugin.NetRPCUnsupportedPlugin
	name string
	held chan struct{} // one token for each call that holds
	gate chan struct{} // closed: holding calls go on

	broker *plugin.GRPCBroker
	conn   grpc.ClientConnInterface
}

func newRelay(name string) *relay {
	return &relay{name: name, held: make(chan struct{}, 1000), gate: make(chan struct{})}
}

func (r *relay) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	served := *r
	served.broker = b
	s.RegisterService(relayDesc(), &served)
	return nil
}

func (r *relay) GRPCClient(_ context.Context, b *plugin.GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return &relay{broker: b, conn: conn}, nil
}

type relayFunc func(r *relay, ctx context.Context, text string) (string, error)

// relayDesc is what generated code would be.
func relayDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Relay",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			relayMethod("Name", func(r *relay, _ context.Context, text string) (string, error) { return r.name + text, nil }),
			relayMethod("Hold", func(r *relay, ctx context.Context, _ string) (string, error) { return r.name, r.hold(ctx) }),
			relayMethod("Busy", (*relay).busy),
			relayMethod("Via", (*relay).via),
			relayMethod("Open", (*relay).open),
			relayMethod("Late", (*relay).late),
			relayMethod("Lend", (*relay).lend),
		},
		Streams: []grpc.StreamDesc{{StreamName: "Count", Handler: countStream, ServerStreams: true}},
	}
}

func relayMethod(name string, f relayFunc) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, icpt grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, req any) (any, error) {
			text, err := f(srv.(*relay), ctx, req.(*wrapperspb.StringValue).GetValue())
			return wrapperspb.String(text), err
		}
		if icpt == nil {
			return handler(ctx, in)
		}
		return icpt(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Relay/" + name}, handler)
	}}
}

func (r *relay) hold(ctx context.Context) error {
	r.held <- struct{}{}
	select {
	case <-r.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errBusy = status.Error(codes.Unavailable, "the plugin is busy")

// busy fails with the code that a lost connection has.
func (r *relay) busy(ctx context.Context, how string) (string, error) {
	if how == "header" {
		_ = grpc.SendHeader(ctx, metadata.Pairs("early", "yes"))
	}
	return "", errBusy
}

// via calls the host back on a brokered id.
func (r *relay) via(ctx context.Context, id string) (string, error) {
	return askBroker(ctx, r.broker, parseID(id))
}

// late is via once the gate is open.
func (r *relay) late(ctx context.Context, id string) (string, error) {
	if err := r.hold(ctx); err != nil {
		return "", err
	}
	return r.via(ctx, id)
}

// open serves a relay on an id of the plugin's, which it returns.
func (r *relay) open(_ context.Context, text string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, serveRelay(r.name+text))
	return fmt.Sprint(id), nil
}

// lend serves this very relay on an id, until the session ends.
func (r *relay) lend(context.Context, string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
		server := grpc.NewServer(opts...)
		server.RegisterService(relayDesc(), r)
		return server
	})
	return fmt.Sprint(id), nil
}

// countStream sends two messages and then does what it was told.
func countStream(srv any, stream grpc.ServerStream) error {
	in := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	for i := range 2 {
		if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	if in.GetValue() == "busy" {
		return errBusy
	}
	return srv.(*relay).hold(stream.Context())
}

// call is a unary call of the stub.
func (r *relay) call(ctx context.Context, method, text string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := r.conn.Invoke(ctx, "/test.Relay/"+method, wrapperspb.String(text), out)
	return out.GetValue(), err
}

// count opens the stream of the stub and reads its two messages.
func (r *relay) count(ctx context.Context, then string) (grpc.ClientStream, error) {
	stream, err := r.conn.NewStream(ctx, &relayDesc().Streams[0], "/test.Relay/Count")
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(wrapperspb.String(then)); err != nil {
		return nil, err
	}
	for range 2 {
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			return nil, err
		}
	}
	return stream, stream.CloseSend()
}

// callback lets the plugin call back to a relay of that name.
func (r *relay) callback(ctx context.Context, method, name string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, serveRelay(name))
	return r.call(ctx, method, fmt.Sprint(id))
}

// opened calls a relay that the plugin serves on an id of its own.
func (r *relay) opened(ctx context.Context, text string) (string, error) {
	id, err := r.call(ctx, "Open", text)
	if err != nil {
		return "", err
	}
	return askBroker(ctx, r.broker, parseID(id))
}

func askBroker(ctx context.Context, b *plugin.GRPCBroker, id uint32) (string, error) {
	conn, err := b.Dial(id)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return (&relay{conn: conn}).call(ctx, "Name", "")
}

// serveRelay makes a server that stops after its first call.
func serveRelay(name string) func([]grpc.ServerOption) *grpc.Server {
	return func(opts []grpc.ServerOption) *grpc.Server {
		var server *grpc.Server
		opts = append(opts, grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			defer func() { go server.GracefulStop() }()
			return next(ctx, req)
		}))
		server = grpc.NewServer(opts...)
		server.RegisterService(relayDesc(), newRelay(name))
		return server
	}
}

func parseID(text string) (id uint32) {
	_, _ = fmt.Sscan(text, &id)
	return id
}
