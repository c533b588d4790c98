// SPDX-License-Identifier: MPL-2.0

package counter

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// GRPCPlugin carries a Counter over gRPC.
type GRPCPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	// Impl is what a plugin serves. A host leaves it nil.
	Impl Counter
}

// GRPCServer implements plugin.GRPCPlugin.
func (p *GRPCPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "chaos.Counter",
		HandlerType: (*Counter)(nil),
		Methods: []grpc.MethodDesc{
			method("Add", Counter.Add), method("Get", Counter.Get),
			method("AddOrPanic", Counter.AddOrPanic), method("GetOrPanic", Counter.GetOrPanic),
		},
	}, p.Impl)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (p *GRPCPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &grpcClient{ctx, conn}, nil
}

// method is what generated code would be.
func method(name string, f func(Counter, string) (string, error)) grpc.MethodDesc {
	run := func(srv any) grpc.UnaryHandler {
		return func(_ context.Context, in any) (any, error) {
			answer, err := f(srv.(Counter), in.(*wrapperspb.StringValue).GetValue())
			return wrapperspb.String(answer), err
		}
	}
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		if intercept == nil {
			return run(srv)(ctx, in)
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/chaos.Counter/" + name}, run(srv))
	}}
}

type grpcClient struct {
	ctx  context.Context
	conn grpc.ClientConnInterface
}

func (c *grpcClient) Add(id string) (string, error)        { return c.call("Add", id) }
func (c *grpcClient) Get(id string) (string, error)        { return c.call("Get", id) }
func (c *grpcClient) AddOrPanic(id string) (string, error) { return c.call("AddOrPanic", id) }
func (c *grpcClient) GetOrPanic(id string) (string, error) { return c.call("GetOrPanic", id) }

func (c *grpcClient) call(method, id string) (string, error) {
	answer := new(wrapperspb.StringValue)
	err := c.conn.Invoke(c.ctx, "/chaos.Counter/"+method, wrapperspb.String(id), answer)
	return answer.GetValue(), err
}
