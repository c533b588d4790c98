// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// record keeps the arguments of a call that was accepted, if its method says so.
func (c *rpcCodec) record(k *call) {
	if c.replays != nil && k.options.Replay && !k.replayed {
		c.replays.accepted(k.lease, k.calledMethod, copied(k.args))
	}
}

// copied gives arguments that their caller does not share. Those which gob can send and
// not read back, as a type may that encodes itself, are given as they are.
func copied(args any) any {
	v := reflect.ValueOf(args)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var buf bytes.Buffer
	twin := reflect.New(v.Type())
	if gob.NewEncoder(&buf).EncodeValue(v) != nil || gob.NewDecoder(&buf).DecodeValue(twin) != nil {
		return args
	}
	return twin.Interface()
}

// prepare sends on a session channel what the session must have had before a call, and
// gives the lease that the call uses.
func (c *rpcCodec) prepare(ctx context.Context, k *call, lease balancer.Lease, s *sessionChannel) (balancer.Lease, error) {
	if !c.replays.isDue(lease, k.calledMethod) {
		return lease, nil
	}
	return c.replays.prepare(ctx, lease, k.calledMethod, func(q recordedRequest) error { return c.again(q, lease, s) })
}

// again makes a call of what another endpoint has accepted, on this one alone.
func (c *rpcCodec) again(q recordedRequest, lease balancer.Lease, s *sessionChannel) error {
	caller := &rpc.Call{ServiceMethod: q.method, Args: q.request, Done: make(chan *rpc.Call, 1)}
	k := &call{
		callState: c.newState(q.method), args: q.request, caller: caller, replayed: true,
	}
	err := s.send(k, borrowed{lease}, k.args)
	for err == errBusy {
		if err = s.await(c.ctx); err == nil {
			err = s.send(k, borrowed{lease}, k.args)
		}
	}
	if err != nil {
		return notRunError{err}
	}
	<-caller.Done // The session or the stub ends it as well.
	// Before isRefused, as errors.As makes an rpc.ServerError of a Fault.
	f, failed := Cause(caller.Error)
	_, ran := caller.Error.(rpc.ServerError)
	switch {
	case failed && !f.MayHaveRun, !failed && !ran && isRefused(caller.Error):
		return notRunError{caller.Error}
	case failed && c.ctx.Err() != nil:
		return stoppedError{caller.Error}
	}
	return caller.Error
}

// isRefused reports whether err is a plugin's own over net/rpc: of its method, or why it has
// not run that.
func isRefused(err error) bool {
	_, answered := errors.AsType[rpc.ServerError](err)
	_, refused := errors.AsType[*plugin.RPCRefusedError](err)
	return answered || refused
}

// owedTurn is a request that endpoints remember, and whose answer gives a turn back.
type owedTurn struct {
	number uint64
	lease  *turnLease
}

// awaitsAnswer makes the turn that a lease may have wait for an answer to what is about to
// be sent, also when its caller does not.
func awaitsAnswer(lease balancer.Lease) *turnLease {
	l, ok := lease.(*turnLease)
	if ok {
		l.open.Or(turnOfEndpoint)
	}
	return l
}

// settled says that the endpoint has answered a request that nobody waited for, or will
// surely not run it.
func (s *sessionChannel) settled(number uint64) {
	if owed := s.owed.Load(); owed != nil && owed.number == number {
		owed.lease.close(turnOfEndpoint)
	}
}

// borrowed is a lease that another call gives back.
type borrowed struct{ balancer.Lease }

// Done implements balancer.Lease.
func (borrowed) Done(balancer.Outcome) {}
