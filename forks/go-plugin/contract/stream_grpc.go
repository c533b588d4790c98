// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Streaming is a method with a stream, in one direction or both.
func Streaming[In any](name string, serve func(ctx context.Context, in *In, s Stream) error) Method {
	return func(_ string, to *grpc.ServiceDesc) {
		to.Streams = append(to.Streams, grpc.StreamDesc{
			StreamName: name, ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				in := new(In)
				if err := stream.RecvMsg(in); err != nil {
					return err
				}
				return serve(stream.Context(), in, grpcServed{stream})
			},
		})
	}
}

// openKey is the key of the header by which a method says that it has begun.
const openKey = "reattach-open"

// Requests is a method that is sent a stream of requests, and has no other.
func Requests(name string, serve func(ctx context.Context, s Stream) error) Method {
	return func(_ string, to *grpc.ServiceDesc) {
		to.Streams = append(to.Streams, grpc.StreamDesc{
			StreamName: name, ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error {
				return serve(stream.Context(), grpcServed{stream})
			},
		})
	}
}

// grpcServed is the side of a stream that serves.
type grpcServed struct{ grpc.ServerStream }

func (s grpcServed) Send(m proto.Message) error { return s.SendMsg(m) }
func (s grpcServed) Recv(m proto.Message) error { return s.RecvMsg(m) }
func (s grpcServed) Open() error                { return s.SendHeader(metadata.Pairs(openKey, "1")) }
func (grpcServed) Await() error                 { return nil }
func (grpcServed) CloseSend() error             { return nil }
func (grpcServed) Close()                       {}

func (c *grpcCaller) open(ctx context.Context, method string, request proto.Message, in, out bool) (Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: method, ServerStreams: out, ClientStreams: in}, "/"+c.service+"/"+method)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &grpcCalled{ClientStream: stream, cancel: cancel}
	if request != nil {
		if err := stream.SendMsg(request); err != nil {
			err = stream.RecvMsg(new(anyMessage)) // which says why
			s.Close()
			return nil, err
		}
	}
	if !in {
		if err := stream.CloseSend(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// grpcCalled is the caller's side of a stream.
type grpcCalled struct {
	grpc.ClientStream
	cancel context.CancelFunc
	// first is what came while the caller waited for the method to begin.
	first func(proto.Message) error
}

func (s *grpcCalled) Send(m proto.Message) error { return s.SendMsg(m) }
func (s *grpcCalled) Open() error                { return nil }
func (s *grpcCalled) Close()                     { s.cancel() }

// Recv implements Stream.
func (s *grpcCalled) Recv(m proto.Message) error {
	if first := s.first; first != nil {
		s.first = nil
		return first(m)
	}
	return s.RecvMsg(m)
}

// Await waits for the header that says that the method has begun. Without it the method has
// failed, or is not one of this library, and then its first message says that it has begun.
func (s *grpcCalled) Await() error {
	header, err := s.Header()
	if err != nil || len(header.Get(openKey)) > 0 {
		return err
	}
	whatever := new(anyMessage)
	switch err := s.RecvMsg(whatever); {
	case errors.Is(err, io.EOF):
		s.first = func(proto.Message) error { return io.EOF }
	case err != nil:
		return err
	default:
		s.first = func(m proto.Message) error { return proto.Unmarshal(whatever.ProtoReflect().GetUnknown(), m) }
	}
	return nil
}
