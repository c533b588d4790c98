// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"net/rpc"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// call is one call of a net/rpc stub. At any moment it has one owner, which alone may
// change it: the goroutine that routes it, or the session channel on which it waits for
// its answer. Whoever takes it from there owns it then.
type call struct {
	callState
	number uint64      // on the session channel
	first  waitingCall // how it waits the first time that it does
	args   any
	caller *rpc.Call
	reply  reflect.Type // what the caller gave for it; nil: nothing
	within *callContext // nil: the caller gave no context

	lease    balancer.Lease
	replayed bool // it is sent for another call, to one endpoint
	// end is where the request ends in what the channel was given; zero before it is sent.
	end     atomic.Uint64
	givenUp atomic.Bool // by whoever has taken it from its channel
}

// deadline is when the stub ends the call without an answer, by the clock of its stub. It
// is never if the caller's context does. A request that is replayed has none,
// although the plugin is told its method's timeout: it must be known when the endpoint has run it.
func (k *call) deadline() time.Duration {
	deadline := k.began + k.options.Timeout
	if deadline < k.began || k.replayed || k.within != nil && k.within.hasDeadline {
		return never // the timeout may be longer than there is time
	}
	return deadline
}

// request is what is sent of the call beside its arguments, without its number.
func (k *call) request() plugin.RPCRequest {
	r := plugin.RPCRequest{Method: k.name}
	switch {
	case k.trace != nil:
		r.Carry(k.trace.attempt(k.trace.base, k.lease.Endpoint()))
	case k.within != nil:
		r.Carry(k.within.Context)
	}
	if r.Timeout == 0 {
		r.Timeout = max(k.options.Timeout-k.handed, time.Microsecond)
	}
	return r
}

// channelWait is how long a call waits for a session channel that is being opened, or
// is full, or behind a request that its endpoint remembers, before it tries another
// endpoint.
const channelWait = time.Second

// route brings a call onto a session channel, or ends it. lease may be nil. It runs in a
// goroutine of its own.
func (c *rpcCodec) route(k *call, lease balancer.Lease) {
	ctx := c.ctx
	if k.within != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(k.within.Context)
		defer cancel(nil)
		defer context.AfterFunc(c.ctx, func() { cancel(errStubClosed) })()
	}
	if deadline := k.deadline(); deadline != never {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.start.Add(deadline))
		defer cancel()
	}
	for {
		if ctx.Err() != nil { // a Router need not look at it
			if lease != nil {
				lease.Done(balancer.NotSent)
			}
			c.giveUp(k, k.explain(context.Cause(ctx)))
			return
		}
		if lease == nil {
			var err error
			if lease, err = k.next(ctx, c.Router, protocolRPC); err != nil {
				c.giveUp(k, err)
				return
			}
		}
		err := c.offer(ctx, k, lease)
		if err == nil {
			return
		}
		if c.declined(k, lease, err) {
			return
		}
		lease = nil
	}
}

// declined gives a lease back on whose session a call could not be put, and says of the
// next attempt what err tells of this one. It reports true if it has ended the call.
func (c *rpcCodec) declined(k *call, lease balancer.Lease, err error) bool {
	outcome := balancer.NotSent
	if errors.Is(err, errSlow) {
		outcome = balancer.TimedOut
	}
	replay, replaying := errors.AsType[*ReplayError](err)
	if replaying {
		outcome = replay.outcome
	}
	lease.Done(outcome)
	unfit, isUnfit := errors.AsType[*plugin.RPCEncodeError](err)
	if isUnfit && !replaying { // it would fail elsewhere as well
		c.fault(k, Fault{Reason: ReasonArguments, Err: unfit.Err})
		return true
	}
	if err == errLeft { // calls keep to another session, perhaps of the same endpoint
		return false
	}
	k.avoid(lease.Endpoint(), err)
	text, answered := errors.AsType[rpc.ServerError](err)
	_, failed := Cause(err)
	switch {
	case failed: // the session ended meanwhile
	case replaying && (answered || isUnfit || errors.Is(err, ErrTimeout)):
		k.retry.refused = err
	case answered:
		k.retry.refused = &RefusedError{Kind: c.kind, Err: text}
	}
	return false
}

// offer puts the call on the channel of a lease's session, and waits for it where it
// must.
func (c *rpcCodec) offer(ctx context.Context, k *call, lease balancer.Lease) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, channelWait, errSlow)
	defer cancel()
	s := c.channelOf(lease)
	if s == nil {
		return errStubClosed
	}
	if lease, err = c.prepare(ctx, k, lease, s); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			giveTurn(lease)
		}
	}()
	args := k.args
	if encode := s.encoder(k); encode != nil {
		args = encode(args)
	}
	for {
		k.handed = c.now() - k.began
		err := s.send(k, lease, args)
		if err != errBusy {
			return err
		}
		if err := s.await(ctx); err != nil {
			return err
		}
	}
}

// giveUp ends a call that no endpoint took, or took again.
func (c *rpcCodec) giveUp(k *call, err error) {
	refusal, refused := err.(*RefusedError)
	switch {
	case c.ctx.Err() != nil:
		c.closed(k)
	case k.isCancelled():
		c.fault(k, Fault{Reason: ReasonCaller, Err: k.within.Context.Err()})
	case refused && !k.wasSent():
		c.finish(k, "", refusal)
	default:
		c.fault(k, Fault{Reason: ReasonUnavailable, Err: err})
	}
}

// closed ends a call whose stub was closed.
func (c *rpcCodec) closed(k *call) {
	c.fault(k, closedFault(c.ctx, rpc.ErrShutdown))
}

// fault ends a call with a Fault. The lease has been given back.
func (c *rpcCodec) fault(k *call, last Fault) {
	f := k.fault(last)
	c.finish(k, f.Endpoint, f)
}

// finish ends a call. A reply, if there is one, has been set.
func (c *rpcCodec) finish(k *call, endpoint string, err error) {
	if !k.replayed {
		c.observe(&k.callState, endpoint, err)
	}
	done(k.caller, err)
}

// lost sends a call again whose channel has ended, or ends it. sent says that the
// plugin may have read it.
func (c *rpcCodec) lost(k *call, sent bool, cause error) {
	lease, endpoint := k.lease, k.lease.Endpoint()
	k.lease = nil
	again := k.lost(endpoint, sent, cause) && !k.replayed
	lease.Done(lostOutcome(c.ctx, sent))
	if errors.Is(cause, errStubClosed) {
		c.closed(k)
		return
	}
	refusal, notRun := errors.AsType[*plugin.RPCRefusedError](cause)
	switch {
	case again:
		go c.route(k, nil)
	case notRun && k.retry.refused != nil:
		c.finish(k, endpoint, k.retry.refused)
	case notRun: // The plugin lives, and has said why it did not run the call.
		c.finish(k, endpoint, refusal)
	default:
		c.fault(k, Fault{Reason: ReasonLost, Endpoint: endpoint, Err: cause})
	}
}
