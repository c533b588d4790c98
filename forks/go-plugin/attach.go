// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/hello"
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
