// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"slices"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
)

// newBroker returns the host's broker of a session on conn. lost is told when it is of
// no more use.
func (cfg *grpcClientConfig) newBroker(conn grpc.ClientConnInterface, lost func(error)) *GRPCBroker {
	maxMessage := cfg.conn.MaxReceive
	engine := broker.Config{
		Logger:        cfg.logger.Named("broker"),
		Transport:     cfg.transport,
		TLS:           cfg.tls,
		Wait:          cfg.brokerWait,
		Conn:          grpcconn.Config{Drain: cfg.conn.Drain, MaxReceive: maxMessage, MaxSend: maxMessage},
		ServerOptions: slices.Concat(grpcconn.ServerBound(maxMessage), grpcconn.AnswerPanics(cfg.panicked)),
		Host:          &broker.Host{Conn: conn, Done: cfg.doneCtx, OnDemand: cfg.onDemand, Lost: lost},
	}
	if cfg.multiplexer != nil {
		engine.Transport = broker.Multiplexed(cfg.multiplexer.Session)
	}
	if cfg.shared != nil {
		engine.Group = cfg.shared.group
	}
	return &GRPCBroker{engine: broker.New(engine)}
}

// newBroker returns the plugin's broker of a session. group is what the plugin accepts
// for all sessions; nil for a session that has a service to itself.
func (cfg *grpcServiceConfig) newBroker(group *broker.Group, serverOptions []grpc.ServerOption) *GRPCBroker {
	engine := broker.Config{
		Logger:        cfg.logger.Named("broker"),
		Transport:     cfg.transport,
		TLS:           cfg.tls,
		Wait:          cfg.brokerWait,
		Conn:          grpcconn.Config{MaxReceive: cfg.maxMessage, MaxSend: cfg.maxMessage},
		ServerOptions: serverOptions,
		Group:         group,
	}
	if cfg.multiplexer != nil {
		engine.Transport = broker.Multiplexed(cfg.multiplexer.Session)
	}
	return &GRPCBroker{engine: broker.New(engine)}
}
