// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// prepare lets the plugin register what a gRPC session needs. It comes before the
// answer, which describes that.
func (h *hostSession) prepare() error {
	if h.agreed.Protocol != hello.GRPC {
		return nil
	}
	host := h.grpcHost()
	session, err := h.join(host)
	if err != nil {
		h.logger.Error("host cannot be served", "error", err)
		return err
	}
	h.grpc = session
	return nil
}

// join makes a gRPC session with the host.
func (h *hostSession) join(host grpcserve.Host) (*grpcserve.Session, error) {
	if h.relay != nil {
		return h.relay.joinGRPC(host)
	}
	if factory := h.plugin.services[h.agreed.Version]; factory != nil && h.version.plugins != nil {
		return factory.Join(host, h.conn)
	}
	cfg := h.plugin.grpcConfig(nil)
	cfg.NewServer = nil // there is only the health to ask for
	service, err := grpcserve.New(cfg, &host)
	if err != nil {
		return nil, err
	}
	return service.Join(host, h.conn), nil
}

// grpcHost is what the host gets of a service.
func (h *hostSession) grpcHost() grpcserve.Host {
	maxMessage := h.plugin.config.MaxMessageBytes
	host := grpcserve.Host{
		Logger: h.logger,
		Broker: broker.Config{
			Conn: grpcconn.Config{MaxReceive: maxMessage, MaxSend: maxMessage},
			TLS:  h.plugin.tls, // the original library secures every brokered connection like the main one
		},
		OnShutdown: func() { h.quit(grpcserve.HangUpTimeout) }, // once it has read the rest of the output
		Panicked:   h.panicked,
	}
	listeners := broker.ListenerConfig{Check: broker.AnnouncedBy(h.conn)}
	if h.plugin.quit != nil {
		// Where the child's sockets are, its brokered listeners are, too.
		listeners.Sockets = listen.SocketsFromEnv()
	}
	host.Broker.Transport = broker.Listeners(listeners)
	if h.agreed.Has(hello.FeatureMux) {
		host.Mux = &grpcserve.Mux{
			Subscribe: func() mux.Output { return h.subscribe() }, Output: &h.before,
			Watchdog: &h.plugin.watchdog, Silence: h.plugin.keepalive,
		}
	} else {
		host.Output = grpcstdio.NewSender(func() stdio.Stream { return h.output().Subscribe() })
	}
	return host
}
