// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/idleread"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// lossWatch tells the errors of a gRPC connection from those that the plugin
// returned, which can have the same code. The sure sign is whether trailers
// came from the plugin; gRPC shows them only where they hold something, which
// they do unless headers came before. For that case it counts how often
// connections were lost: a call during which none was has its error from the
// plugin. (A stats.Handler would see every trailer, at the price of a dozen
// allocations for each call.)
type lossWatch struct {
	lost atomic.Uint64
}

// countedConn counts its own end, before gRPC can act on it.
type countedConn struct {
	net.Conn
	reader *idleread.Reader // of Conn
	watch  *lossWatch
	ended  atomic.Bool
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(err)
	return n, err
}

// ReadOnReady implements idleread.Conn.
func (c *countedConn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	buffer, n, err = c.reader.ReadOnReady(size, pool)
	c.note(err)
	return buffer, n, err
}

func (c *countedConn) note(err error) {
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.end()
	}
}

func (c *countedConn) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *countedConn) end() {
	if !c.ended.Swap(true) {
		c.watch.lost.Add(1)
	}
}

// attempt is one call on a connection.
type attempt struct {
	watch  *lossWatch
	cc     *grpc.ClientConn
	before uint64 // watch.lost when the call began
}

// unaryCall is all that watching a call allocates.
type unaryCall struct {
	header, trailer metadata.MD
	opts            [5]grpc.CallOption
}

// call is a unary client interceptor.
func (w *lossWatch) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	a := attempt{w, cc, w.lost.Load()}
	call := new(unaryCall)
	opts = append(append(call.opts[:0], opts...), grpc.Header(&call.header), grpc.Trailer(&call.trailer))
	err := invoker(ctx, method, req, reply, cc, opts...)
	if err != nil && call.header == nil && len(call.trailer) == 0 {
		noteUnsent(err, opts)
	}
	return a.answered(err, call.trailer, func() metadata.MD { return call.header })
}

// stream is a stream client interceptor.
func (w *lossWatch) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	a := attempt{w, cc, w.lost.Load()}
	s, err := streamer(ctx, desc, cc, method, a.explainFinish(opts)...)
	if err != nil {
		return nil, a.explain(err)
	}
	return &watchedStream{s, a, !desc.ServerStreams}, nil
}

// answered makes the error of a call that has ended match ErrConnectionLost if it comes
// from the connection.
func (a *attempt) answered(err error, trailer metadata.MD, header func() metadata.MD) error {
	if err == nil || errors.Is(err, io.EOF) || len(trailer) > 0 {
		return err
	}
	if header() != nil {
		// After a header the trailers may hold nothing. The application may also ask long
		// after the plugin has answered, and the connection may have been lost since. So
		// the message counts as well.
		st, _ := status.FromError(err)
		intact := a.watch.lost.Load() == a.before && a.cc.GetState() != connectivity.Shutdown
		if intact || !isTransportText(st.Message()) {
			return err
		}
	}
	return a.explain(err)
}

// explain does so for an error without an answer: no trailers were seen.
func (a *attempt) explain(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	lost := false
	switch st.Code() {
	case codes.Canceled:
		// This side has closed the connection; the caller's context may live.
		lost = a.cc.GetState() == connectivity.Shutdown && isTransportText(st.Message())
	case codes.Unavailable:
		lost = a.watch.lost.Load() != a.before || a.cc.GetState() != connectivity.Ready || isTransportText(st.Message())
	}
	if lost {
		return peererr.Lost(err)
	}
	return err
}

// explainFinish returns the options of a stream, which explain what those that ask for its
// end are told of it.
func (a attempt) explainFinish(opts []grpc.CallOption) []grpc.CallOption {
	for i, option := range opts {
		if asks, ok := option.(grpc.OnFinishCallOption); ok {
			opts = slices.Clone(opts)
			opts[i] = grpc.OnFinish(func(err error) { asks.OnFinish(a.explain(err)) })
		}
	}
	return opts
}

// isTransportText reports whether a message is one that grpc-go gives to the
// streams of a connection that has ended.
func isTransportText(text string) bool {
	for _, start := range [...]string{
		"grpc: the client connection is closing",
		"error reading from server",
		"error reading server preface",
		"connection error",
		"closing transport due to",
		"closing connection since",
		"keepalive ping failed",
		"received goaway",
		"the connection is draining",
		"the stream is rejected because server is draining",
		"no active streams left",
	} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

// watchedStream is a stream whose errors are explained.
type watchedStream struct {
	grpc.ClientStream
	attempt
	oneAnswer bool // which ends the stream
}

// Header implements grpc.ClientStream.
func (s *watchedStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if err != nil {
		err = s.explain(err)
	}
	return md, err
}

// SendMsg implements grpc.ClientStream.
func (s *watchedStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.explain(err)
	}
	return err
}

// RecvMsg implements grpc.ClientStream.
func (s *watchedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && !s.oneAnswer {
		return nil
	}
	return s.answered(err, s.Trailer(), func() metadata.MD {
		header, _ := s.ClientStream.Header()
		return header
	})
}
