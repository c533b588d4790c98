// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"github.com/hashicorp/go-plugin/internal/panics"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// panicInterceptors returns what a gRPC server needs to answer panics: nothing for
// a nil f. Interceptors of the plugin's own that come later in the chain see a panic
// first.
func panicInterceptors(f panics.Func) []grpc.ServerOption {
	p := panicAnswers(f)
	if p == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(p.unary), grpc.ChainStreamInterceptor(p.stream)}
}

// panicAnswers answers the panics of gRPC methods.
type panicAnswers panics.Func

func (p panicAnswers) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	returned := false
	defer p.answer(ctx, info.FullMethod, &returned, &err)
	reply, err = handler(ctx, req)
	_ = status.Convert(err)
	returned = true
	return reply, err
}

func (p panicAnswers) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	returned := false
	defer p.answer(stream.Context(), info.FullMethod, &returned, &err)
	err = handler(srv, stream)
	// gRPC asks an error for its text, outside of any interceptor. A nil pointer
	// in an error panics there.
	_ = status.Convert(err)
	returned = true
	return err
}

// answer is deferred by what calls a method.
func (p panicAnswers) answer(ctx context.Context, method string, returned *bool, err *error) {
	if *returned {
		return
	}
	value := recover()
	failure := status.New(codes.Internal, p(method, value))
	*err = failure.Err()
	// When the method has ended its goroutine, nobody gets this error: it has to
	// be written from here. gRPC's own streams can do that.
	stream, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ WriteStatus(*status.Status) error })
	if value == nil && ok {
		_ = stream.WriteStatus(failure)
	}
}
