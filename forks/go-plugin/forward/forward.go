// SPDX-License-Identifier: MPL-2.0

// Package forward hands gRPC calls on from a server to a connection without knowing their
// messages: for programs that stand between hosts and plugins.
package forward

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // callers may compress
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Calls hands calls on, whatever their methods are. All methods may be called from any
// goroutine.
type Calls struct {
	// To takes the calls.
	To grpc.ClientConnInterface
	// IsUnary reports whether a call is known to have one request and one answer. Any other
	// may be a stream of both. Nil knows of none.
	IsUnary func(ctx context.Context, fullMethod string) bool
}

// Options make a server hand on all that is not registered with it.
func (c Calls) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(Codec()), grpc.UnknownServiceHandler(func(_ any, in grpc.ServerStream) error {
		return c.Handle(in.Context(), in)
	})}
}

// Handle makes the call of in, and passes on what both sides say: messages, metadata, the
// deadline, the status with its details. The server of in uses [Codec]. It returns when the
// call has ended, with its answer or what To has returned. ctx is that of the call, or one
// made of it.
func (c Calls) Handle(ctx context.Context, in grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	out, opts := outgoing(ctx)
	if c.IsUnary != nil && c.IsUnary(ctx, method) {
		return c.call(out, method, in, opts)
	}
	return c.stream(out, method, in, opts)
}

// outgoing gives the context of a call on its way, with the metadata, the deadline and the
// end of the one that came. Outgoing metadata that ctx has already take the place of those
// of their names.
func outgoing(ctx context.Context) (context.Context, []grpc.CallOption) {
	opts := []grpc.CallOption{grpc.ForceCodecV2(Codec())}
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		md = make(metadata.MD)
	}
	for _, content := range md["content-type"] {
		if _, subtype, ok := strings.Cut(content, "application/grpc+"); ok && subtype != "" {
			opts = append(opts, grpc.CallContentSubtype(subtype))
		}
	}
	passed := passedOn(md)
	if own, ok := metadata.FromOutgoingContext(ctx); ok {
		maps.Copy(passed, own)
	}
	return metadata.NewOutgoingContext(ctx, passed), opts
}

// ownMetadata begins the names of what travels between two peers of this library beside
// a call, and is none of anybody else's.
const ownMetadata = "reattach-"

// passedOn leaves out what belongs to one connection, in md itself.
func passedOn(md metadata.MD) metadata.MD {
	for name := range md {
		switch {
		case name == "content-type", name == "user-agent", name == "te",
			strings.HasPrefix(name, ":"), strings.HasPrefix(name, ownMetadata):
			delete(md, name)
		}
	}
	return md
}

// call hands on one message, and the answer.
func (c Calls) call(ctx context.Context, method string, in grpc.ServerStream, opts []grpc.CallOption) error {
	request, reply := new(message), new(message)
	if err := in.RecvMsg(request); err != nil {
		return err
	}
	defer request.free()
	defer reply.free()
	var header, trailer metadata.MD
	err := c.To.Invoke(ctx, method, request, reply, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	if trailer = passedOn(trailer); len(trailer) > 0 {
		in.SetTrailer(trailer)
	}
	if header = passedOn(header); len(header) > 0 {
		if headerErr := in.SetHeader(header); err == nil {
			err = headerErr
		}
	}
	if err != nil {
		return err
	}
	return in.SendMsg(reply)
}

// stream hands on messages in both directions until the plugin has ended the stream.
func (c Calls) stream(ctx context.Context, method string, in grpc.ServerStream, opts []grpc.CallOption) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, err := c.To.NewStream(ctx, &grpc.StreamDesc{StreamName: method, ClientStreams: true, ServerStreams: true}, method, opts...)
	if err != nil {
		return err
	}
	go func() {
		// It ends when the caller has sent all, or Handle returns.
		if err := requests(in, out); err != nil {
			cancel(err)
		}
	}()
	err = answers(out, in)
	in.SetTrailer(passedOn(out.Trailer()))
	if cause := context.Cause(ctx); err != nil && cause != nil && in.Context().Err() == nil {
		return cause
	}
	return err
}

// requests hands on what the caller sends, to its end. The error is that of a message which
// cannot be received or sent; what becomes of the stream is told to whoever reads its answers.
func requests(in grpc.ServerStream, out grpc.ClientStream) error {
	next := new(message)
	defer next.free()
	for {
		err := in.RecvMsg(next)
		switch {
		case errors.Is(err, io.EOF):
			return out.CloseSend()
		case err != nil && in.Context().Err() != nil:
			return nil // the caller has gone, and the stream with it
		case err != nil:
			return err
		}
		err = out.SendMsg(next)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// answers hands on what the plugin answers, to its end.
func answers(out grpc.ClientStream, in grpc.ServerStream) error {
	header, err := out.Header()
	if err == nil && header != nil {
		if err := in.SendHeader(passedOn(header)); err != nil {
			return err
		}
	}
	next := new(message)
	defer next.free()
	for {
		err := out.RecvMsg(next)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := in.SendMsg(next); err != nil {
			return err
		}
	}
}
