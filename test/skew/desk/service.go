// SPDX-License-Identifier: MPL-2.0

package desk

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// service is what generated code would be.
var service = grpc.ServiceDesc{
	ServiceName: "skew.Desk",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("Greet", func(s *grpcServer, _ context.Context, in *wrapperspb.StringValue) (string, error) {
			return s.impl.Greet(in.GetValue())
		}),
		method("Refuse", func(s *grpcServer, _ context.Context, in *wrapperspb.StringValue) (string, error) {
			return "", s.impl.Refuse(in.GetValue())
		}),
		method("Say", func(s *grpcServer, _ context.Context, in *wrapperspb.StringValue) (string, error) {
			return "", s.impl.Say(in.GetValue())
		}),
		method("Ask", func(s *grpcServer, ctx context.Context, in *wrapperspb.BytesValue) (string, error) {
			return s.ask(ctx, in.GetValue())
		}),
	},
	Streams: []grpc.StreamDesc{{StreamName: "Count", ServerStreams: true, Handler: count}},
}

// message is a pointer to one.
type message[T any] interface {
	*T
	proto.Message
}

func method[T any, M message[T]](name string, run func(*grpcServer, context.Context, M) (string, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := M(new(T))
		if err := decode(in); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, in any) (any, error) {
			answer, err := run(srv.(*grpcServer), ctx, in.(M))
			return wrapperspb.String(answer), err
		}
		if intercept == nil {
			return handle(ctx, in)
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/skew.Desk/" + name}, handle)
	}}
}

func count(srv any, stream grpc.ServerStream) error {
	n := new(wrapperspb.Int64Value)
	if err := stream.RecvMsg(n); err != nil {
		return err
	}
	var lost error
	err := srv.(*grpcServer).impl.Count(int(n.GetValue()), func(number int) {
		if lost == nil {
			lost = stream.SendMsg(wrapperspb.Int64(int64(number)))
		}
	})
	if err == nil {
		err = lost
	}
	return err
}
