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
)

// laneReader decodes the answers on a lane.
type laneReader struct {
	*lane
	channel plugin.RPCChannel
	header  rpc.Response // read last; kept for its memory
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

// next takes one answer. An error means that the stream has ended.
func (r *laneReader) next() error {
	response := &r.header
	*response = rpc.Response{}
	if err := r.channel.ReadHeader(response); err != nil {
		return err
	}
	k := r.peek(response.Seq)
	if k != nil && !k.known && response.Error == "" {
		return r.handOver(response.Seq)
	}
	var target reflect.Value // invalid: skip the body
	var useless error
	if k != nil && response.Error == "" && k.reply != nil {
		if k.reply.Kind() == reflect.Pointer {
			target = reflect.New(k.reply.Elem())
		} else {
			useless = fmt.Errorf("the caller's reply is %v, not a pointer", k.reply)
		}
	}
	err := r.channel.ReadReply(target)
	if errors.Is(err, plugin.ErrConnectionLost) {
		return err // the call is on the lane still, and shares its fate
	}
	if k = r.take(response.Seq); k == nil {
		return nil // too late
	}
	r.settle(k, response, target, cmp.Or(useless, err))
	return nil
}

// settle ends a call that was answered. unreadable is why the answer is not
// what the caller expects.
func (r *laneReader) settle(k *call, response *rpc.Response, target reflect.Value, unreadable error) {
	endpoint := r.answered(k)
	switch {
	case response.Error != "":
		r.codec.finish(k, endpoint, rpc.ServerError(response.Error), answer{seq: k.seq, fault: response.Error})
	case unreadable != nil:
		r.codec.fault(k, &Fault{Reason: ReasonAnswer, Endpoint: endpoint, Method: k.method, MayHaveRun: true, Err: unreadable})
	case target.IsValid():
		r.codec.finish(k, endpoint, nil, answer{seq: k.seq, value: target.Elem()})
	default:
		r.codec.finish(k, endpoint, nil, answer{seq: k.seq})
	}
}

// handOver lets the client decode the body of an answer itself.
func (r *laneReader) handOver(seq uint64) error {
	k := r.take(seq)
	if k == nil {
		return r.channel.ReadReply(reflect.Value{})
	}
	endpoint := r.answered(k)
	claim := make(chan struct{}, 1) // by who reads from the channel next
	decoded := make(chan error, 1)
	r.codec.finish(k, endpoint, nil, answer{seq: seq, decode: func(body any) error {
		select {
		case claim <- struct{}{}:
		default:
			return errStubClosed
		}
		var target reflect.Value
		if body != nil {
			target = reflect.ValueOf(body)
		}
		err := r.channel.ReadReply(target)
		decoded <- err
		return err
	}})
	select {
	case err := <-decoded:
		return err
	case <-r.codec.ctx.Done():
	}
	select {
	case claim <- struct{}{}:
		return errStubClosed
	case err := <-decoded: // The client was faster.
		return err
	}
}

// answered gives the lease of a call back.
func (l *lane) answered(k *call) (endpoint string) {
	if l.codec.latest.Load() != l {
		l.codec.latest.Store(l)
	}
	endpoint = k.lease.Endpoint()
	k.lease.Done(Answered)
	return endpoint
}

func (l *lane) peek(seq uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[seq]
}

// take makes the caller the owner of a call, or returns nil if it has one.
func (l *lane) take(seq uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.calls[seq]
	if k == nil {
		return nil
	}
	delete(l.calls, seq)
	k.timer.Stop()
	l.closeIfIdleLocked()
	return k
}

// expire ends a call that was not answered in time. Its answer, if it still
// comes, finds no call.
func (l *lane) expire(seq uint64) {
	k := l.take(seq)
	if k == nil {
		return
	}
	endpoint := k.lease.Endpoint()
	k.lease.Done(TimedOut)
	l.codec.fault(k, &Fault{Reason: ReasonTimeout, Endpoint: endpoint, Method: k.method, MayHaveRun: true})
}

// fail ends the lane and what is on it, once.
func (l *lane) fail(err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) && l.codec.ctx.Err() == nil {
		err = errHungUp
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	calls, channel := l.calls, l.channel
	l.calls = nil
	if channel == nil {
		close(l.opened)
	}
	l.mu.Unlock()

	l.codec.forget(l)
	var taken uint64
	if channel != nil {
		_ = channel.Close()
		taken = channel.Taken()
	}
	for _, k := range calls {
		k.timer.Stop()
		l.codec.lost(k, k.end <= taken, err)
	}
}

var errHungUp = errors.New("the plugin hung up")
