// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
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
	lost  atomic.Uint64
	drain DrainSigns
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

// unaryCall is all that watching a call allocates.
type unaryCall struct {
	header, trailer metadata.MD
	opts            [5]grpc.CallOption
}

// call is a unary client interceptor.
func (w *lossWatch) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	before := w.lost.Load()
	call := new(unaryCall)
	opts = append(append(call.opts[:0], opts...), grpc.Header(&call.header), grpc.Trailer(&call.trailer))
	err := invoker(ctx, method, req, reply, cc, opts...)
	if len(call.trailer) > 0 {
		w.drain.observe(call.trailer)
		return err
	}
	if err == nil {
		return nil
	}
	if call.header != nil && w.intact(cc, before) {
		return err // after a header the trailers may hold nothing
	}
	return w.explain(err, cc, before)
}

// intact reports whether no connection was lost or closed since before was read.
func (w *lossWatch) intact(cc *grpc.ClientConn, before uint64) bool {
	return w.lost.Load() == before && cc.GetState() != connectivity.Shutdown
}

// stream is a stream client interceptor.
func (w *lossWatch) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	before := w.lost.Load()
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, w.explain(err, cc, before)
	}
	w.drain.begins(method)
	return &watchedStream{ClientStream: s, watch: w, before: before, cc: cc, oneAnswer: !desc.ServerStreams}, nil
}

// explain makes err match ErrConnectionLost if it comes from the connection.
// before is the count when the call began. No trailers were seen.
func (w *lossWatch) explain(err error, cc *grpc.ClientConn, before uint64) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	lost := false
	switch st.Code() {
	case codes.Canceled:
		// This side has closed the connection; the caller's context may live.
		lost = cc.GetState() == connectivity.Shutdown && isTransportText(st.Message())
	case codes.Unavailable:
		lost = w.lost.Load() != before || cc.GetState() != connectivity.Ready || isTransportText(st.Message())
	}
	if lost {
		return peererr.Lost(err)
	}
	return err
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
	watch  *lossWatch
	before uint64
	cc     *grpc.ClientConn

	oneAnswer bool // which ends the stream
}

// Header implements grpc.ClientStream.
func (s *watchedStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if err != nil {
		err = s.watch.explain(err, s.cc, s.before)
	}
	return md, err
}

// SendMsg implements grpc.ClientStream.
func (s *watchedStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.watch.explain(err, s.cc, s.before)
	}
	return err
}

// RecvMsg implements grpc.ClientStream.
func (s *watchedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && !s.oneAnswer {
		return nil
	}
	trailer := s.Trailer()
	s.watch.drain.observe(trailer)
	if err == nil || errors.Is(err, io.EOF) || len(trailer) > 0 {
		return err
	}
	if header, _ := s.ClientStream.Header(); header != nil {
		// The application may ask long after the plugin has answered, and the
		// connection may have been lost since. So the message counts as well.
		st, _ := status.FromError(err)
		if s.watch.intact(s.cc, s.before) || !isTransportText(st.Message()) {
			return err
		}
	}
	return s.watch.explain(err, s.cc, s.before)
}
