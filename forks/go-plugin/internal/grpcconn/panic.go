// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/panics"
)

// AnswerPanics makes a gRPC server answer a call whose method panics, unless f is nil.
// Interceptors of the plugin's own that come later in the chain see a panic first.
func AnswerPanics(f panics.Func) []grpc.ServerOption {
	if f == nil {
		return nil
	}
	return AnswerPanicsOf(func(context.Context) panics.Func { return f })
}

// AnswerPanicsOf does so with what f returns for the context of the call.
func AnswerPanicsOf(f func(context.Context) panics.Func) []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(AnswerUnaryPanics(f)), grpc.ChainStreamInterceptor(AnswerStreamPanics(f))}
}

// AnswerUnaryPanics is the interceptor that AnswerPanicsOf gives to unary calls.
func AnswerUnaryPanics(f func(context.Context) panics.Func) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
		err = answerPanic(ctx, info.FullMethod, f, func() error {
			reply, err = next(ctx, req)
			return err
		})
		return reply, err
	}
}

// AnswerStreamPanics is that of streams.
func AnswerStreamPanics(f func(context.Context) panics.Func) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		return answerPanic(stream.Context(), info.FullMethod, f, func() error { return next(srv, stream) })
	}
}

// answerPanic runs a method, and returns its error or that of its panic.
func answerPanic(ctx context.Context, method string, f func(context.Context) panics.Func, run func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		failure := status.New(codes.Internal, f(ctx)(method, value))
		err = failure.Err()
		// When the method has ended its goroutine, nobody gets this error: it has to
		// be written from here. gRPC's own streams can do that.
		stream, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ WriteStatus(*status.Status) error })
		if value == nil && ok {
			_ = stream.WriteStatus(failure)
		}
	}()
	err = run()
	// gRPC asks an error for its text, outside of any interceptor. A nil pointer
	// in an error panics there.
	_ = status.Convert(err)
	returned = true
	return err
}
