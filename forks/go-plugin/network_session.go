// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/panics"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// hostKeepalive is after how long a silent host is probed. A host whose node is
// gone holds a session and its memory until then.
const hostKeepalive = 15 * time.Second

// hostSession is one host attached to a network plugin.
type hostSession struct {
	server  *networkServer
	conn    net.Conn
	agreed  hello.Agreement
	plugins PluginSet
	logger  hclog.Logger
	// panicked says what becomes of a panic in a method.
	panicked panics.Func

	calls  calls.Gauge   // of net/rpc
	before stdio.Barrier // of net/rpc
	grpc   *grpcService  // of gRPC, once ready
	// Of gRPC: the connection, and what ends the session, which may be called again.
	served  *servedConn
	discard func()
	mux     *rpcmux.Plugin // of net/rpc with the feature rpc-mux, once ready
	rpc     *rpcSession    // of net/rpc without it, once ready
	ready   chan struct{}
	setup   sync.Once
}

func (s *networkServer) newHostSession(conn net.Conn, agreed hello.Agreement, name string) *hostSession {
	who := []any{"peer", conn.RemoteAddr().String(), "protocol", agreed.Protocol, "version", agreed.Version}
	if name != "" {
		who = append(who, "host", name)
	}
	host := &hostSession{server: s, conn: conn, agreed: agreed, logger: s.about.With(who...), ready: make(chan struct{})}
	if !s.config.ExitOnPanic {
		host.panicked = s.panics.ReportTo(s.logger.With(who...)) // at a rate of its own
	}
	for _, v := range s.served {
		if v.version == agreed.Version {
			host.plugins = v.plugins
		}
	}
	return host
}

// serve speaks the session's protocol until the host hangs up or the connection
// is closed. Then it calls ended, which may be after it has returned.
func (h *hostSession) serve(ended func(error)) {
	h.logger.Debug("host attached")
	end := func(err error) {
		h.isReady()
		_ = h.conn.Close()
		ended(err)
	}
	switch {
	case h.agreed.Protocol == string(ProtocolGRPC):
		h.serveGRPC(end)
	case h.agreed.Has(hello.FeatureRPCMux):
		end(h.serveRPCMux())
	default:
		end(h.serveNetRPC())
	}
}

func (h *hostSession) isReady() { h.setup.Do(func() { close(h.ready) }) }

// rpcServing is how a net/rpc session is served.
func (h *hostSession) rpcServing() rpcServing {
	return rpcServing{calls: &h.calls, panicked: h.panicked, before: &h.before, maxMessage: h.server.config.MaxMessageBytes}
}

func (h *hostSession) serveNetRPC() error {
	stdout, stderr, stop := h.subscribeStreams()
	defer stop()
	session := &rpcSession{
		plugins:     h.plugins,
		stdout:      stdout,
		stderr:      stderr,
		quit:        func() { _ = h.conn.Close() }, // ends this session, not the plugin
		rpcServing:  h.rpcServing(),
		draining:    h.server.draining,
		openTimeout: h.server.config.HandshakeTimeout,
	}
	h.rpc = session
	h.isReady()
	mux := yamuxConfig(h.logger)
	mux.KeepAliveInterval = hostKeepalive
	return session.serve(h.conn, mux)
}

// prepare lets the plugin register what a gRPC session needs. It comes before the
// answer, which describes that. The caller calls discard when the session has ended,
// or will not begin.
func (h *hostSession) prepare() error {
	if h.agreed.Protocol != string(ProtocolGRPC) {
		return nil
	}
	output, release := h.stdioSource()
	own := h.grpcConfig(output)
	service, err := h.newService(own)
	if err != nil {
		release()
		h.logger.Error("host cannot be served", "error", err)
		return err
	}
	h.grpc, h.served = service, newServedConn(h.conn)
	if output != nil {
		h.served.watch(service.wire)
	}
	leave := service.stop
	if service.shared != nil {
		leave = service.join(&own, h.served)
	}
	h.discard = sync.OnceFunc(func() {
		leave()
		release()
	})
	return nil
}

// newService returns a service of the session's own, or one to join.
func (h *hostSession) newService(own grpcServiceConfig) (*grpcService, error) {
	services := h.server.services[h.agreed.Version]
	if services == nil || h.plugins == nil {
		own.newServer = nil // there is only the health to ask for
		return newGRPCService(own)
	}
	shared := own
	shared.shared, shared.options, shared.logger = true, h.grpcOptions(establishedTLS{}), h.server.logger
	if h.panicked != nil {
		shared.panicked = h.server.panics.ReportTo(h.server.logger)
	}
	return services.get(own, shared)
}

func (h *hostSession) grpcConfig(output stdioSource) grpcServiceConfig {
	cfg := grpcServiceConfig{
		plugins:    h.plugins,
		newServer:  h.server.opts.GRPCServer,
		options:    h.grpcOptions(establishedTLS{h.conn}),
		brokers:    brokerListeners,
		tls:        h.server.tls, // the original library secures every brokered connection like the main one
		stdio:      output,
		panicked:   h.panicked,
		maxMessage: h.server.config.MaxMessageBytes,
		onShutdown: h.awaitHangUp,
		logger:     h.logger,
	}
	if h.agreed.Has(hello.FeatureGRPCTunnel) {
		cfg.brokers, cfg.tls = brokerTunnel, nil // inside of the main one
	}
	return cfg
}

func (h *hostSession) serveGRPC(ended func(error)) {
	h.isReady()
	h.grpc.serveSession(h.served, func() {
		h.discard()
		ended(nil)
	})
}

// awaitHangUp ends a session that its host wants to end. The host hangs up by itself
// once it has read the rest of the output.
func (h *hostSession) awaitHangUp() {
	wait := hangUpWait
	if h.agreed.Has(hello.FeatureNoOutput) {
		wait = 0
	}
	time.AfterFunc(wait, func() { _ = h.conn.Close() })
}

// stdioSource is the plugin's output as this host gets it; nil if it wants none.
func (h *hostSession) stdioSource() (source stdioSource, release func()) {
	switch {
	case h.agreed.Has(hello.FeatureNoOutput):
		return nil, func() {}
	case h.agreed.Has(hello.FeatureGRPCTunnel):
		kept := newSessionOutput(h.server.output)
		return kept, kept.close
	default:
		return &hubOutput{hub: h.server.output}, func() {}
	}
}

func (h *hostSession) grpcOptions(creds establishedTLS) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ConnectionTimeout(h.server.config.HandshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: hostKeepalive, Timeout: hostKeepalive}),
		// Hosts may probe as often as they like: they notice a dead plugin by it.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	}
}

// drain lets the calls in flight finish and ends the session. The host has been
// told, if it listens, and calls elsewhere; the quiet time covers what it sent
// before it heard. The result is how many calls it cut off when ctx ended first.
func (h *hostSession) drain(ctx context.Context) (cut int) {
	defer h.conn.Close()
	select {
	case <-h.ready:
	case <-ctx.Done():
		return 0
	}
	if h.grpc != nil {
		return h.grpc.drain(ctx)
	}
	if h.mux != nil {
		return h.drainMux(ctx)
	}
	if h.calls.WaitQuiet(ctx, drainQuiet) != nil {
		// Before the connection is closed: calls that notice it end at once.
		cut = h.calls.Count()
	}
	if h.rpc != nil {
		h.rpc.finishOutput()
	}
	return cut
}
