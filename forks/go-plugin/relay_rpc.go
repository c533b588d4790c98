// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"net"

	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// AnyKind is the name in a [PluginSet] of what serves all kinds that the set does not
// name. Over net/rpc it is an [RPCRelay]; over gRPC a server serves whatever it likes.
const AnyKind = "*"

// RPCRelay is a [Plugin] of a child that serves no values of its own over net/rpc, but
// hands on what is called.
type RPCRelay interface {
	// Dispense is called for each dispense of a host. serve owns the connection on which
	// the host then calls, as net/rpc with gob. The broker is the session's. An error is
	// the host's.
	Dispense(kind string, broker *MuxBroker) (serve func(net.Conn), err error)
}

// dispense makes a relay a value that is served.
func dispense(relay RPCRelay, kind string, broker *MuxBroker) (any, error) {
	serve, err := relay.Dispense(kind, broker)
	if err != nil {
		return nil, err
	}
	return &netrpc.Raw{Serve: serve}, nil
}

// Forward hands the streams that the other side dials on to what dial connects to, under
// whichever id. It is called before NextId and Accept, whose ids are this side's own, and
// large ones.
func (m *MuxBroker) Forward(dial func(id uint32) (net.Conn, error)) { m.broker.Forward(dial) }

// Forward hands what the sessions' plugins dial on to somebody else: streams of net/rpc to
// what mux connects to, and over gRPC it tells wanted of an id that is dialled and that
// nobody accepts. wanted has it accepted, and returns at once. It is called before the
// first session joins.
func (b *SharedBroker) Forward(mux func(id uint32) (net.Conn, error), wanted func(id uint32)) {
	b.streams.Forward(mux)
	b.group.Forward(wanted)
}

// Forward tells wanted of each id that the other side dials and that nobody accepts.
// wanted has it accepted, and returns at once. A host without GRPCBrokerMultiplex does not
// dial what was not announced to it.
func (b *GRPCBroker) Forward(wanted func(id uint32)) { b.engine.Forward(wanted) }

// OnAccepted has f called with each id that the other side says it accepts, from now on. A
// host without GRPCBrokerMultiplex says so. f returns at once.
func (b *GRPCBroker) OnAccepted(f func(id uint32)) { b.engine.OnAccepted(f) }

// DialRPC asks the plugin of a net/rpc session to serve a kind, and returns the connection
// on which it does, under the service name "Plugin". It needs ClientConfig.RawRPC. The
// caller closes it.
func (s *Session) DialRPC(kind string) (net.Conn, error) {
	c, ok := s.client.(*RPCClient)
	if !ok {
		return nil, fmt.Errorf("open %s: the session speaks %s, not net/rpc", kind, s.Protocol())
	}
	return c.session.DialKind(kind)
}
