// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// agreement is what the two sides of a remote session agreed on.
type agreement struct {
	version    int
	protocol   Protocol
	features   []string
	maxMessage int // that the plugin takes; zero: it did not say
}

func (a agreement) has(feature string) bool { return slices.Contains(a.features, feature) }

// agree returns the outcome of the handshake, or for a peer without one what
// the configuration says of it.
func agree(cfg *ClientConfig, info *PeerInfo) (agreement, error) {
	a := agreement{version: cfg.Reattach.ProtocolVersion, protocol: cfg.Reattach.Protocol}
	switch {
	case info != nil:
		a = agreement{version: info.Version, protocol: Protocol(info.Protocol), features: info.Features, maxMessage: info.MaxMessage}
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
	cfg.Logger = newRatedLogger(cfg.Logger)
	s := &Session{info: info, pingTimeout: cfg.PingTimeout, keepalive: cfg.KeepaliveInterval, draining: make(chan struct{})}
	s.sayDraining = sync.OnceFunc(func() { close(s.draining) })
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.conn = &sessionConn{Conn: conn, opened: time.Now(), failed: s.end}

	err := s.open(&cfg)
	if err != nil {
		s.end(err)
		_ = conn.Close()
		return nil, err
	}
	s.start()
	return s, nil
}

func (s *Session) open(cfg *ClientConfig) error {
	a, err := agree(cfg, s.info)
	if err != nil {
		return err
	}
	plugins, err := cfg.selectVersion(a.version)
	if err != nil {
		return err
	}
	s.version = a.version
	if a.protocol == ProtocolGRPC {
		return s.openGRPC(cfg, plugins, a)
	}
	return s.openNetRPC(cfg, plugins, a)
}

func (s *Session) openNetRPC(cfg *ClientConfig, plugins PluginSet, a agreement) error {
	mux := yamuxConfig(cfg.Logger)
	// The session's own probe notices a dead peer, sooner than yamux's.
	mux.EnableKeepAlive = false
	mux.ConnectionWriteTimeout = cfg.PingTimeout
	client := &RPCClient{
		plugins:     plugins,
		detach:      func() { s.end(ErrDetached) },
		asks:        s.asksToEnd(cfg),
		pingTimeout: cfg.PingTimeout,
		maxMessage:  cfg.MaxMessageBytes,
		maxSend:     commonBound(cfg.MaxMessageBytes, a.maxMessage),
		why:         s.Err,
		shared:      cfg.Broker,
		panicked:    newPanicGuard().reportTo(cfg.Logger),
	}
	if a.has(featureRPCMux) {
		client.listed = s.info.Kinds
		newRPCMuxClient(s.conn, client, mux, s.sayDraining, func(err error) { s.end(connectionLost(err)) })
	} else if _, err := newRPCClient(s.conn, client, mux); err != nil {
		return err
	}
	s.client = client
	return client.SyncStreams(cfg.SyncStdout, cfg.SyncStderr)
}

func (s *Session) openGRPC(cfg *ClientConfig, plugins PluginSet, a agreement) error {
	// The original library secures every brokered connection like the main one.
	brokers, brokered := brokerListeners, cfg.TLSConfig
	tunnel := a.has(featureGRPCTunnel)
	if tunnel {
		brokers, brokered = brokerTunnel, nil // inside of the main one
	}
	s.conn.reader = idleread.NewReader(s.conn.Conn)
	s.conn.goAway = &goAwayWatch{leaving: s.sayDraining}
	client, err := newGRPCClient(grpcClientConfig{
		dial:        dialOnce(s.conn),
		creds:       establishedTLS{s.conn},
		dialOptions: cfg.GRPCDialOptions,
		plugins:     plugins,
		brokers:     brokers,
		tls:         brokered,
		shared:      cfg.Broker,
		maxMessage:  cfg.MaxMessageBytes,
		maxSend:     commonBound(cfg.MaxMessageBytes, a.maxMessage),
		panicked:    newPanicGuard().reportTo(cfg.Logger),
		stdout:      cfg.SyncStdout,
		stderr:      cfg.SyncStderr,
		logger:      cfg.Logger,
		onDemand:    tunnel && a.has(featureGRPCOnDemand),
		noOutput:    a.has(featureNoOutput),
		drainSigns:  s.drainSigns(a),
		doneCtx:     s.ctx,
		remote:      true,
		detach:      func() { s.end(ErrDetached) },
		asks:        s.asksToEnd(cfg),
	})
	if err != nil {
		return err
	}
	s.client = client
	return nil
}

// asksToEnd reports, once the session has ended, whether the plugin is to be asked
// to end it, for the output that it still has. One that has shaken hands takes that
// for no more. A session that was lost has nobody to ask.
func (s *Session) asksToEnd(cfg *ClientConfig) func() bool {
	wanted := s.info != nil && cfg.wantsOutput()
	return func() bool { return wanted && errors.Is(s.Err(), ErrDetached) }
}

// drainSigns tells the session that the plugin is about to leave. One that says
// so with its answers is asked once there is a stream: it may go on for as long
// as the plugin waits for it.
func (s *Session) drainSigns(a agreement) drainSigns {
	if !a.has(featureGRPCOnDemand) {
		return drainSigns{leaving: s.sayDraining}
	}
	return drainSigns{leaving: s.sayDraining, streaming: sync.OnceFunc(s.askForDrain)}
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
