// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
)

// GRPCBroker makes further connections between host and plugin, each named by
// an id: one side accepts the id, tells it to the other in a call, and the
// other dials it. That is how an argument or a result of a call can be an
// interface. A broker belongs to one session, and ids mean nothing outside it.
// All methods may be called from any goroutine.
type GRPCBroker struct {
	// Mutex is part of the type's published shape. The broker does not use it.
	sync.Mutex

	engine *broker.Broker
}

// NextId returns an id that this side of the session has not used yet.
func (b *GRPCBroker) NextId() uint32 { return b.engine.NextID() }

// Accept listens for the connections that the other side dials with id. The
// caller closes the listener.
func (b *GRPCBroker) Accept(id uint32) (net.Listener, error) { return b.engine.Accept(id) }

// AcceptAndServe accepts id and serves on it what newGRPCServer makes of the
// options, until that server is stopped or the broker is closed. An error is
// logged.
func (b *GRPCBroker) AcceptAndServe(id uint32, newGRPCServer func([]grpc.ServerOption) *grpc.Server) {
	b.engine.Serve(id, newGRPCServer)
}

// Dial connects to id. The caller closes the connection.
func (b *GRPCBroker) Dial(id uint32) (conn *grpc.ClientConn, err error) {
	return b.engine.Dial(id, nil)
}

// DialWithOptions connects to id with further options. It fails when the other
// side does not accept id within 5 seconds; with GRPCBrokerMultiplex, whose
// peers may accept later, the first call fails instead. The caller closes the
// connection.
func (b *GRPCBroker) DialWithOptions(id uint32, opts ...grpc.DialOption) (conn *grpc.ClientConn, err error) {
	return b.engine.Dial(id, opts)
}

// Run blocks until the broker is closed. The library brokers without it.
func (b *GRPCBroker) Run() { <-b.engine.Done() }

// Close ends what waits in the broker and stops its servers. The library calls
// it when the session ends.
func (b *GRPCBroker) Close() error {
	if b.engine != nil {
		b.engine.Close()
	}
	return nil
}
