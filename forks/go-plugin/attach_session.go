// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// agreement is what the two sides of a remote session agreed on.
type agreement struct {
	version  int
	protocol Protocol
	features []string
}

// agree returns the outcome of the handshake, or for a peer without one what
// the configuration says of it.
func agree(cfg *ClientConfig, info *PeerInfo) (agreement, error) {
	a := agreement{version: cfg.Reattach.ProtocolVersion, protocol: cfg.Reattach.Protocol}
	switch {
	case info != nil:
		a = agreement{version: info.Version, protocol: Protocol(info.Protocol), features: info.Features}
	case cfg.GRPCBrokerMultiplex:
		return a, ErrGRPCBrokerMuxNotSupported
	default:
		setDefault(&a.version, int(cfg.ProtocolVersion))
		setDefault(&a.protocol, ProtocolNetRPC)
	}
	return a, cfg.allows(a.protocol)
}

// newSession speaks the agreed protocol on a connection that is past the
// handshake. It owns conn, and closes it on an error.
func newSession(cfg ClientConfig, conn net.Conn, info *PeerInfo) (*Session, error) {
	s := &Session{config: cfg, info: info, draining: make(chan struct{})}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.conn = &sessionConn{Conn: conn, opened: time.Now(), failed: s.end}

	err := s.open()
	if err != nil {
		s.end(err)
		_ = conn.Close()
		return nil, err
	}
	s.start()
	return s, nil
}

func (s *Session) open() error {
	a, err := agree(&s.config, s.info)
	if err != nil {
		return err
	}
	plugins, err := s.config.selectVersion(a.version)
	if err != nil {
		return err
	}
	s.version = a.version
	if a.protocol == ProtocolGRPC {
		return s.openGRPC(plugins, slices.Contains(a.features, featureGRPCTunnel))
	}
	return s.openNetRPC(plugins, slices.Contains(a.features, featureRPCMux))
}

func (s *Session) openNetRPC(plugins PluginSet, messages bool) error {
	mux := yamuxConfig(s.config.Logger)
	// The session's own probe notices a dead peer, sooner than yamux's.
	mux.EnableKeepAlive = false
	mux.ConnectionWriteTimeout = s.config.PingTimeout
	client := &RPCClient{
		plugins:     plugins,
		detach:      func() { s.end(ErrDetached) },
		pingTimeout: s.config.PingTimeout,
		why:         s.Err,
		shared:      s.config.Broker,
	}
	if messages {
		client.listed = s.info.Kinds
		newRPCMuxClient(s.conn, client, mux, func() { close(s.draining) }, func(err error) { s.end(connectionLost(err)) })
	} else if _, err := newRPCClient(s.conn, client, mux); err != nil {
		return err
	}
	s.client = client
	return client.SyncStreams(s.config.SyncStdout, s.config.SyncStderr)
}

func (s *Session) openGRPC(plugins PluginSet, tunnel bool) error {
	// The original library secures every brokered connection like the main one.
	brokers, brokered := brokerListeners, s.config.TLSConfig
	if tunnel {
		brokers, brokered = brokerTunnel, nil // inside of the main one
	}
	client, err := newGRPCClient(grpcClientConfig{
		dial:        dialOnce(s.conn),
		creds:       establishedTLS{s.conn},
		dialOptions: s.config.GRPCDialOptions,
		plugins:     plugins,
		brokers:     brokers,
		tls:         brokered,
		shared:      s.config.Broker,
		stdout:      s.config.SyncStdout,
		stderr:      s.config.SyncStderr,
		logger:      s.config.Logger,
		doneCtx:     s.ctx,
		remote:      true,
		detach:      func() { s.end(ErrDetached) },
	})
	if err != nil {
		return err
	}
	s.client = client
	return nil
}

// dialOnce hands conn to the first caller. A gRPC connection redials when it is
// lost, but a session has only the one connection that shook hands.
func dialOnce(conn net.Conn) func(context.Context) (net.Conn, error) {
	var mu sync.Mutex
	return func(context.Context) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if conn == nil {
			return nil, ErrConnectionLost
		}
		c := conn
		conn = nil
		return c, nil
	}
}
