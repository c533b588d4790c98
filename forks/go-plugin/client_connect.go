// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/hashicorp/yamux"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// connect makes the protocol client of a plugin on this machine. It gives up when the
// plugin ends or Kill has waited for long enough.
func (p *localProcess) connect(reached reachedPlugin) (sessionClient, error) {
	switch reached.protocol {
	case ProtocolNetRPC:
		return p.connectNetRPC(reached)
	case ProtocolGRPC:
		return p.connectGRPC(reached)
	default:
		return nil, fmt.Errorf("unknown server protocol: %s", reached.protocol)
	}
}

func (p *localProcess) connectNetRPC(reached reachedPlugin) (sessionClient, error) {
	conn, err := p.dialFirst(reached)
	if err != nil {
		return nil, err
	}
	// Opening the streams takes a handshake, with TLS.
	socket := conn
	defer context.AfterFunc(p.inUse, func() { _ = socket.Close() })()
	if reached.tls != nil {
		// gRPC brings TLS of its own; net/rpc is wrapped.
		conn = tls.Client(conn, reached.tls)
	}
	session, err := netrpc.NewYamuxHost(conn, netrpc.HostConfig{
		PingTimeout: p.config.PingTimeout,
		MaxMessage:  p.config.MaxMessageBytes,
		Arrivals:    p.config.Broker.arrivals(),
		Yamux:       func() *yamux.Config { return netrpc.YamuxConfig(p.logger) },
	})
	if err != nil {
		return nil, err
	}
	client := newRPCClient(session, reached.plugins)
	return client, client.SyncStreams(p.config.SyncStdout, p.config.SyncStderr)
}

func (p *localProcess) connectGRPC(reached reachedPlugin) (sessionClient, error) {
	listeners := broker.ListenerConfig{Sockets: p.sockets(), Translator: p.process.Runner()}
	if p.config.Cmd != nil { // A Runner's plugin may see other paths, and its directory is removed as a whole.
		listeners.Announced = p.process.NoteBrokered
	}
	cfg := grpcClientConfig{
		config:  p.config,
		plugins: reached.plugins,
		conn:    grpcconn.Config{Dial: reached.dial, MaxSend: p.config.MaxMessageBytes},
		broker:  broker.Config{Transport: broker.Listeners(listeners), TLS: reached.tls},
		logger:  p.logger,
		doneCtx: p.context(),
	}
	if reached.tls != nil {
		cfg.conn.Creds = credentials.NewTLS(reached.tls)
	}
	if p.config.GRPCBrokerMultiplex {
		conn, err := p.dialFirst(reached)
		if err != nil {
			return nil, err
		}
		if cfg.multiplexer, err = multiplex.NewHost(p.logger, conn); err != nil {
			return nil, err
		}
	}
	return newGRPCClient(cfg)
}

// dialFirst connects for the first time, within the time that a host gives a
// connection. A plugin at a TCP address may be on a machine that says nothing.
func (p *localProcess) dialFirst(reached reachedPlugin) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.inUse, p.config.DialTimeout)
	defer cancel()
	return reached.dial(ctx)
}
