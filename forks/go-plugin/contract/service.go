// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
)

// Method is one method of a service; [Unary] makes it.
type Method func(service string, to *grpc.ServiceDesc)

// Unary is a method with one request and one answer, which the server sets.
func Unary[In, Out any](name string, serve func(ctx context.Context, in *In, out *Out) error) Method {
	return func(service string, to *grpc.ServiceDesc) {
		full := "/" + service + "/" + name
		handle := func(ctx context.Context, in any) (any, error) {
			out := new(Out)
			if err := serve(ctx, in.(*In), out); err != nil {
				return nil, err
			}
			return out, nil
		}
		to.Methods = append(to.Methods, grpc.MethodDesc{
			MethodName: name,
			Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				in := new(In)
				if err := decode(in); err != nil {
					return nil, err
				}
				if interceptor == nil {
					return handle(ctx, in)
				}
				return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, handle)
			},
		})
	}
}

// Register registers a service, by its full name, with a gRPC server. file is the path of
// the .proto file by which reflection finds it.
func Register(to grpc.ServiceRegistrar, service, file string, methods ...Method) {
	desc := &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil), Metadata: file}
	for _, add := range methods {
		add(service, desc)
	}
	to.RegisterService(desc, struct{}{})
}

// NoImplementation is the error of a plugin that has nothing to serve.
func NoImplementation(kind string) error {
	return fmt.Errorf("%s: this plugin has no implementation to serve", kind)
}
