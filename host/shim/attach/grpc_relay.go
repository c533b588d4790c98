// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// grpcRelay hands the calls of a server on to a connection, whatever their methods are.
type grpcRelay struct {
	to    grpc.ClientConnInterface
	codec rawCodec
	// unary reports whether a method is known to take one message and to answer one. Any
	// other may be a stream of both.
	unary func(fullMethod string) bool
}

// options make a server hand on all that is not registered with it.
func (r *grpcRelay) options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(r.codec), grpc.UnknownServiceHandler(r.handle)}
}

// handle is a grpc.StreamHandler.
func (r *grpcRelay) handle(_ any, in grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	ctx, opts := r.outgoing(in.Context())
	if r.unary(method) {
		return r.call(ctx, method, in, opts)
	}
	return r.stream(ctx, method, in, opts)
}

// outgoing gives the context of a call on its way to the plugin: with the metadata, the
// deadline and the end of the host's.
func (r *grpcRelay) outgoing(ctx context.Context) (context.Context, []grpc.CallOption) {
	opts := []grpc.CallOption{grpc.ForceCodecV2(r.codec)}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, content := range md["content-type"] {
		if _, subtype, ok := strings.Cut(content, "application/grpc+"); ok && subtype != "" {
			opts = append(opts, grpc.CallContentSubtype(subtype))
		}
	}
	for name := range md {
		if strings.HasPrefix(name, ":") || strings.HasPrefix(name, ownMetadata) {
			delete(md, name)
		}
	}
	return metadata.NewOutgoingContext(ctx, md), opts
}

// ownMetadata begins the names of what travels between two peers of this library beside
// a call, and is none of anybody else's.
const ownMetadata = "reattach-"

// foreign leaves out what only this process may read.
func foreign(md metadata.MD) metadata.MD {
	for name := range md {
		if strings.HasPrefix(name, ownMetadata) {
			delete(md, name)
		}
	}
	return md
}

// call hands on one message, and the answer.
func (r *grpcRelay) call(ctx context.Context, method string, in grpc.ServerStream, opts []grpc.CallOption) error {
	request, reply := new(frame), new(frame)
	if err := in.RecvMsg(request); err != nil {
		return err
	}
	defer request.free()
	defer reply.free()
	var header, trailer metadata.MD
	err := r.to.Invoke(ctx, method, request, reply, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	in.SetTrailer(foreign(trailer))
	if headerErr := in.SetHeader(foreign(header)); err == nil {
		err = headerErr
	}
	if err != nil {
		return err
	}
	return in.SendMsg(reply)
}

// stream hands on messages in both directions until the plugin has ended the stream.
func (r *grpcRelay) stream(ctx context.Context, method string, in grpc.ServerStream, opts []grpc.CallOption) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, err := r.to.NewStream(ctx, &grpc.StreamDesc{StreamName: method, ClientStreams: true, ServerStreams: true}, method, opts...)
	if err != nil {
		return err
	}
	go func() {
		// It ends when the host has sent all, or this handler returns.
		if err := pump(in, out); err != nil {
			cancel(err)
		}
	}()
	err = r.answers(out, in)
	in.SetTrailer(foreign(out.Trailer()))
	if cause := context.Cause(ctx); err != nil && cause != nil && ctx.Err() != nil && in.Context().Err() == nil {
		return cause
	}
	return err
}

// pump hands on what the host sends, to its end. The error is that of a message which
// cannot be sent; what becomes of the stream is told to whoever reads its answers.
func pump(in grpc.ServerStream, out grpc.ClientStream) error {
	for {
		message := new(frame)
		err := in.RecvMsg(message)
		switch {
		case errors.Is(err, io.EOF):
			return out.CloseSend()
		case err != nil:
			return nil // the host has gone, and the stream with it
		}
		err = out.SendMsg(message)
		message.free()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// answers hands on what the plugin answers, to its end.
func (*grpcRelay) answers(out grpc.ClientStream, in grpc.ServerStream) error {
	header, err := out.Header()
	if err == nil && header != nil {
		if err := in.SendHeader(foreign(header)); err != nil {
			return err
		}
	}
	message := new(frame)
	defer message.free()
	for {
		err := out.RecvMsg(message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := in.SendMsg(message); err != nil {
			return err
		}
	}
}
