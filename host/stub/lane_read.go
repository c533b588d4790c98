// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// laneReader decodes the answers on a lane.
type laneReader struct {
	*lane
	channel plugin.RPCChannel
	// What was read last, kept for the memory.
	header rpc.Response
	value  reflect.Value // a pointer to it
}

// read takes answers until the channel ends.
func (l *lane) read(channel plugin.RPCChannel) {
	r := &laneReader{lane: l, channel: channel}
	for {
		if err := r.next(); err != nil {
			l.fail(err)
			break
		}
	}
	// Other channels of the session rely on who reads.
	for channel.ReadHeader(&r.header) == nil {
		_ = channel.ReadReply(reflect.Value{})
	}
}

// next takes one answer. An error means that the channel has ended.
func (r *laneReader) next() error {
	response := &r.header
	*response = rpc.Response{}
	if err := r.channel.ReadHeader(response); err != nil {
		return err
	}
	k := r.calls.find(response.Seq)
	var target reflect.Value // invalid: skip the body
	var useless error
	if k != nil && response.Error == "" && k.reply != nil {
		if k.reply.Kind() == reflect.Pointer {
			target = r.target(k.reply)
		} else {
			useless = fmt.Errorf("the caller's reply is %v, not a pointer", k.reply)
		}
	}
	err := r.channel.ReadReply(target)
	if errors.Is(err, plugin.ErrConnectionLost) {
		return err // the call is on the lane still, and shares its fate
	}
	if k = r.take(response.Seq); k != nil { // or else it is too late
		r.settle(k, response, target, cmp.Or(useless, err))
	}
	if target.IsValid() {
		target.Elem().SetZero()
	}
	return nil
}

// target returns a pointer to an empty value, of the type that reply is. An
// answer is not decoded where the caller wants it: the caller may have given up
// by then.
func (r *laneReader) target(reply reflect.Type) reflect.Value {
	if !r.value.IsValid() || r.value.Type() != reply {
		r.value = reflect.New(reply.Elem())
	}
	return r.value
}

// settle ends a call that was answered. unreadable is why the answer is not
// what the caller expects.
func (r *laneReader) settle(k *call, response *rpc.Response, target reflect.Value, unreadable error) {
	endpoint := r.answered(k)
	var to reflect.Value
	if target.IsValid() {
		if to = reflect.ValueOf(k.caller.Reply); to.IsNil() {
			unreadable = errNilReply
		}
	}
	switch {
	case response.Error != "":
		r.codec.finish(k, endpoint, rpc.ServerError(response.Error))
	case unreadable != nil:
		r.codec.fault(k, Fault{Reason: ReasonAnswer, Endpoint: endpoint, MayHaveRun: true, Err: unreadable})
	default:
		if to.IsValid() {
			to.Elem().Set(target.Elem())
		}
		r.codec.finish(k, endpoint, nil)
	}
}

// answered gives the lease of a call back.
func (l *lane) answered(k *call) (endpoint string) {
	if l.codec.latest.Load() != l {
		l.codec.latest.Store(l)
	}
	endpoint = k.lease.Endpoint()
	k.lease.Done(balancer.Answered)
	return endpoint
}

// take makes the caller the owner of a call, or returns nil if it has one.
func (l *lane) take(seq uint64) *call {
	k := l.calls.take(seq)
	if k != nil {
		l.closeIfIdle()
	}
	return k
}

// expire ends the calls that were not answered in time. Their answers, if they
// still come, find no call.
func (l *lane) expire() {
	for _, k := range l.calls.takeExpired() {
		endpoint := k.lease.Endpoint()
		k.lease.Done(k.options.unanswered(k.deadline().Sub(k.handed)))
		l.codec.fault(k, Fault{Reason: ReasonTimeout, Endpoint: endpoint, MayHaveRun: true})
	}
	l.closeIfIdle()
}

// fail ends the lane and what is on it, once.
func (l *lane) fail(err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) && l.codec.ctx.Err() == nil {
		err = errHungUp
	}
	calls, channel, first := l.end(err)
	if !first {
		return
	}
	l.codec.forget(l)
	var taken uint64
	if channel != nil {
		_ = channel.Close()
		taken = channel.Taken()
	}
	for _, k := range calls {
		l.codec.lost(k, k.end <= taken, err)
	}
}

// end takes all calls off the lane. It waits for the one that is being sent, so
// that it is known where each ends.
func (l *lane) end(err error) (calls []*call, channel plugin.RPCChannel, first bool) {
	l.sending.Lock()
	defer l.sending.Unlock()
	if l.err != nil {
		return nil, nil, false
	}
	l.err = err
	calls = l.calls.takeAll()
	if l.channel == nil {
		close(l.opened)
	}
	return calls, l.channel, true
}

var (
	errHungUp   = errors.New("the plugin hung up")
	errNilReply = errors.New("the caller's reply is a nil pointer")
)
