// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
)

// Attach makes one session with the remote plugin at config.Reattach.Addr: it
// connects, speaks TLS if config.TLSConfig is set, and shakes hands, which
// chooses version and protocol. It gives up when ctx ends or after
// config.DialTimeout. The caller closes the session.
//
// A plugin that will not serve this host gives a [*RefusedError]. A plugin that
// does not know the handshake is taken as config.Reattach describes it.
func Attach(ctx context.Context, config *ClientConfig) (*Session, error) {
	cfg := config.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if !cfg.Reattach.remote() {
		return nil, errors.New("attach: Reattach must name a TCP or unix address and neither Pid, ReattachFunc nor Test")
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	session, err := attach(ctx, cfg)
	return session, attachError(&cfg, err)
}

// AttachConn makes a session with a network plugin at the other end of conn,
// which the caller has connected, through TLS if there is any: a plugin of this
// very process behind [ServeListener], or one behind a tunnel. It owns conn
// from then on, and closes it on an error.
//
// It shakes hands like [Attach], and gives up when ctx ends or after
// config.DialTimeout. config.Reattach may be nil: it is looked at only for a
// peer's address in errors. A peer that does not know the handshake is an
// error, because there is no second connection to try it without.
func AttachConn(ctx context.Context, conn net.Conn, config *ClientConfig) (*Session, error) {
	cfg := config.withDefaults()
	if cfg.Reattach == nil {
		cfg.Reattach = &ReattachConfig{Addr: conn.RemoteAddr()}
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	conn, info, err := dial.ShakeHands(ctx, conn, helloRequest(&cfg))
	if err != nil {
		return nil, attachError(&cfg, err)
	}
	session, err := newSession(cfg, conn, info)
	return session, attachError(&cfg, err)
}

// attachError says which plugin a session could not be made with. It is nil for nil.
func attachError(cfg *ClientConfig, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dial.ErrNoAnswer):
		err = fmt.Errorf("%w within %v", err, cfg.DialTimeout)
	}
	return fmt.Errorf("attach to plugin at %s: %w", cfg.Reattach.Addr, err)
}

func attach(ctx context.Context, cfg ClientConfig) (*Session, error) {
	conn, info, err := targetOf(&cfg).Dial(ctx)
	if err == nil {
		return newSession(cfg, conn, info)
	}
	var other *hello.NotHelloError
	if cfg.Reattach.RequireHandshake || !errors.As(err, &other) || !other.MayBePlugin() {
		return nil, err
	}
	cfg.Logger.Debug("plugin does not know the handshake, attaching as to the original library", "addr", cfg.Reattach.Addr)
	session, legacy := attachLegacy(ctx, cfg, other.Guess)
	if legacy != nil {
		return nil, fmt.Errorf("%w; nor does it serve like a plugin of the original library: %w", err, legacy)
	}
	return session, nil
}

// attachLegacy attaches to a plugin that does not know the handshake, in the
// way that it does know. Whether it is a plugin at all, only its answer to a
// ping can tell. seems is what it began with.
func attachLegacy(ctx context.Context, cfg ClientConfig, seems hello.Peer) (*Session, error) {
	cfg, err := cfg.legacy(seems)
	if err != nil {
		return nil, err
	}
	conn, err := targetOf(&cfg).Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, err := newSession(cfg, conn, nil)
	if err != nil {
		return nil, err
	}
	if err := session.PingContext(ctx); err != nil {
		_ = session.Close()
		return nil, err
	}
	return session, nil
}

func targetOf(cfg *ClientConfig) dial.Target {
	return dial.Target{Addr: cfg.Reattach.Addr, TLS: cfg.TLSConfig, Hello: helloRequest(cfg)}
}

// helloRequest is what this host says of itself.
func helloRequest(cfg *ClientConfig) *hello.Request {
	protocols := make([]string, len(cfg.AllowedProtocols))
	for i, p := range cfg.AllowedProtocols {
		protocols[i] = string(p)
	}
	features := []string{hello.FeatureGoAway}
	if !cfg.RawRPC {
		features = append(features, hello.FeatureMux)
	}
	return &hello.Request{
		Cookie:    hello.Cookie{Key: cfg.MagicCookieKey, Value: cfg.MagicCookieValue},
		Versions:  slices.Sorted(maps.Keys(cfg.versions())),
		Protocols: protocols,
		Features:  features,

		MaxMessage: max(cfg.MaxMessageBytes, 0),
		Host:       hostName(),
	}
}

// hostName names this process in the plugin's log.
var hostName = sync.OnceValue(func() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d", host, os.Getpid())
})

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

// newSession makes a session with a remote plugin on a connection that is past the
// handshake. It owns conn, and closes it on an error.
func newSession(cfg ClientConfig, conn net.Conn, info *PeerInfo) (*Session, error) {
	peer := sessionPeer{conn: conn, info: info}
	var err error
	if peer.agreed, err = agree(&cfg, info); err == nil {
		peer.plugins, err = cfg.selectVersion(peer.agreed.Version)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return peer.newSession(cfg)
}

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
	brokered := broker.Config{TLS: cfg.TLSConfig}
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
