// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/tunnel"
)

// brokerKind is how the brokers of a session connect. Both sides have the same.
type brokerKind int

const (
	brokerListeners brokerKind = iota // a listener for each id
	brokerMux                         // streams of the session's yamux session
	brokerTunnel                      // streams of the session's HTTP/2 connection
)

// newGRPCBroker returns a broker with the core. tlsConfig secures each brokered
// connection; a tunnel runs inside the session's own TLS and has none.
func newGRPCBroker(core *brokerCore, transport brokerTransport, tlsConfig *tls.Config) *GRPCBroker {
	b := &GRPCBroker{ids: new(atomic.Uint32), core: core, transport: transport}
	if tlsConfig != nil {
		b.creds = credentials.NewTLS(tlsConfig)
		b.serverOptions = []grpc.ServerOption{grpc.Creds(b.creds)}
	}
	return b
}

// newBroker returns the host's broker of a session on conn.
func (cfg *grpcClientConfig) newBroker(conn grpc.ClientConnInterface) *GRPCBroker {
	arrivals := rendezvous.NewListeners()
	if cfg.shared != nil {
		arrivals = cfg.shared.group.lobby
	}
	b := cfg.newOwnBroker(conn, arrivals)
	b.core.drain, b.core.needed = cfg.conn.Drain, cfg.brokerLost
	b.core.openLink = sync.OnceFunc(func() {
		b.core.spawn(func() { b.runClient(conn, cfg.doneCtx) })
	})
	if !cfg.onDemand {
		b.core.openLink()
	}
	if cfg.shared != nil {
		b.ids = &cfg.shared.group.ids
		cfg.shared.group.join(b)
	}
	return b
}

// newOwnBroker returns a broker whose tunnel, if it has one, leads into lobby.
func (cfg *grpcClientConfig) newOwnBroker(conn grpc.ClientConnInterface, lobby *rendezvous.Listeners) *GRPCBroker {
	core := newBrokerCore(cfg.logger.Named("broker"))
	core.wait = cmp.Or(cfg.brokerWait, core.wait)
	switch cfg.brokers {
	case brokerTunnel:
		return newGRPCBroker(core, &hostTunnelTransport{core, tunnel.NewHost(conn, lobby)}, nil)
	case brokerMux:
		session := func(context.Context) (*grpcmux.Mux, error) { return cfg.mux.Mux, nil }
		return newGRPCBroker(core, newMuxTransport(core, session), cfg.tls)
	default:
		transport := newListenerTransport(core, cfg.sockets, cfg.addrTranslator)
		transport.announced = cfg.announced
		return newGRPCBroker(core, transport, cfg.tls)
	}
}

// newBroker returns the plugin's broker of a session, and its end of the tunnel if
// there is one. What the plugin accepts for all sessions arrives in shared, which is
// nil for a session that has a service to itself.
func (cfg *grpcServiceConfig) newBroker(shared *sharedSessions) (*GRPCBroker, *tunnel.Plugin) {
	core := newBrokerCore(cfg.logger.Named("broker"))
	core.wait = cmp.Or(cfg.brokerWait, core.wait)
	switch cfg.brokers {
	case brokerTunnel:
		transport := &pluginTunnelTransport{core: core}
		if shared != nil {
			transport.plugin = tunnel.NewPlugin(core.wait, shared.brokers.group.lobby)
		} else {
			transport.own = rendezvous.NewListeners()
			transport.plugin = tunnel.NewPlugin(core.wait, transport.own)
		}
		return newGRPCBroker(core, transport, nil), transport.plugin
	case brokerMux:
		return newGRPCBroker(core, newMuxTransport(core, cfg.mux.Session), cfg.tls), nil
	default:
		return newGRPCBroker(core, newListenerTransport(core, cfg.sockets, nil), cfg.tls), nil
	}
}
