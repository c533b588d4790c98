// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// TakesContextCalls implements plugin.ContextClientCodec.
func (*rpcCodec) TakesContextCalls() {}

// callContext is what a call that plugin.CallContext makes has beside others.
type callContext struct {
	*plugin.ContextCall
	hasDeadline bool // of the context
	// on is where the call was put last; nil if it was on no channel.
	on atomic.Pointer[place]
}

// place is where a call waits for its answer.
type place struct {
	channel *sessionChannel
	number  uint64
}

// carry makes the context of an argument of plugin.CallContext the call's.
func (k *call) carry(c *plugin.ContextCall) {
	k.within = &callContext{ContextCall: c}
	_, k.within.hasDeadline = c.Context.Deadline()
	k.args, c.Canceler = c.Args, k.within
}

// context gives the caller's context, or nil.
func (k *call) context() context.Context {
	if k.within == nil {
		return nil
	}
	return k.within.Context
}

// Cancel implements plugin.Canceler. Where the call is on its way to a channel, the
// goroutine that routes it ends it: its context has ended as well.
func (w *callContext) Cancel() {
	if on := w.on.Load(); on != nil {
		on.channel.cancel(on.number)
	}
}

// isCancelled reports whether the caller has ended its context, other than by a deadline.
func (k *call) isCancelled() bool {
	return k.within != nil && errors.Is(k.within.Context.Err(), context.Canceled)
}

// hasEnded reports whether the caller's context has ended.
func (k *call) hasEnded() bool { return k.within != nil && k.within.Context.Err() != nil }

// cancel ends a call whose context has ended, unless somebody else has ended it.
func (s *sessionChannel) cancel(number uint64) {
	if k := s.waiting.take(number); k != nil {
		s.giveUp(k)
	}
}

// giveUp ends a call that was taken from those that wait because its time or its context
// has ended, and tells the plugin. A request that has not left was not sent.
func (s *sessionChannel) giveUp(k *call) {
	k.givenUp.Store(true)
	sent := true
	if k.end.Load() != 0 { // or else send does
		sent = !s.channel.Cancel(k.number)
	}
	if !sent {
		k.notSent()
		s.settled(k.number)
	}
	s.endUnanswered(k, sent)
}

// endUnanswered ends a call whose time or whose context has ended.
func (s *sessionChannel) endUnanswered(k *call, sent bool) {
	why := Fault{Reason: ReasonTimeout, Endpoint: s.endpoint, MayHaveRun: sent}
	outcome := k.options.unanswered(k.options.Timeout - k.handed)
	if k.hasEnded() {
		ctx := k.within.Context
		why, outcome = endedBy(ctx, s.endpoint, sent), balancer.Abandoned
		if deadline, ok := ctx.Deadline(); ok && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			outcome = k.options.unanswered(deadline.Sub(s.codec.start.Add(k.began + k.handed)))
		}
	}
	if !sent && outcome == balancer.Abandoned {
		outcome = balancer.NotSent
	}
	k.lease.Done(outcome)
	s.codec.fault(k, why)
}

// isLate reports whether the time of a call has passed, of which a plugin that knows it may
// be quicker to tell than the timer here.
func (s *sessionChannel) isLate(k *call) bool {
	if k.within == nil || !k.within.hasDeadline {
		return k.deadline() <= s.codec.now()
	}
	if deadline, _ := k.within.Context.Deadline(); time.Now().Before(deadline) {
		return false
	}
	<-k.within.Context.Done() // at once
	return true
}
