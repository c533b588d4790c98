// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/multiplex"
)

// connect makes the protocol client of a plugin on this machine, and the session whose
// it is. It gives up when the plugin ends or Kill has waited for long enough. A plugin
// over gRPC that does not shake hands has no session: its connection may be replaced.
func (p *localProcess) connect(reached reachedPlugin) (sessionClient, *Session, error) {
	switch {
	case reached.protocol == ProtocolGRPC && !reached.hello:
		client, err := p.connectGRPC(reached)
		return client, nil, err
	case reached.protocol != ProtocolGRPC && reached.protocol != ProtocolNetRPC:
		return nil, nil, fmt.Errorf("unknown server protocol: %s", reached.protocol)
	}
	session, err := p.attach(reached)
	if err != nil {
		return nil, nil, err
	}
	return session.client, session, nil
}

func (p *localProcess) attach(reached reachedPlugin) (*Session, error) {
	ctx, cancel := context.WithTimeout(p.inUse, p.config.DialTimeout)
	defer cancel()
	peer := sessionPeer{
		agreed:  hello.Agreement{Version: reached.version, Protocol: string(reached.protocol)},
		plugins: reached.plugins, process: p.context(),
	}
	target := dial.Target{Addr: reached.addr, Conn: reached.dial, TLS: reached.tls}
	var err error
	if reached.hello {
		target.Hello = helloRequest(&p.config)
		target.Hello.Versions, target.Hello.Protocols = []int{reached.version}, []string{string(reached.protocol)}
		if peer.conn, peer.info, err = target.Dial(ctx); err == nil {
			peer.agreed.Features, peer.agreed.MaxMessage = peer.info.Features, peer.info.MaxMessage
		}
	} else {
		peer.conn, err = target.Connect(ctx)
	}
	if err != nil {
		return nil, err
	}
	return peer.newSession(p.config)
}

func (p *localProcess) connectGRPC(reached reachedPlugin) (*GRPCClient, error) {
	listeners := broker.ListenerConfig{Sockets: p.sockets(), Translator: p.process.Runner()}
	if p.config.Cmd != nil { // A Runner's plugin may see other paths, and its directory is removed as a whole.
		listeners.Announced = p.process.NoteBrokered
	}
	cfg := grpcClientConfig{
		config:  p.config,
		plugins: reached.plugins,
		conn:    grpcconn.Config{Dial: reached.dial, MaxSend: p.config.MaxMessageBytes, Local: true},
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
