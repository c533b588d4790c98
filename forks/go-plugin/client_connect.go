// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
)

// connect makes the protocol client of a plugin on this machine.
func (p *localPlugin) connect() (sessionClient, error) {
	switch p.reached.protocol {
	case ProtocolNetRPC:
		return p.connectNetRPC()
	case ProtocolGRPC:
		return p.connectGRPC()
	default:
		return nil, fmt.Errorf("unknown server protocol: %s", p.reached.protocol)
	}
}

func (p *localPlugin) connectNetRPC() (sessionClient, error) {
	conn, err := p.dial(context.Background())
	if err != nil {
		return nil, err
	}
	if p.reached.tls != nil {
		// gRPC brings TLS of its own; net/rpc is wrapped.
		conn = tls.Client(conn, p.reached.tls)
	}
	client := &RPCClient{
		plugins:     p.reached.plugins,
		pingTimeout: p.config.PingTimeout,
		maxMessage:  p.config.MaxMessageBytes,
		shared:      p.config.Broker,
	}
	client, err = newRPCClient(conn, client, yamuxConfig(p.logger))
	if err != nil {
		return nil, err
	}
	return client, client.SyncStreams(p.config.SyncStdout, p.config.SyncStderr)
}

func (p *localPlugin) connectGRPC() (sessionClient, error) {
	cfg := grpcClientConfig{
		dial:           p.dial,
		dialOptions:    p.config.GRPCDialOptions,
		plugins:        p.reached.plugins,
		brokers:        brokerListeners,
		unixSocket:     p.socketConfig(),
		addrTranslator: p.currentRunner(),
		shared:         p.config.Broker,
		stdout:         p.config.SyncStdout,
		stderr:         p.config.SyncStderr,
		logger:         p.logger,
		doneCtx:        p.ctx,
		pingTimeout:    p.config.PingTimeout,
		maxMessage:     p.config.MaxMessageBytes,
		maxSend:        p.config.MaxMessageBytes,
	}
	if p.reached.tls != nil {
		cfg.tls = p.reached.tls
		cfg.creds = credentials.NewTLS(p.reached.tls)
	}
	if p.config.GRPCBrokerMultiplex {
		conn, err := p.dial(context.Background())
		if err != nil {
			return nil, err
		}
		if p.mux, err = grpcmux.NewClientMuxer(p.logger, conn); err != nil {
			return nil, err
		}
		cfg.brokers, cfg.mux = brokerMux, p.mux
		cfg.dial = func(ctx context.Context) (net.Conn, error) { return p.mux.Dial(ctx, nil) }
	}
	return newGRPCClient(cfg)
}

// dial connects to the plugin's socket.
func (p *localPlugin) dial(ctx context.Context) (net.Conn, error) {
	return p.reached.socket.dial(ctx)
}

func (p *localPlugin) socketConfig() UnixSocketConfig {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.socket
}
