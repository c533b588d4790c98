// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin"
)

// The protocols, as a Router knows them.
const (
	protocolRPC  = "netrpc"
	protocolGRPC = "grpc"
)

// RPC is a routed stub that speaks net/rpc: what plugin.Plugin's Client wants.
type RPC struct {
	// Client sends each call to an endpoint that is ready then. It outlives
	// every session. Its own Close ends the stub as well, but calls that begin
	// afterwards then fail with rpc.ErrShutdown itself, as with any closed
	// rpc.Client, and not with a [Fault]. As with any rpc.Client, arguments and
	// reply belong to a call until it is done: the arguments may have to be
	// encoded more than once. A reply is overwritten, not merged into.
	Client *rpc.Client
	// Broker takes callbacks from whichever endpoint has the call. Its Dial
	// goes to the endpoint that answered last. Nil without Config.Broker.
	Broker *plugin.MuxBroker

	codec *rpcCodec
}

// NewRPC returns a stub for a kind. The caller closes it. Nothing is
// sent before the first call. The error is that of [CheckNetRPC].
func NewRPC(kind string, config Config) (*RPC, error) {
	codec := newRPCCodec(kind, config)
	stub := &RPC{Client: rpc.NewClientWithCodec(codec), codec: codec}
	var err error
	if codec.pending, err = pendingIn(reflect.ValueOf(stub.Client).Elem()); err != nil {
		_ = stub.Close()
		return nil, err
	}
	if config.Broker != nil {
		stub.Broker = config.Broker.MuxBroker(codec.lastBroker)
	}
	return stub, nil
}

// Close ends the stub. Calls in flight and later ones fail with a [Fault] of
// [ReasonCaller] that matches rpc.ErrShutdown. It may be called more than once, and
// returns nil.
func (r *RPC) Close() error { return r.CloseWithError(nil) }

// CloseWithError is Close for who owns the stub in its callers' place: calls fail with a
// [Fault] that matches err, if it is not nil, of [ReasonUnavailable], or of [ReasonLost] if
// they were sent.
func (r *RPC) CloseWithError(err error) error { return r.codec.closeWith(err) }
