// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"fmt"
	"net/rpc"
	"reflect"
	"runtime"
	"unsafe"
)

// pendingCalls is where an rpc.Client keeps the calls that have no answer.
//
// net/rpc asks its codec for one answer after the other, in one goroutine, and
// says where the reply goes only after the header. For a stub that is too late
// and too much: a body that comes slowly would hold up the answers of all other
// endpoints, one that cannot be decoded ends an rpc.Client for good, and an error
// would be nothing but a text, which a plugin could send as well. So a stub takes
// each call out of the client and ends it itself, as the client would.
type pendingCalls map[uint64]*rpc.Call

// pendingIn finds them in an rpc.Client, whose field net/rpc does not export.
func pendingIn(client reflect.Value) (pendingCalls, error) {
	field := client.FieldByName("pending")
	if !field.IsValid() || field.Type() != reflect.TypeFor[map[uint64]*rpc.Call]() || field.IsNil() {
		return nil, fmt.Errorf("net/rpc of %s keeps its calls otherwise than this release of reattach knows: build with an older Go, or a newer release", runtime.Version())
	}
	return *(*map[uint64]*rpc.Call)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// CheckNetRPC says whether net/rpc stubs can be made at all with the Go release
// that the program was built with. A host asks when it starts.
func CheckNetRPC() error {
	stub, err := NewRPC("", Config{})
	if err == nil {
		_ = stub.Close()
	}
	return err
}

// take makes the stub the owner of the call seq. It may be called from
// WriteRequest alone, where the client holds its lock for sending and the call is
// in the map: then nothing but the taking of an answer changes the map, and there
// are none for a client whose calls are all taken.
func (p pendingCalls) take(seq uint64) *rpc.Call {
	call := p[seq]
	delete(p, seq)
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
