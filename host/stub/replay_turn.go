// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/balancer"
)

// turnError says that a session is busy with another request that endpoints remember. The
// call was not sent.
type turnError struct{ method string }

// Error implements error.
func (e *turnError) Error() string {
	return fmt.Sprintf("the call waits behind another request that the endpoint remembers (%s)", methodOf(e.method))
}

var errUnanswered = fmt.Errorf("an earlier request of it has no answer: %w", ErrTimeout)

// turnHolder is a request that has the turn of a session.
type turnHolder struct {
	method string
	late   time.Time // when nobody waits behind it any more; zero while its caller waits
}

func (h *turnHolder) isLate() bool { return !h.late.IsZero() && !time.Now().Before(h.late) }

// take waits for the turn of a call, which may be one that endpoints remember. It does not
// wait behind a request that is late already.
func (s *replayed) take(ctx context.Context, lease balancer.Lease, called *calledMethod) error {
	select {
	case s.turn <- struct{}{}:
		s.holder.Store(&turnHolder{method: called.name})
		return nil
	default:
	}
	if holder := s.holder.Load(); holder != nil && holder.isLate() {
		return s.busy(lease)
	}
	select {
	case s.turn <- struct{}{}:
		s.holder.Store(&turnHolder{method: called.name})
		return nil
	case <-ctx.Done():
		return s.busy(lease)
	}
}

// busy says why the turn did not come: a ReplayError where the endpoint should have answered.
func (s *replayed) busy(lease balancer.Lease) error {
	switch holder := s.holder.Load(); {
	case holder == nil: // it has just taken the turn
		return &turnError{"its first"}
	case holder.isLate():
		return &ReplayError{Method: methodOf(holder.method), Endpoint: lease.Endpoint(), Err: errUnanswered, outcome: balancer.TimedOut}
	default:
		return &turnError{holder.method}
	}
}

// prepare sends what a session has not had before a call of a method, one request after
// the other, in the order in which they were accepted: also those that are accepted
// meanwhile. It gives the lease that the call uses instead. The error is a turnError when ctx
// ends first, which says nothing of the endpoint's health, or a ReplayError.
//
// A request that is sent again outlives the call for which it is, as nobody could say when
// an endpoint runs it that nobody waits for. So send, which runs in a goroutine of its own,
// returns when the endpoint has answered, or when its session or the stub has ended. The
// plugin is told the timeout of the method. Once that has passed, calls go elsewhere, and
// count it against the endpoint.
func (r *replays) prepare(ctx context.Context, lease balancer.Lease, called *calledMethod, send func(recordedRequest) error) (balancer.Lease, error) {
	s := r.session(lease)
	for {
		if err := s.take(ctx, lease, called); err != nil {
			return nil, err
		}
		missing := r.missing(s, called.name)
		if len(missing) == 0 {
			if called.options.Replay {
				mine := &turnLease{Lease: lease, replays: r, session: s, method: called.name, timeout: called.options.Timeout}
				mine.open.Store(turnOfCall)
				return mine, nil
			}
			<-s.turn
			return lease, nil
		}
		holder := &turnHolder{method: missing[0].method, late: time.Now().Add(missing[0].timeout)}
		s.holder.Store(holder)
		answer := make(chan error, 1)
		// Begun here, as the call may give its lease back before the goroutine runs.
		own, ok := lease.(balancer.Renewable)
		if ok && !own.Begin() {
			own = nil
		}
		go func() { answer <- r.replay(s, lease, own, missing[0], holder, send) }()
		select {
		case err := <-answer:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, s.busy(lease)
		}
	}
}

// replay sends one request, and gives the turn back. To the fleet it is a call of its own, as
// the call for which it is may have left by then: own, which was begun, is nil where it cannot
// be. The error is a ReplayError.
func (r *replays) replay(s *replayed, lease balancer.Lease, own balancer.Renewable, q recordedRequest, holder *turnHolder, send func(recordedRequest) error) error {
	err := send(q)
	outcome := replayOutcome(err)
	if err != nil && outcome == balancer.Answered && holder.isLate() {
		err, outcome = fmt.Errorf("%w; it answered: %w", ErrTimeout, err), balancer.TimedOut
	}
	if err == nil {
		r.has(s, q)
	}
	s.holder.Store(&turnHolder{method: q.method}) // so that nobody takes the next one for late
	<-s.turn
	if own != nil {
		own.Done(outcome)
		outcome = balancer.NotSent
	}
	if err == nil {
		return nil
	}
	return &ReplayError{Method: methodOf(q.method), Endpoint: lease.Endpoint(), Err: err, outcome: outcome}
}

// notRunError is the error of a replay that its endpoint has surely not run.
type notRunError struct{ error }

// Unwrap gives why.
func (e notRunError) Unwrap() error { return e.error }

// stoppedError is the error of a replay that was cut off because its stub was closed.
type stoppedError struct{ error }

// Unwrap gives what the replay ended with.
func (e stoppedError) Unwrap() error { return e.error }

// replayOutcome is the outcome of a replay that ended with err.
func replayOutcome(err error) balancer.Outcome {
	if _, ok := errors.AsType[notRunError](err); ok {
		return balancer.NotSent
	}
	if _, ok := errors.AsType[stoppedError](err); ok {
		return balancer.Abandoned
	}
	f, failed := Cause(err)
	_, overRPC := errors.AsType[rpc.ServerError](err)
	_, overGRPC := status.FromError(err)
	switch {
	case errors.Is(err, plugin.ErrConnectionLost), failed && f.Reason == ReasonLost:
		return balancer.Lost
	case overRPC, overGRPC: // also of nil
		return balancer.Answered
	}
	return balancer.NotSent
}

// turnLease is the lease of a call whose request an endpoint remembers. It has the turn of
// the session until the call has ended and the endpoint will not run it any more.
type turnLease struct {
	balancer.Lease
	replays *replays
	session *replayed
	method  string
	timeout time.Duration
	// open is what the turn still waits for: turnOfCall, and turnOfEndpoint once a request
	// was sent whose answer is seen also when nobody waits for it.
	open atomic.Uint32
}

const (
	turnOfCall     = 1 << iota // the call has not ended
	turnOfEndpoint             // the endpoint has not answered
)

// Done implements balancer.Lease. Of a request without an answer nobody knows whether the
// endpoint has it: the last one that was accepted is sent again.
func (l *turnLease) Done(o balancer.Outcome) {
	over := uint32(turnOfCall | turnOfEndpoint)
	if o == balancer.TimedOut || o == balancer.Abandoned {
		l.replays.mu.Lock()
		delete(l.session.had, l.method)
		l.replays.mu.Unlock()
		over = turnOfCall
		if l.open.Load()&turnOfEndpoint != 0 {
			l.unanswered(o)
		}
	}
	l.close(over)
	l.Lease.Done(o)
}

// unanswered lets nobody wait for the turn any more when the method's timeout has passed.
func (l *turnLease) unanswered(o balancer.Outcome) {
	late := time.Now()
	if o != balancer.TimedOut {
		late = late.Add(l.timeout)
	}
	l.session.holder.Store(&turnHolder{l.method, late})
}

// close gives the turn back when nothing is open any more.
func (l *turnLease) close(over uint32) {
	if old := l.open.And(^over); old != 0 && old&^over == 0 {
		l.session.holder.Store(&turnHolder{method: l.method})
		<-l.session.turn
	}
}

// giveTurn gives back the turn that a lease may have. It stands for Done where the call
// goes on with the lease that prepare was given.
func giveTurn(lease balancer.Lease) {
	if l, ok := lease.(*turnLease); ok {
		l.close(turnOfCall | turnOfEndpoint)
	}
}
