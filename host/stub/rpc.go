// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"

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
	// every session; only Close ends it. As with any rpc.Client, arguments and
	// reply belong to a call until it is done: the arguments may have to be
	// encoded more than once. A reply is overwritten, not merged into.
	Client *rpc.Client
	// Broker takes callbacks from whichever endpoint has the call. Its Dial
	// goes to the endpoint that answered last. Nil without Config.Broker.
	Broker *plugin.MuxBroker
}

// NewRPC returns a stub for a kind. The caller closes its Client. Nothing is
// sent before the first call. The error is that of [CheckNetRPC].
func NewRPC(kind string, config Config) (*RPC, error) {
	codec := newRPCCodec(kind, config)
	stub := &RPC{Client: rpc.NewClientWithCodec(codec)}
	var err error
	if codec.pending, err = pendingOf(stub.Client); err != nil {
		_ = stub.Client.Close()
		return nil, err
	}
	if config.Broker != nil {
		stub.Broker = config.Broker.MuxBroker(codec.lastBroker)
	}
	return stub, nil
}
