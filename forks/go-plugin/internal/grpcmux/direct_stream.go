// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// serverStream is what a method with streams has of its call.
type serverStream struct {
	*directCall
	ctx    context.Context
	items  items // RecvMsg's
	buffer []byte
}

var _ grpc.ServerStream = (*serverStream)(nil)

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }

// SetTrailer implements grpc.ServerStream.
func (s *serverStream) SetTrailer(md metadata.MD) { _ = s.directCall.SetTrailer(md) }

// SendMsg implements grpc.ServerStream.
func (s *serverStream) SendMsg(msg any) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	head, ok := s.begin(s.buffer[:0], false)
	if !ok {
		return status.Error(codes.Internal, "transport: the stream is done or WriteHeader was already called")
	}
	b, long, err := s.options.appendMessage(head, msg)
	if err != nil {
		s.held = append(s.held, head...) // The header, if this began the answer.
		return err
	}
	if long == nil && s.held == nil && s.stream.Purpose() == mux.UnaryCall {
		s.held, s.buffer = b, nil // It leaves together with the trailer.
		return nil
	}
	if s.held != nil {
		_, _ = s.stream.Write(s.held) // If that fails, so does what follows.
		s.held = nil
	}
	_, err = s.stream.Write(b)
	for _, piece := range long {
		if err == nil {
			_, err = s.stream.Write(piece.ReadOnlyData())
		}
	}
	long.Free()
	if s.buffer = b; cap(b) > keepBuffer {
		s.buffer = nil
	}
	if err != nil {
		return s.broken(err)
	}
	return nil
}

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(msg any) error {
	flag, size, err := s.items.next()
	switch {
	case err == io.EOF:
		return io.EOF
	case err != nil:
		return s.broken(err)
	case flag != itemMessage && flag != itemCompressed:
		return status.Errorf(codes.Internal, "%v: an item of kind %d", errMalformed, flag)
	}
	if err := s.options.readMessage(&s.items, flag, size, "", msg); err != nil {
		return s.broken(err)
	}
	return nil
}
