// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"cmp"
	"errors"
	"fmt"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// read takes answers until the channel ends, and says why it has.
func (s *sessionChannel) read(channel plugin.RPCChannel) error {
	var header rpc.Response
	for {
		header = rpc.Response{}
		if err := channel.ReadHeader(&header); err != nil {
			return err
		}
		s.readReply(channel, &header)
	}
}

// readReply takes the rest of an answer, and ends its call.
//
// It is not decoded where the caller wants it: the caller may have given up by then.
func (s *sessionChannel) readReply(channel plugin.RPCChannel, header *rpc.Response) {
	k := s.waiting.find(header.Seq)
	var target reflect.Value // invalid: skip the body
	var useless error
	if k != nil && header.Error == "" && k.reply != nil {
		if k.reply.Kind() == reflect.Pointer {
			target = s.target(k.reply)
		} else {
			useless = fmt.Errorf("the caller's reply is %v, not a pointer", k.reply)
		}
	}
	if decode := channel.DetachReply(); decode != nil {
		if target.IsValid() {
			target = reflect.New(k.reply.Elem()) // The other one is for those that are read meanwhile.
		}
		long := *header
		go func() { s.take(&long, target, cmp.Or(useless, decode(target))) }()
		return
	}
	err := channel.ReadReply(target)
	if errors.Is(err, plugin.ErrConnectionLost) {
		return // ReadHeader will say so as well, which ends all calls that wait
	}
	s.take(header, target, cmp.Or(useless, err))
	if target.IsValid() {
		target.Elem().SetZero()
	}
}

// take ends the call that an answer is for, if it still waits.
func (s *sessionChannel) take(header *rpc.Response, target reflect.Value, err error) {
	k := s.waiting.take(header.Seq)
	refused, notRun := errors.AsType[*plugin.RPCRefusedError](err)
	switch {
	case k == nil: // too late
		s.settled(header.Seq)
	case notRun:
		s.refused(k, refused)
	case header.Error != "" && s.isLate(k):
		s.settled(header.Seq)
		s.endUnanswered(k, true)
	default:
		s.answer(k, header, target, err)
	}
}

// refused sends a call elsewhere that the plugin has not run.
func (s *sessionChannel) refused(k *call, refusal *plugin.RPCRefusedError) {
	if !refusal.Busy {
		k.retries().refused = &RefusedError{Kind: s.codec.kind, Err: rpc.ServerError(refusal.Reason)}
	}
	s.sending.Lock() // send may still note where the request ends
	k.end.Store(0)
	s.sending.Unlock()
	s.codec.lost(k, false, refusal)
}

// target gives a pointer to an empty value, the same one while answers are of one type.
func (s *sessionChannel) target(pointer reflect.Type) reflect.Value {
	if !s.value.IsValid() || s.value.Type() != pointer {
		s.value = reflect.New(pointer.Elem())
	}
	return s.value
}

// answer ends a call. unreadable is why the answer is not what the caller expects.
func (s *sessionChannel) answer(k *call, header *rpc.Response, target reflect.Value, unreadable error) {
	if s.codec.latest.Load() != s { // a store would take the cache line from whoever sends
		s.codec.latest.Store(s)
	}
	var to reflect.Value
	if target.IsValid() {
		if to = reflect.ValueOf(k.caller.Reply); to.IsNil() {
			unreadable = errNilReply
		}
	}
	if header.Error == "" && unreadable == nil {
		s.codec.record(k) // before the session's turn is another request's
	}
	k.lease.Done(balancer.Answered)
	tooLarge, isTooLarge := errors.AsType[*plugin.MessageTooLargeError](unreadable)
	switch {
	case isTooLarge:
		s.codec.fault(k, Fault{Reason: ReasonAnswer, Endpoint: s.endpoint, MayHaveRun: true, Err: tooLarge})
	case header.Error != "":
		s.codec.finish(k, s.endpoint, rpc.ServerError(header.Error))
	case unreadable != nil:
		s.codec.fault(k, Fault{Reason: ReasonAnswer, Endpoint: s.endpoint, MayHaveRun: true, Err: unreadable})
	default:
		if to.IsValid() {
			to.Elem().Set(target.Elem())
		}
		s.codec.finish(k, s.endpoint, nil)
	}
}

var errNilReply = errors.New("the caller's reply is a nil pointer")
