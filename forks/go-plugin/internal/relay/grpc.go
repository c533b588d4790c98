// SPDX-License-Identifier: MPL-2.0

package relay

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // hosts may compress
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// anyStream takes calls of every form.
var anyStream = grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// Forward makes the call of a host, of whichever form, at the plugin behind conn, and
// passes on what both say: messages, metadata, the deadline, the status with its
// details. It returns when the call has ended. An error is the plugin's answer, unless it
// matches peererr.ErrConnectionLost. ctx is that of the call, or ends before it.
func Forward(ctx context.Context, in grpc.ServerStream, conn grpc.ClientConnInterface) error {
	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return status.Error(codes.Internal, "relay: the call has no method")
	}
	asked, _ := metadata.FromIncomingContext(ctx)
	// The deadline goes along with the context, and so does the caller's cancellation.
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, passedOn(asked)))
	defer cancel()
	out, err := conn.NewStream(ctx, &anyStream, method, callOptions(asked)...)
	if err != nil {
		return err
	}
	go func() {
		// Ends with the call: what is received in a call that has ended is an error.
		if forwardRequests(in, out) != nil {
			cancel()
		}
	}()
	return forwardAnswers(in, out)
}

// passedOn is the metadata that belongs to the two sides. gRPC writes the rest itself.
func passedOn(md metadata.MD) metadata.MD {
	md = md.Copy()
	for _, own := range []string{":authority", "content-type", "user-agent", "te"} {
		delete(md, own)
	}
	return md
}

// callOptions make the call have the host's encoding of messages.
func callOptions(md metadata.MD) []grpc.CallOption {
	opts := []grpc.CallOption{grpc.ForceCodecV2(NewCodec())}
	if types := md.Get("content-type"); len(types) == 1 {
		if subtype, ok := strings.CutPrefix(types[0], "application/grpc+"); ok {
			opts = append(opts, grpc.CallContentSubtype(subtype))
		}
	}
	return opts
}

func forwardRequests(in grpc.ServerStream, out grpc.ClientStream) error {
	for {
		var f frame
		switch err := in.RecvMsg(&f); {
		case errors.Is(err, io.EOF):
			return out.CloseSend()
		case err != nil:
			return err
		}
		if err := out.SendMsg(&f); err != nil {
			f.data.Free()
			return nil // The answer says why.
		}
	}
}

func forwardAnswers(in grpc.ServerStream, out grpc.ClientStream) error {
	header, err := out.Header()
	if err == nil && header != nil {
		err = in.SendHeader(passedOn(header))
	}
	for err == nil {
		var f frame
		if err = out.RecvMsg(&f); err == nil {
			if err = in.SendMsg(&f); err != nil {
				f.data.Free()
				return err
			}
		}
	}
	in.SetTrailer(out.Trailer())
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
