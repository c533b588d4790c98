// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// hostKeepalive is after how long a silent host is probed. A host whose node is
// gone holds a session and its memory until then.
const hostKeepalive = 15 * time.Second

// hostSession is one host attached to a network plugin.
type hostSession struct {
	server  *networkServer
	conn    net.Conn
	agreed  hello.Agreement
	version servedVersion // zero: there is only the health to ask for
	logger  hclog.Logger
	// panicked says what becomes of a panic in a method.
	panicked panics.Func

	before stdio.Barrier // of net/rpc
	rpc    netRPCSession // of net/rpc
	grpc   *grpcService  // of gRPC
	served *servedConn   // of gRPC: the connection
	leave  func()        // of gRPC: gives back what prepare took; nil: nothing
	// ready is closed when the fields above are set for good, so that the session can
	// drain.
	ready  chan struct{}
	setup  sync.Once
	ending sync.Once
	ended  func() // called once, at the end
}

func (s *networkServer) newHostSession(conn net.Conn, agreed hello.Agreement, name string, ended func()) *hostSession {
	about := []any{"peer", conn.RemoteAddr().String(), "protocol", agreed.Protocol, "version", agreed.Version}
	if name != "" {
		about = append(about, "host", name)
	}
	host := &hostSession{server: s, conn: conn, agreed: agreed, logger: s.about.With(about...), ready: make(chan struct{}), ended: ended}
	if !s.config.ExitOnPanic {
		host.panicked = s.panics.ReportTo(s.logger.With(about...)) // at a rate of its own
	}
	for _, v := range s.served {
		// gRPC is also agreed with whoever asks for the health of a plugin that has
		// only net/rpc.
		if v.version == agreed.Version && (v.protocol == ProtocolGRPC || agreed.Protocol == hello.NetRPC) {
			host.version = v
		}
	}
	return host
}

// serve speaks the session's protocol until the host hangs up or the connection
// is closed. Then it ends the session, which may be after it has returned.
func (h *hostSession) serve() {
	h.logger.Debug("host attached")
	switch {
	case h.agreed.Protocol == hello.GRPC:
		h.setReady()
		h.grpc.serveSession(h.served, func() { h.end(nil) })
	default:
		h.end(h.serveNetRPC())
	}
}

// end is the one place where a session ends, whether it was served or not: it closes
// the connection and gives back what the session holds. err may be nil. Only the
// first call counts; others wait for it.
func (h *hostSession) end(err error) {
	h.ending.Do(func() {
		if err != nil {
			h.logger.Debug("session ended", "error", err)
		}
		_ = h.conn.Close()
		h.server.hosts.Remove(h)
		h.setReady() // lets a drain that has seen it go on
		if h.leave != nil {
			h.leave()
		}
		h.ended()
	})
}

func (h *hostSession) setReady() { h.setup.Do(func() { close(h.ready) }) }

// netRPCSession is what a session over net/rpc is served by.
type netRPCSession interface {
	Serve() error
	Drain(ctx context.Context) (cut int)
}

func (h *hostSession) serveNetRPC() error {
	config := netrpc.PluginConfig{
		Serving: netrpc.Serving{Panicked: h.panicked, Output: &h.before, MaxMessage: h.server.config.MaxMessageBytes},
		Kinds:   h.version.plugins.netRPC,
		Quit:    func() { _ = h.conn.Close() }, // ends this session, not the plugin
		Quiet:   drainQuiet,
		Yamux:   netrpc.YamuxConfig(h.logger),
	}
	if h.agreed.Has(hello.FeatureRPCMux) {
		config.Subscribe = h.subscribe
		config.MaxSend = commonBound(h.server.config.MaxMessageBytes, h.agreed.MaxMessage)
		config.Watchdog, config.Silence = &h.server.watchdog, hostKeepalive
		h.rpc = netrpc.NewMuxPlugin(h.conn, config)
	} else {
		stdout, stderr := h.server.output.Split()
		h.before.Follow(stdout, stderr)
		defer stdout.Close()
		defer stderr.Close()
		config.Stdout, config.Stderr = stdout, stderr
		config.Draining, config.OpenTimeout = h.server.draining, h.server.config.HandshakeTimeout
		config.Yamux.KeepAliveInterval = hostKeepalive
		h.rpc = netrpc.NewYamuxPlugin(h.conn, config)
	}
	h.setReady()
	return h.rpc.Serve()
}

// subscribe gives a net/rpc session the plugin's output as one sequence.
func (h *hostSession) subscribe() *stdio.Subscription {
	output := h.server.output.Subscribe()
	h.before.Follow(output)
	return output
}

// prepare lets the plugin register what a gRPC session needs. It comes before the
// answer, which describes that.
func (h *hostSession) prepare() error {
	if h.agreed.Protocol != hello.GRPC {
		return nil
	}
	output, release := h.newSender()
	own := h.grpcConfig(output)
	service, err := h.newService(own)
	if err != nil {
		release()
		h.logger.Error("host cannot be served", "error", err)
		return err
	}
	h.grpc, h.served = service, &servedConn{Conn: output.Conn(h.conn)}
	leave := service.stop
	if service.shared != nil {
		leave = service.join(&own, h.served)
	}
	h.leave = func() {
		leave()
		release()
	}
	return nil
}

// newService returns a service of the session's own, or one to join.
func (h *hostSession) newService(own grpcServiceConfig) (*grpcService, error) {
	services := h.server.services[h.agreed.Version]
	if services == nil || h.version.plugins == nil {
		own.newServer = nil // there is only the health to ask for
		return newGRPCService(own)
	}
	shared := own
	shared.shared, shared.options, shared.logger = true, h.grpcOptions(grpcconn.EstablishedTLS{}), h.server.logger
	if h.panicked != nil {
		shared.panicked = h.server.panics.ReportTo(h.server.logger)
	}
	return services.get(own, shared)
}

// kinds is what the plugin serves in a session that is prepared.
func (h *hostSession) kinds() []hello.Kind {
	if h.agreed.Protocol == hello.GRPC {
		return h.server.services[h.agreed.Version].kinds()
	}
	kinds, _ := h.version.netRPC()
	return kinds
}

func (h *hostSession) grpcConfig(output *grpcstdio.Sender) grpcServiceConfig {
	cfg := grpcServiceConfig{
		plugins:    h.version.plugins,
		newServer:  h.server.opts.GRPCServer,
		options:    h.grpcOptions(grpcconn.EstablishedTLS{Conn: h.conn}),
		tls:        h.server.tls, // the original library secures every brokered connection like the main one
		output:     output,
		panicked:   h.panicked,
		maxMessage: h.server.config.MaxMessageBytes,
		onShutdown: h.awaitHangUp,
		logger:     h.logger,
	}
	if h.agreed.Has(hello.FeatureGRPCTunnel) {
		cfg.transport, cfg.tls = broker.Tunnel(), nil // inside of the main one
	}
	return cfg
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

// newSender returns what sends the plugin's output to this host; nil if it wants none.
func (h *hostSession) newSender() (sender *grpcstdio.Sender, release func()) {
	subscribe := func() stdio.Stream { return h.server.output.Subscribe() }
	switch {
	case h.agreed.Has(hello.FeatureNoOutput):
		return nil, func() {}
	case !h.agreed.Has(hello.FeatureGRPCTunnel):
		return grpcstdio.NewSender(subscribe), func() {}
	}
	// The host asks for the output while it may already be calling, so that what its
	// calls print until then is kept for it.
	kept := h.server.output.Subscribe()
	var taken atomic.Bool
	sender = grpcstdio.NewSender(func() stdio.Stream {
		if taken.Swap(true) {
			return subscribe()
		}
		return kept
	})
	sender.Follow(kept)
	return sender, kept.Close
}

func (h *hostSession) grpcOptions(creds grpcconn.EstablishedTLS) []grpc.ServerOption {
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
	if h.rpc != nil {
		return h.rpc.Drain(ctx)
	}
	return 0
}
