// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"
	"reflect"
	"sync"
)

// replies knows what the callers of an rpc.Client want to have decoded.
//
// net/rpc tells a codec where the reply goes only when it asks for the body,
// after the header: too late for us. A body that comes slowly would hold up
// the answers of all other endpoints, and one that cannot be decoded ends an
// rpc.Client for good. So the types are read where the client keeps them, in
// its map of pending calls. If a future net/rpc keeps them otherwise, decoding
// waits until the client asks, with the said effects.
type replies struct {
	pending reflect.Value // map[uint64]*rpc.Call, or invalid
	reply   int           // index of the field Reply

	// window is held while the client may change the map without holding the
	// lock under which it sends.
	window sync.Mutex
}

func repliesOf(client *rpc.Client) *replies {
	pending := reflect.ValueOf(client).Elem().FieldByName("pending")
	if !pending.IsValid() || pending.Type() != reflect.TypeFor[map[uint64]*rpc.Call]() {
		return &replies{}
	}
	field, ok := reflect.TypeFor[rpc.Call]().FieldByName("Reply")
	if !ok || len(field.Index) != 1 {
		return &replies{}
	}
	return &replies{pending: pending, reply: field.Index[0]}
}

// expected returns the type of the reply pointer of the call seq, nil for a
// caller that wants none. It reports false if it cannot know. It is called
// from WriteRequest, where the client holds its lock for sending: nothing but
// the taking of an answer changes the map then, and window excludes that.
func (r *replies) expected(seq uint64) (reflect.Type, bool) {
	if !r.pending.IsValid() {
		return nil, false
	}
	r.window.Lock()
	defer r.window.Unlock()
	call := r.pending.MapIndex(reflect.ValueOf(seq))
	if !call.IsValid() {
		return nil, false
	}
	reply := call.Elem().Field(r.reply)
	if reply.IsNil() {
		return nil, true
	}
	return reply.Elem().Type(), true
}
