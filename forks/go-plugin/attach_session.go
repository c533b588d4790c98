// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
)

// agree returns the outcome of the handshake, or for a peer without one what
// the configuration says of it.
func agree(cfg *ClientConfig, info *PeerInfo) (hello.Agreement, error) {
	a := hello.Agreement{Version: cfg.Reattach.ProtocolVersion, Protocol: string(cfg.Reattach.Protocol)}
	switch {
	case info != nil:
		a = hello.Agreement{Version: info.Version, Protocol: info.Protocol, Features: info.Features, MaxMessage: info.MaxMessage}
	case cfg.GRPCBrokerMultiplex:
		return a, ErrGRPCBrokerMuxNotSupported
	default:
		setDefault(&a.Version, int(cfg.ProtocolVersion))
		setDefault(&a.Protocol, hello.NetRPC)
	}
	return a, cfg.allows(Protocol(a.Protocol))
}

// newSession speaks the agreed protocol on a connection that is past the
// handshake. It owns conn, and closes it on an error.
func newSession(cfg ClientConfig, conn net.Conn, info *PeerInfo) (*Session, error) {
	cfg.Logger = logging.NewRated(cfg.Logger)
	s := &Session{
		info:        info,
		pingTimeout: cfg.PingTimeout, keepalive: cfg.KeepaliveInterval, takesOutput: cfg.wantsOutput(),
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.draining, s.setDraining = context.WithCancel(context.Background())
	if err := s.open(&cfg, conn); err != nil {
		s.end(err)
		_ = conn.Close()
		return nil, err
	}
	s.start()
	return s, nil
}

func (s *Session) open(cfg *ClientConfig, conn net.Conn) (err error) {
	if s.agreed, err = agree(cfg, s.info); err != nil {
		return err
	}
	plugins, err := cfg.selectVersion(s.agreed.Version)
	if err != nil {
		return err
	}
	if s.agreed.Protocol == hello.GRPC {
		s.conn = dial.NewGRPCConn(conn, s.lose, (&grpcconn.GoAwayWatch{Leaving: s.setDraining}).See)
		return s.openGRPC(cfg, plugins)
	}
	s.conn = dial.NewConn(conn, s.lose)
	return s.openNetRPC(cfg, plugins)
}

func (s *Session) openNetRPC(cfg *ClientConfig, plugins PluginSet) (err error) {
	config := netrpc.HostConfig{
		Detach:      s.detach,
		Cause:       s.Err,
		PingTimeout: cfg.PingTimeout,
		MaxMessage:  cfg.MaxMessageBytes,
		MaxSend:     commonBound(cfg.MaxMessageBytes, s.agreed.MaxMessage),
		Arrivals:    cfg.Broker.arrivals(),
		Panicked:    panics.NewGuard().ReportTo(cfg.Logger),
		Yamux:       netrpc.YamuxConfig(cfg.Logger),
	}
	// The session's own probe notices a dead peer, sooner than yamux's.
	config.Yamux.EnableKeepAlive = false
	config.Yamux.ConnectionWriteTimeout = cfg.PingTimeout
	var session *netrpc.Host
	if s.agreed.Has(hello.FeatureRPCMux) {
		session = netrpc.NewMuxHost(s.conn, config, s.lists, s.setDraining, s.lose)
	} else if session, err = netrpc.NewYamuxHost(s.conn, config); err != nil {
		return err
	}
	client := newRPCClient(session, plugins)
	s.client = client
	return client.SyncStreams(cfg.SyncStdout, cfg.SyncStderr)
}

// lists reports whether the plugin has listed a kind in the handshake.
func (s *Session) lists(kind string) bool {
	return slices.ContainsFunc(s.info.Kinds, func(k PeerKind) bool { return k.Name == kind })
}

func (s *Session) openGRPC(cfg *ClientConfig, plugins PluginSet) error {
	// The original library secures every brokered connection like the main one.
	brokered := broker.Config{TLS: cfg.TLSConfig}
	tunnel := s.agreed.Has(hello.FeatureGRPCTunnel)
	if tunnel {
		brokered = broker.Config{Transport: broker.Tunnel()} // inside of the main one
	}
	signs := grpcconn.DrainSigns{Leaving: s.setDraining}
	if s.agreed.Has(hello.FeatureGRPCOnDemand) {
		// The plugin says so with its answers, and that of a stream may be late.
		signs.Streaming = sync.OnceFunc(s.askForDrain)
	}
	client, err := newGRPCClient(grpcClientConfig{
		config:  *cfg,
		plugins: plugins,
		conn: grpcconn.Config{
			Dial:    grpcconn.DialOnce(s.conn),
			Creds:   grpcconn.EstablishedTLS{Conn: s.conn},
			Drain:   signs,
			MaxSend: commonBound(cfg.MaxMessageBytes, s.agreed.MaxMessage),
		},
		broker:   brokered,
		panicked: panics.NewGuard().ReportTo(cfg.Logger),
		logger:   cfg.Logger,
		onDemand: tunnel && s.agreed.Has(hello.FeatureGRPCOnDemand),
		noOutput: s.agreed.Has(hello.FeatureNoOutput),
		doneCtx:  s.ctx,
		detach:   s.detach,
	})
	if err != nil {
		return err
	}
	s.client = client
	return nil
}
