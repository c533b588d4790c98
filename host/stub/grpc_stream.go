// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/balancer"
)

// stream is a grpc.StreamClientInterceptor. A stream stays with the endpoint
// on which it was opened: it is tried elsewhere only while it could not be
// opened, which is before its first message.
func (r *grpcRoutes) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, fullMethod string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	c, err := r.newCall(cc, fullMethod)
	if err != nil {
		return nil, err
	}
	if c.options.Replay { // There is no one request of a stream, nor one answer, to replay.
		once := *c.calledMethod
		once.options.Replay = false
		c.calledMethod = &once
	}
	c.trace = r.Tracing.begin(ctx, protocolGRPC, fullMethod)
	s, endpoint, err := c.openStream(ctx, desc, fullMethod, opts)
	if err != nil {
		c.observe(endpoint, err)
		return nil, err
	}
	return s, nil
}

func (c *grpcCall) openStream(ctx context.Context, desc *grpc.StreamDesc, fullMethod string, opts []grpc.CallOption) (s grpc.ClientStream, endpoint string, err error) {
	// Only the wait for an endpoint is bounded.
	waitCtx, cancel := context.WithTimeoutCause(ctx, c.options.Timeout, ErrTimeout)
	defer cancel()
	for {
		lease, conn, err := c.next(waitCtx)
		if err != nil {
			return nil, "", err
		}
		routed := &routedStream{call: c, ctx: ctx, lease: lease, mark: sentMark{conn: conn, method: fullMethod}}
		routed.ClientStream, err = conn.NewStream(c.trace.attempt(ctx, lease.Endpoint()), desc, fullMethod, routed.mark.with(opts, grpc.OnFinish(routed.finish))...)
		if err == nil {
			routed.begin()
			return routed, lease.Endpoint(), nil
		}
		if again, err := c.attempted(ctx, lease, &routed.mark, err); !again {
			return nil, lease.Endpoint(), err
		}
	}
}

// routedStream is a stream on the connection of one session.
type routedStream struct {
	grpc.ClientStream
	call  *grpcCall
	ctx   context.Context // the caller's, of the stream
	lease balancer.Lease
	// mark is read only by who was told of the end by RecvMsg or Header: until then others
	// may change it.
	mark sentMark

	mu      sync.Mutex
	begun   bool
	ended   bool
	result  error
	readers int  // are within RecvMsg or Header
	owed    bool // the first reader that returns gives the lease back
	// unread undoes the wait for what the caller is told of a stream that was lost.
	unread func() bool
}

// begin says that the stream was opened: from now on its end gives the lease
// back.
func (s *routedStream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	if s.ended {
		s.releaseLocked()
	}
}

// finish is called by gRPC when the stream has ended, however it did. gRPC
// calls it for some streams that could not be opened, too.
func (s *routedStream) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended, s.result = true, err
	if s.begun {
		s.releaseLocked()
	}
}

// releaseLocked gives the lease back, and tells the observer how the stream ended. Of
// one that was lost, the plugin's answer may have come before and lie unread: it is what
// the caller is told then, so that the observer waits for it, for as long as the caller's
// context lives.
func (s *routedStream) releaseLocked() {
	err := s.result
	switch {
	case err == nil:
		s.lease.Done(balancer.Answered)
	case s.isLost(err):
		if s.owed = s.readers > 0; !s.owed { // else a reader learns whether it was sent
			s.lease.Done(balancer.Lost)
		}
		s.unread = context.AfterFunc(s.ctx, func() { s.observe(s.lost(err, true)) })
		return
	case s.isCallers(err):
		s.lease.Done(balancer.Abandoned)
		err = s.callers()
	default:
		s.lease.Done(balancer.Answered)
	}
	s.observe(err)
}

// told says what the caller was told of the end; io.EOF is the good one.
func (s *routedStream) told(err error) {
	s.mu.Lock()
	unread := s.unread
	s.unread = nil
	s.mu.Unlock()
	if unread == nil || !unread() {
		return // it was observed
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.observe(err)
}

func (s *routedStream) observe(err error) { s.call.observe(s.lease.Endpoint(), err) }

// isLost tells a lost connection from the plugin's own error, as well as it can
// be told: the session knows better, but gRPC asks before the session does.
func (s *routedStream) isLost(err error) bool {
	switch {
	case errors.Is(err, plugin.ErrConnectionLost):
		return true
	case status.Code(err) == codes.Unavailable:
	case status.Code(err) == codes.Canceled && s.ctx.Err() == nil:
		// Either the plugin says so, or the session has closed the connection.
	default:
		return false
	}
	select {
	case <-s.lease.Ended():
		return true
	default:
		return false
	}
}

// lost is the error of a stream that was lost.
func (s *routedStream) lost(err error, sent bool) error {
	return s.call.fault(Fault{Reason: ReasonLost, Endpoint: s.lease.Endpoint(), MayHaveRun: sent, Err: err})
}

// read runs what reads from the stream. It reports false for an error of a stream that the
// plugin refused: gRPC says so only to who reads, after the stream has ended.
func (s *routedStream) read(from func() error) (sent bool, err error) {
	s.mu.Lock()
	s.readers++
	s.mu.Unlock()
	sent = true
	defer func() { // a codec of the caller's may panic
		s.mu.Lock()
		defer s.mu.Unlock()
		s.readers--
		if !s.owed {
			return
		}
		s.owed = false
		if sent {
			s.lease.Done(balancer.Lost)
		} else {
			s.lease.Done(balancer.NotSent)
		}
	}()
	if err = from(); errors.Is(err, plugin.ErrConnectionLost) {
		sent = s.mark.sent()
	}
	return sent, err
}

// isCallers reports whether the stream ended as its caller's context did. A status
// that the plugin gave of its own accord may look the same.
func (s *routedStream) isCallers(err error) bool { return isContextError(err) && hasExpired(s.ctx) }

// callers is the error of such a stream.
func (s *routedStream) callers() error {
	<-s.ctx.Done() // at once: the plugin may have been quicker to notice the deadline
	return s.call.fault(endedBy(s.ctx, s.lease.Endpoint(), true))
}

func (s *routedStream) explain(err error, sent bool) error {
	switch {
	case errors.Is(err, plugin.ErrConnectionLost):
		return s.lost(err, sent)
	case err != nil && s.isCallers(err):
		return s.callers()
	}
	return err
}

// Header implements grpc.ClientStream.
func (s *routedStream) Header() (md metadata.MD, err error) {
	sent, err := s.read(func() (err error) {
		md, err = s.ClientStream.Header()
		return err
	})
	return md, s.explain(err, sent)
}

// SendMsg implements grpc.ClientStream.
func (s *routedStream) SendMsg(m any) error { return s.explain(s.ClientStream.SendMsg(m), true) }

// RecvMsg implements grpc.ClientStream.
func (s *routedStream) RecvMsg(m any) error {
	sent, err := s.read(func() error { return s.ClientStream.RecvMsg(m) })
	if err == nil {
		s.call.routes.answered(s.lease)
		return nil
	}
	err = s.explain(err, sent)
	s.told(err)
	return err
}
