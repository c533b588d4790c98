// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"context"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// superviseCall counts the plugin's calls.
func (s *Service) superviseCall(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx = withPeer(ctx)
	if grpcconn.IsSessionMethod(info.FullMethod) {
		return handler(ctx, req)
	}
	defer s.countCall(ctx)()
	defer s.settleOutput(ctx)
	reply, err := handler(ctx, req)
	return reply, grpcconn.BoundStatus(err, s.cfg.MaxMessage)
}

// superviseStream counts the plugin's streams, and ends the session's own with
// the service: they last as long as the host likes, and would keep the server
// from stopping gracefully.
func (s *Service) superviseStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !grpcconn.IsSessionMethod(info.FullMethod) {
		defer s.countCall(stream.Context())()
		defer s.settleOutput(stream.Context())
		return grpcconn.BoundStatus(handler(srv, &settledStream{ownStream{stream, withPeer(stream.Context())}, s}), s.cfg.MaxMessage)
	}
	stream = &ownStream{stream, withPeer(stream.Context())}
	if info.FullMethod == pluginpb.GRPCStdio_StreamStdio_FullMethodName {
		s.output.Begin()
		defer s.output.End()
		return handler(srv, stream) // sends the rest of the output first
	}
	ending := s.ending
	if session := s.session(stream.Context()); session != nil {
		ending = session.ending
	}
	done := make(chan error, 1)
	// A handler that is left behind ends with the stream's context.
	go func() { done <- handler(srv, stream) }()
	select {
	case err := <-done:
		return err
	case <-ending.Done():
		return nil
	}
}

// ownStream is a stream with the context that its method is to have. It lets more of the
// request come as that is received.
type ownStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *ownStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *ownStream) RecvMsg(m any) error {
	defer grpcmux.Received(s.ctx)
	return s.ServerStream.RecvMsg(m)
}

// settledStream is a stream of the plugin.
type settledStream struct {
	ownStream
	service *Service
}

// SendMsg implements grpc.ServerStream.
func (s *settledStream) SendMsg(m any) error {
	s.service.settleOutput(s.Context())
	return s.ServerStream.SendMsg(m)
}

// settleOutput sends what the plugin has written ahead of an answer.
func (s *Service) settleOutput(ctx context.Context) {
	switch session := s.session(ctx); {
	case session == nil:
	case session.mux != nil:
		session.host.Mux.Output.Wait(ctx)
	case session.host.Output != nil:
		session.host.Output.Wait(ctx)
	}
}

// countCall counts one call of the plugin until ended is called.
func (s *Service) countCall(ctx context.Context) (ended func()) {
	s.calls.Begin()
	session := s.session(ctx)
	if s.shared == nil || session == nil {
		return s.calls.End
	}
	session.calls.Begin()
	return func() {
		session.calls.End()
		s.calls.End()
	}
}
