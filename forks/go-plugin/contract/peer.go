// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"errors"
	"sync"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
)

// Peer is the other side of a session, with which interfaces are exchanged through the
// session's broker. It has one of the two.
type Peer struct {
	mux  *plugin.MuxBroker
	grpc *plugin.GRPCBroker
}

// RPCPeer is the other side of a session over net/rpc.
func RPCPeer(b *plugin.MuxBroker) *Peer { return &Peer{mux: b} }

// GRPCPeer is the other side of a session over gRPC.
func GRPCPeer(b *plugin.GRPCBroker) *Peer { return &Peer{grpc: b} }

var errNoBroker = errors.New("this session has no broker, and cannot carry interfaces and streams")

// Dial reaches the interface that the other side serves under id, by the full name of its
// service. Conv fails if it cannot be reached. The caller calls end when it needs it no more.
func (p *Peer) Dial(c *Conv, service string, id uint32) (caller Caller, end func()) {
	switch {
	case p.mux != nil:
		client, err := p.mux.DialClient(id)
		if err != nil {
			c.Fail("reach the caller's %s: %w", service, err)
			break
		}
		return RPC(p.mux, client), func() { _ = client.Close() }
	case p.grpc != nil:
		conn, err := p.grpc.Dial(id)
		if err != nil {
			c.Fail("reach the caller's %s: %w", service, err)
			break
		}
		return GRPC(service, p.grpc, conn), func() { _ = conn.Close() }
	default:
		c.Fail("%w", errNoBroker)
	}
	return nil, func() {}
}

// Serve lets the other side call an interface until stop is called, or the other side
// leaves it. The id is what the other side dials; it is zero for a nil interface. server
// gives the receiver for net/rpc, and what registers it with gRPC.
func Serve[T any](c *Conv, caller Caller, impl T, server func(impl T, peer *Peer) (receiver any, register func(grpc.ServiceRegistrar))) (id uint32, stop func()) {
	stop = func() {}
	if any(impl) == nil {
		return 0, stop
	}
	p := caller.peer()
	receiver, register := server(impl, p)
	switch {
	case p.mux != nil:
		id = p.mux.NextId()
		go p.mux.AcceptAndServe(id, plugin.ContextReceiver(receiver))
	case p.grpc != nil:
		id = p.grpc.NextId()
		s := &stoppable{}
		go p.grpc.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			return s.serve(options, register)
		})
		stop = s.stop
	default:
		c.Fail("%w", errNoBroker)
	}
	return id, stop
}

// stoppable is a gRPC server that may be stopped before it is made.
type stoppable struct {
	mu      sync.Mutex
	server  *grpc.Server
	stopped bool
}

func (s *stoppable) serve(options []grpc.ServerOption, register func(grpc.ServiceRegistrar)) *grpc.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = grpc.NewServer(options...)
	register(s.server)
	if s.stopped {
		s.server.Stop()
	}
	return s.server
}

func (s *stoppable) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.server != nil {
		s.server.Stop()
	}
}
