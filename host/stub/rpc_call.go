// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"net/rpc"
	"reflect"
	"time"

	"github.com/reattach/reattach/host/balancer"
)

// call is one call of a net/rpc stub. At any moment it has one owner, which
// alone may change it: the goroutine that routes it, or the lane whose table
// it is in; who takes it out of the table owns it then.
type call struct {
	*calledMethod
	seq    uint64
	args   any
	caller *rpc.Call
	reply  reflect.Type // what the caller gave for it; nil: nothing
	began  time.Time
	handed time.Time // to the last endpoint

	attempts int     // times that the call was handed to an endpoint
	detour   *search // nil until an attempt has failed
	lease    balancer.Lease
	end      uint64 // where the request ends in what the lane's channel was given; see lane.sending
}

func (k *call) deadline() time.Time { return k.began.Add(k.options.Timeout) }

// search begins with the first endpoint that does not take the call, or loses it.
func (k *call) search() *search {
	if k.detour == nil {
		k.detour = new(search)
	}
	return k.detour
}

// calledMethod is which method a call is of.
type calledMethod struct {
	service string // "Plugin.Greet"
	method  string // "Greet"
	options CallOptions
}

// laneWait is how long a call waits for a lane that is being opened, or is
// full, before it tries another endpoint.
const laneWait = time.Second

// route brings a call onto a lane, or ends it. lease may be nil. It runs in a
// goroutine of its own.
func (c *rpcCodec) route(k *call, lease balancer.Lease) {
	ctx, cancel := context.WithDeadline(c.ctx, k.deadline())
	defer cancel()
	for {
		if lease == nil {
			var err error
			if lease, err = k.search().next(ctx, c.Router, protocolRPC); err != nil {
				c.giveUp(k, err)
				return
			}
		}
		err := c.offer(ctx, k, lease)
		if err == nil {
			return
		}
		endpoint := lease.Endpoint()
		if isFinal(err) {
			lease.Done(balancer.NotSent)
			c.fault(k, Fault{Reason: ReasonArguments, Err: err})
			return
		}
		lease.Done(outcomeOf(err))
		lease = nil
		k.search().avoid(endpoint)
		k.search().cause = err
		if text, ok := errors.AsType[rpc.ServerError](err); ok {
			k.search().refused = &RefusedError{Kind: c.kind, Err: text}
		}
	}
}

// outcomeOf tells the fleet why an endpoint did not take a call.
func outcomeOf(err error) balancer.Outcome {
	if errors.Is(err, errLaneSlow) {
		return balancer.TimedOut
	}
	return balancer.NotSent
}

// offer puts the call on the lane of a lease, and waits for it where it must.
func (c *rpcCodec) offer(ctx context.Context, k *call, lease balancer.Lease) error {
	ctx, cancel := context.WithTimeoutCause(ctx, laneWait, errLaneSlow)
	defer cancel()
	for {
		l := c.laneOf(lease)
		if l == nil {
			return errStubClosed
		}
		k.handed = time.Now()
		err := l.send(k, lease)
		for errors.Is(err, errLaneBusy) {
			if err = l.await(ctx); err == nil {
				k.handed = time.Now()
				err = l.send(k, lease)
			}
		}
		if !errors.Is(err, errLaneRetired) {
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
	case refused && !k.search().sent:
		c.finish(k, "", refusal)
	default:
		c.fault(k, Fault{Reason: ReasonUnavailable, Err: err})
	}
}

// closed ends a call whose stub was closed.
func (c *rpcCodec) closed(k *call) {
	c.fault(k, Fault{Reason: ReasonCaller, Err: rpc.ErrShutdown})
}

// fault ends a call with a Fault. The lease has been given back.
func (c *rpcCodec) fault(k *call, last Fault) {
	last.Method = k.method
	f := k.detour.fault(last)
	c.finish(k, f.Endpoint, f)
}

// finish ends a call. A reply, if there is one, has been set.
func (c *rpcCodec) finish(k *call, endpoint string, err error) {
	ended := Call{Method: k.method, Endpoint: endpoint, Attempts: k.attempts, Err: err}
	if k.detour != nil {
		ended.Repeats = k.detour.repeats
	}
	c.observe(k.began, ended)
	done(k.caller, err)
}

// lost sends a call again whose lane has gone, or ends it. sent says that the
// plugin may have read it.
func (c *rpcCodec) lost(k *call, sent bool, cause error) {
	lease, endpoint := k.lease, k.lease.Endpoint()
	k.lease = nil
	again := k.search().lost(endpoint, sent, k.options, cause)
	switch {
	case errors.Is(cause, errStubClosed):
		lease.Done(balancer.Abandoned)
		c.closed(k)
		return
	case sent:
		lease.Done(balancer.Lost)
	default:
		lease.Done(balancer.NotSent)
	}
	if !again {
		c.fault(k, Fault{Reason: ReasonLost, Endpoint: endpoint, Err: cause})
		return
	}
	go c.route(k, nil)
}
