// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"context"
	"net"
	"slices"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
)

// sessionPeer is a plugin with which all is agreed.
type sessionPeer struct {
	conn    net.Conn
	info    *PeerInfo // nil: it does not know the handshake
	agreed  hello.Agreement
	plugins PluginSet       // of the agreed version
	process context.Context // of a child, which is this host's to end; nil: it is none
}

// newSession speaks the agreed protocol. It owns the connection, and closes it on an
// error.
func (p sessionPeer) newSession(cfg ClientConfig) (*Session, error) {
	cfg.Logger = logging.NewRated(cfg.Logger)
	s := &Session{
		info: p.info, agreed: p.agreed, child: p.process != nil,
		pingTimeout: cfg.PingTimeout, keepalive: cfg.KeepaliveInterval, takesOutput: cfg.wantsOutput(),
	}
	if s.child {
		s.keepalive = 0 // Its end is noticed, and a debugger may stop it.
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.draining, s.setDraining = context.WithCancel(context.Background())
	if err := s.open(&cfg, p); err != nil {
		s.end(err)
		_ = p.conn.Close()
		return nil, err
	}
	s.start()
	return s, nil
}

func (s *Session) open(cfg *ClientConfig, p sessionPeer) error {
	if s.agreed.Protocol == hello.GRPC && !s.agreed.Has(hello.FeatureMux) {
		s.conn = dial.NewHTTP2Conn(p.conn, s.lose, s.leave)
		return s.openGRPC(cfg, p)
	}
	s.conn = dial.NewConn(p.conn, s.lose)
	if s.agreed.Protocol == hello.GRPC {
		return s.openGRPC(cfg, p)
	}
	return s.openNetRPC(cfg, p.plugins)
}

func (s *Session) openNetRPC(cfg *ClientConfig, plugins PluginSet) (err error) {
	config := netrpc.HostConfig{
		Detach:      s.detach,
		Remote:      !s.child,
		Cause:       s.Err,
		PingTimeout: cfg.PingTimeout,
		MaxMessage:  cfg.MaxMessageBytes,
		MaxSend:     commonBound(cfg.MaxMessageBytes, s.agreed.MaxMessage),
		Arrivals:    cfg.Broker.arrivals(),
	}
	if !s.child {
		config.Panicked = panics.NewGuard().ReportTo(cfg.Logger)
	}
	logger, pingTimeout := cfg.Logger, cfg.PingTimeout
	config.Yamux = func() *yamux.Config {
		cfg := netrpc.YamuxConfig(logger)
		if !s.child {
			// The session's own probe notices a dead peer, sooner than yamux's.
			cfg.EnableKeepAlive = false
			cfg.ConnectionWriteTimeout = pingTimeout
		}
		return cfg
	}
	var session *netrpc.Host
	if s.agreed.Has(hello.FeatureMux) {
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

func (s *Session) openGRPC(cfg *ClientConfig, p sessionPeer) error {
	// The original library secures every brokered connection like the main one.
	brokered := broker.Config{TLS: cfg.TLSConfig, Transport: broker.Listeners(broker.ListenerConfig{Check: broker.AnnouncedBy(s.conn)})}
	conn := grpcconn.Config{
		Dial:    grpcconn.DialOnce(s.conn),
		Creds:   grpcconn.EstablishedTLS{Conn: s.conn},
		Closed:  func() { s.lose(net.ErrClosed) },
		MaxSend: commonBound(cfg.MaxMessageBytes, s.agreed.MaxMessage),
	}
	var panicked panics.Func
	if !s.child {
		panicked = panics.NewGuard().ReportTo(cfg.Logger)
	}
	var host *grpcMux
	if s.agreed.Has(hello.FeatureMux) {
		host = newGRPCMux(s.conn, s.setDraining, s.lose)
		grpcconn.OverMux(&conn, host.Host, s.conn)
		brokered = broker.Config{Transport: broker.Streams(host.Dial), Announce: host.TellAccepted}
	}
	client, err := newGRPCClient(grpcClientConfig{
		config:   *cfg,
		plugins:  p.plugins,
		conn:     conn,
		mux:      host,
		broker:   brokered,
		panicked: panicked,
		logger:   cfg.Logger,
		doneCtx:  cmp.Or(p.process, s.ctx),
		detach:   s.detach,
		remote:   !s.child,
	})
	if err != nil {
		return err
	}
	s.client = client
	return nil
}
