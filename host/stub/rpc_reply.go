// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"
	"reflect"
	"unsafe"
)

// pendingCalls is where an rpc.Client keeps the calls that have no answer, and
// nil if this net/rpc keeps them otherwise.
//
// net/rpc asks its codec for one answer after the other, in one goroutine, and
// says where the reply goes only after the header. For a stub that is too late
// and too much: a body that comes slowly would hold up the answers of all other
// endpoints, one that cannot be decoded ends an rpc.Client for good, and every
// answer would have to be carried from the goroutine of its lane to that of the
// client. So a stub takes each call out of the client and ends it itself, as
// the client would. Only if the calls are not found does it do as net/rpc asks,
// with the said effects.
type pendingCalls struct{ calls *map[uint64]*rpc.Call }

func pendingOf(client *rpc.Client) pendingCalls {
	field := reflect.ValueOf(client).Elem().FieldByName("pending")
	if !field.IsValid() || field.Type() != reflect.TypeFor[map[uint64]*rpc.Call]() {
		return pendingCalls{}
	}
	return pendingCalls{(*map[uint64]*rpc.Call)(unsafe.Pointer(field.UnsafeAddr()))}
}

// take makes the stub the owner of the call seq, or gives nil. It may be called
// from WriteRequest alone, where the client holds its lock for sending: then
// nothing but the taking of an answer changes the map, and there are none for a
// client whose calls are all taken.
func (p pendingCalls) take(seq uint64) *rpc.Call {
	if p.calls == nil {
		return nil
	}
	call := (*p.calls)[seq]
	delete(*p.calls, seq)
	return call
}

// done tells the caller that its call has ended.
func done(call *rpc.Call, err error) {
	call.Error = err
	select {
	case call.Done <- call:
	default: // as net/rpc does: the channel is too small
	}
}
