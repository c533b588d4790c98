// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// grpcPlugins is a set as an engine registers it.
func grpcPlugins(set PluginSet) []grpcserve.Plugin {
	var plugins []grpcserve.Plugin
	for _, name := range slices.Sorted(maps.Keys(set)) {
		p := grpcserve.Plugin{Name: name}
		if served, ok := set[name].(GRPCPlugin); ok {
			p.Register = func(b *broker.Broker, s *grpc.Server) error { return served.GRPCServer(&GRPCBroker{engine: b}, s) }
		}
		plugins = append(plugins, p)
	}
	return plugins
}

// grpcConfig is how a set is served to any host.
func (s *networkServer) grpcConfig(set PluginSet) grpcserve.Config {
	cfg := grpcserve.Config{
		Plugins:   grpcPlugins(set),
		NewServer: s.opts.GRPCServer,
		Options: []grpc.ServerOption{
			grpc.Creds(grpcconn.EstablishedTLS{}),
			grpc.ConnectionTimeout(s.config.HandshakeTimeout),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: hostKeepalive, Timeout: hostKeepalive}),
			// Hosts may probe as often as they like: they notice a dead plugin by it.
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		},
		MaxMessage: s.config.MaxMessageBytes,
		Logger:     s.logger,
	}
	if !s.config.ExitOnPanic {
		cfg.Panicked = s.panics.ReportTo(s.logger)
	}
	return cfg
}

// prepare lets the plugin register what a gRPC session needs. It comes before the
// answer, which describes that.
func (h *hostSession) prepare() error {
	if h.agreed.Protocol != hello.GRPC {
		return nil
	}
	host := h.grpcHost()
	session, err := h.join(host)
	if err != nil {
		host.Output.Close()
		h.logger.Error("host cannot be served", "error", err)
		return err
	}
	h.grpc = session
	return nil
}

// join makes a gRPC session with the host.
func (h *hostSession) join(host grpcserve.Host) (*grpcserve.Session, error) {
	if factory := h.server.services[h.agreed.Version]; factory != nil && h.version.plugins != nil {
		return factory.Join(host, h.conn)
	}
	cfg := h.server.grpcConfig(nil)
	cfg.NewServer = nil // there is only the health to ask for
	service, err := grpcserve.New(cfg, &host)
	if err != nil {
		return nil, err
	}
	return service.Join(host, h.conn), nil
}

// grpcHost is what the host gets of a service.
func (h *hostSession) grpcHost() grpcserve.Host {
	maxMessage := h.server.config.MaxMessageBytes
	host := grpcserve.Host{
		Broker: broker.Config{
			Logger: h.logger.Named("broker"),
			Conn:   grpcconn.Config{MaxReceive: maxMessage, MaxSend: maxMessage},
			TLS:    h.server.tls, // the original library secures every brokered connection like the main one
		},
		OnShutdown: h.awaitHangUp,
		Panicked:   h.panicked,
	}
	tunnel := h.agreed.Has(hello.FeatureGRPCTunnel)
	if tunnel {
		host.Broker.Transport, host.Broker.TLS = broker.Tunnel(), nil // inside of the main one
	}
	if !h.agreed.Has(hello.FeatureNoOutput) {
		host.Output = grpcstdio.NewSender(func() stdio.Stream { return h.server.output.Subscribe() })
		if tunnel {
			host.Output.Keep() // The host asks for the output while it may already be calling.
		}
	}
	return host
}

// awaitHangUp ends a session that its host wants to end. The host hangs up by itself
// once it has read the rest of the output.
func (h *hostSession) awaitHangUp() {
	wait := grpcserve.HangUpTimeout
	if h.agreed.Has(hello.FeatureNoOutput) {
		wait = 0
	}
	time.AfterFunc(wait, func() { _ = h.conn.Close() })
}
