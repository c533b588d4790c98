// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Stream is a grpc.StreamClientInterceptor.
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s := &clientStream{client: c, cc: cc, desc: desc}
	if !s.options.parse(opts) {
		return streamer(ctx, desc, cc, method, opts...)
	}
	head, err := c.begin(ctx, &s.options, nil, method, cc)
	if err == ErrNotInvoked {
		return streamer(ctx, desc, cc, method, opts...)
	}
	if err == nil {
		s.ctx, s.cancel = context.WithCancel(ctx)
		s.stream, err = c.mux.OpenCall(ctx, mux.Call, head, nil, false)
	}
	if err != nil {
		err = c.explain(ctx, cc, err)
		s.options.finish(err)
		return nil, err
	}
	s.options.sent(&c.peer)
	s.reply.Reader = s.stream
	s.stream.OnFail(func(err error) {
		if errors.Is(err, peererr.ErrConnectionLost) {
			go s.finish(c.explain(ctx, cc, err)) // What has come before may be read later.
		}
	})
	s.receiving.Lock() // left may run at once
	s.stay = context.AfterFunc(s.ctx, s.left)
	s.receiving.Unlock()
	return s, nil
}

// clientStream is a call with streams of messages. It implements grpc.ClientStream.
type clientStream struct {
	client  *Client
	cc      *grpc.ClientConn
	desc    *grpc.StreamDesc
	options options
	ctx     context.Context // ends with the call, and resets its stream
	cancel  context.CancelFunc
	stay    func() bool // undoes that the end of ctx ends the call
	stream  *mux.Stream
	gaveUp  atomic.Pointer[error] // why this side has reset the stream; nil: its context, if anything

	finished sync.Once // options.finish was called

	sending  sync.Mutex
	buffer   []byte
	sentLast bool

	receiving sync.Mutex // held by whoever reads
	reply     reply
	err       error // what the call has ended with, io.EOF for success; nil: it has not

	trailer atomic.Pointer[metadata.MD] // once the call has ended
}

// left ends the call after its context.
func (s *clientStream) left() {
	_ = s.stream.Reset("the host has given the call up")
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if s.err == nil {
		s.end(s.ctx.Err())
	}
}

// finish tells those that have asked what the call has ended with, once.
func (s *clientStream) finish(err error) { s.finished.Do(func() { s.options.finish(err) }) }

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context { return s.ctx }

// SendMsg implements grpc.ClientStream.
func (s *clientStream) SendMsg(msg any) (err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.sentLast {
		return status.Error(codes.Internal, "SendMsg called after CloseSend")
	}
	var long mem.BufferSlice
	if s.buffer, long, err = s.options.appendMessage(s.buffer[:0], msg); err != nil {
		s.giveUp(err)
		return err
	}
	s.sentLast = !s.desc.ClientStreams
	err = s.send(s.buffer, long)
	long.Free()
	if cap(s.buffer) > keepBuffer {
		s.buffer = nil
	}
	if err != nil && s.desc.ClientStreams {
		return io.EOF // RecvMsg says why.
	}
	return nil
}

// send sends a message, and the end of all if it is the last. The caller holds sending.
func (s *clientStream) send(first []byte, more mem.BufferSlice) error {
	if s.sentLast && len(more) == 0 {
		_, err := s.stream.WriteLast(first)
		return err
	}
	_, err := s.stream.Write(first)
	for _, piece := range more {
		if err == nil {
			_, err = s.stream.Write(piece.ReadOnlyData())
		}
	}
	if err == nil && s.sentLast {
		err = s.stream.CloseWrite()
	}
	return err
}

// CloseSend implements grpc.ClientStream.
func (s *clientStream) CloseSend() error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if !s.sentLast {
		s.sentLast = true
		_ = s.stream.CloseWrite() // RecvMsg says why it fails.
	}
	return nil
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(msg any) error {
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if s.err != nil {
		return s.err
	}
	if !s.desc.ServerStreams {
		s.end(s.reply.only(&s.options, msg))
		if s.err == io.EOF {
			return nil
		}
		return s.err
	}
	more, err := s.reply.next()
	switch {
	case err == nil && more:
		if err = s.reply.message(&s.options, msg); err != nil {
			s.end(err)
			return s.err
		}
		return nil
	case err == nil:
		err = s.reply.status.Err()
	}
	s.end(err)
	return s.err
}

// end ends the call. The caller holds receiving.
func (s *clientStream) end(err error) {
	s.trailer.Store(&s.reply.trailer)
	if why := s.gaveUp.Load(); why != nil && errors.Is(err, net.ErrClosed) {
		err = *why // A reader noticed the reset before giveUp came to end the call.
	}
	s.options.notRun(err)
	err = s.client.explain(s.ctx, s.cc, err)
	if s.err = err; err == nil {
		s.err = io.EOF
	}
	s.options.answered(s.reply.header, s.reply.trailer)
	s.finish(err)
	if s.stay() {
		_ = s.stream.Close()
	}
	s.cancel()
}

// giveUp ends the call because it cannot go on.
func (s *clientStream) giveUp(err error) {
	s.gaveUp.Store(&err)
	_ = s.stream.Reset(err.Error())
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if s.err == nil {
		s.end(err)
	}
}

// Header implements grpc.ClientStream. It waits for the header.
func (s *clientStream) Header() (metadata.MD, error) {
	s.receiving.Lock()
	defer s.receiving.Unlock()
	if s.err == nil && !s.reply.begun {
		if err := s.reply.item(); err != nil {
			s.end(err)
		}
	}
	if !s.reply.begun {
		return nil, s.err
	}
	if s.reply.header == nil {
		return metadata.MD{}, nil
	}
	return s.reply.header, nil
}

// Trailer implements grpc.ClientStream.
func (s *clientStream) Trailer() metadata.MD {
	if trailer := s.trailer.Load(); trailer != nil {
		return *trailer
	}
	return nil
}

// finish tells the caller what the call has ended with.
func (o *options) finish(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	for _, finished := range o.finished {
		finished(err)
	}
}

var _ grpc.ClientStream = (*clientStream)(nil)
