// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/calls"
)

// AroundUnary has around run unary calls, but for those of the session itself.
func AroundUnary(around calls.Around) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
		if IsSessionMethod(info.FullMethod) {
			return next(ctx, req)
		}
		around(ctx, calls.Served{Protocol: "grpc", Method: info.FullMethod}, func(ctx context.Context) error {
			reply, err = next(ctx, req)
			return err
		})
		return reply, err
	}
}

// AroundStream is AroundUnary for calls with streams.
func AroundStream(around calls.Around) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		if IsSessionMethod(info.FullMethod) {
			return next(srv, stream)
		}
		around(stream.Context(), calls.Served{Protocol: "grpc", Method: info.FullMethod}, func(ctx context.Context) error {
			err = next(srv, &aroundStream{stream, ctx})
			return err
		})
		return err
	}
}

// aroundStream is a stream whose context is that which the Around gives.
type aroundStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *aroundStream) Context() context.Context { return s.ctx }

// AroundOptions have a server run its calls within around, if there is one.
func AroundOptions(around calls.Around) []grpc.ServerOption {
	if around == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(AroundUnary(around)), grpc.ChainStreamInterceptor(AroundStream(around))}
}
