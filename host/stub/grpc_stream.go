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

// routedStream is a stream on the connection of one session.
type routedStream struct {
	grpc.ClientStream
	call  *grpcCall
	ctx   context.Context // the caller's, of the stream
	lease balancer.Lease
	// mark is read only by who was told of the end by one of the stream's methods: until then
	// others may change it.
	mark sentMark

	mu      sync.Mutex
	begun   bool
	ended   bool
	result  error
	wasLost bool // is what result comes to
	unsent  bool // a lost stream was surely not run
	inside  int  // callers that are within the stream's methods
	senders int  // those of them that send
	owed    bool // who of them learns enough of the end settles it, or the last
	// unsendable is set if result is what gRPC had against a message of the caller's.
	unsendable *Fault
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

// releaseLocked ends a stream whose end is known: it gives the lease back, and tells the
// observer. Whoever is within one of the stream's methods may be about to learn more of what
// ended it, and does so then.
func (s *routedStream) releaseLocked() {
	err := s.result
	switch {
	case err == nil:
		s.lease.Done(balancer.Answered)
		s.observe(nil)
		return
	case s.isLost(err):
		s.wasLost = true
		// The plugin's answer may have come before and lie unread: it is what the caller is
		// told then, so that the observer waits for it, for as long as the caller's context lives.
		s.unread = context.AfterFunc(s.ctx, func() { s.observe(s.lost(err, !s.isUnsent())) })
	case s.isCallers(err):
		s.lease.Done(balancer.Abandoned)
		s.observe(s.callers())
		return
	}
	if s.owed = s.inside > 0; !s.owed {
		s.settleLocked()
	}
}

// settleLocked does what releaseLocked has left, once nobody learns more.
func (s *routedStream) settleLocked() {
	switch {
	case s.wasLost:
		s.lease.Done(lostOutcome(s.call.routes.ctx, !s.unsent))
	case s.unsendable != nil:
		s.lease.Done(balancer.Abandoned)
		s.observe(s.unsendable)
	default:
		s.lease.Done(balancer.Answered)
		s.observe(s.result)
	}
}

func (s *routedStream) isUnsent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsent
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

// within runs one of the stream's methods. It reports false for an error of a stream that was
// surely not run: gRPC says so only to who is told of the end, after that. What gRPC itself
// fails at as it sends is the caller's doing, and says nothing of the endpoint. A reader is told
// of it in the same words, so that it leaves it to who may be sending meanwhile to say what it
// was; a reader that is told before has but these words.
func (s *routedStream) within(sends bool, method func() (told bool, err error)) (sent bool, err error) {
	s.mu.Lock()
	s.inside++
	if sends {
		s.senders++
	}
	s.mu.Unlock()
	told := false
	defer func() { // a codec of the caller's may panic
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inside--
		if sends {
			s.senders--
		}
		told = told || err != nil && s.ended && errors.Is(err, s.result)
		sent = !told || s.mark.sent()
		s.unsent = s.unsent || s.wasLost && !sent
		if !s.owed || !told && s.inside > 0 || !s.wasLost && !sends && s.senders > 0 {
			return
		}
		if s.owed = false; told && sends && !s.wasLost {
			s.unsendable = s.call.fault(Fault{Reason: ReasonArguments, Endpoint: s.lease.Endpoint(), MayHaveRun: true, Err: withStatus(s.result)})
		}
		s.settleLocked()
	}()
	told, err = method()
	return true, err
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsendable != nil && errors.Is(err, s.result) {
		return s.unsendable
	}
	return err
}

// Header implements grpc.ClientStream. gRPC itself leaves it to RecvMsg to tell of the end.
func (s *routedStream) Header() (md metadata.MD, err error) {
	sent, err := s.within(false, func() (told bool, err error) {
		md, err = s.ClientStream.Header()
		return md == nil || errors.Is(err, plugin.ErrConnectionLost), err
	})
	return md, s.explain(err, sent)
}

// SendMsg implements grpc.ClientStream.
func (s *routedStream) SendMsg(m any) error {
	sent, err := s.within(true, func() (told bool, err error) {
		err = s.ClientStream.SendMsg(m)
		return errors.Is(err, plugin.ErrConnectionLost), err
	})
	return s.explain(err, sent)
}

// CloseSend implements grpc.ClientStream.
func (s *routedStream) CloseSend() error {
	sent, err := s.within(true, func() (told bool, err error) {
		err = s.ClientStream.CloseSend()
		return errors.Is(err, plugin.ErrConnectionLost), err
	})
	return s.explain(err, sent)
}

// RecvMsg implements grpc.ClientStream.
func (s *routedStream) RecvMsg(m any) error {
	sent, err := s.within(false, func() (told bool, err error) {
		err = s.ClientStream.RecvMsg(m)
		return errors.Is(err, plugin.ErrConnectionLost), err
	})
	if err == nil {
		s.call.routes.answered(s.lease)
		return nil
	}
	err = s.explain(err, sent)
	s.told(err)
	return err
}
