// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/sniff"
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
	if err != nil {
		return nil, fmt.Errorf("attach to plugin at %s: %w", cfg.Reattach.Addr, err)
	}
	return session, nil
}

func attach(ctx context.Context, cfg ClientConfig) (*Session, error) {
	conn, info, err := dialAndShakeHands(ctx, &cfg)
	if hungUp(err) {
		// A plugin that is just going hangs up as well, and behind a Service
		// the next connection may meet one that stays.
		conn, info, err = dialAndShakeHands(ctx, &cfg)
	}
	switch {
	case err == nil:
		return newSession(cfg, conn, info)
	case cfg.Reattach.RequireHandshake || !knowsNoHandshake(err):
		return nil, err
	}
	session, legacy := attachLegacy(ctx, cfg)
	if legacy != nil {
		return nil, fmt.Errorf("%w; nor does it serve like a plugin of the original library: %w", err, legacy)
	}
	return session, nil
}

func dialAndShakeHands(ctx context.Context, cfg *ClientConfig) (net.Conn, *PeerInfo, error) {
	conn, err := dialPlugin(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	conn, info, err := shakeHands(ctx, conn, cfg)
	if alert, ok := tlsAlert(err); ok {
		return nil, nil, fmt.Errorf("%w: the plugin turns this host's certificate down, or misses it: %w", ErrTLS, alert)
	}
	return conn, info, err
}

// attachLegacy attaches to a plugin that does not know the handshake, in the
// way that it does know. Whether it is a plugin at all, only its answer to a
// ping can tell.
func attachLegacy(ctx context.Context, cfg ClientConfig) (*Session, error) {
	cfg.Logger.Debug("plugin does not know the handshake, attaching as to the original library", "addr", cfg.Reattach.Addr)
	conn, err := dialPlugin(ctx, &cfg)
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

// tlsAlert finds the alert that a peer sent. With TLS 1.3 a host learns only
// from its first read that its certificate was not good enough.
func tlsAlert(err error) (error, bool) {
	var op *net.OpError
	// crypto/tls has no exported type for it, but a fixed operation.
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err, true
	}
	return nil, false
}

// hungUp reports whether the peer closed the connection without a word.
func hungUp(err error) bool {
	var other *hello.NotHelloError
	return errors.As(err, &other) && other.Guess == hello.PeerClosed
}

// knowsNoHandshake reports whether the peer did to our first line what a plugin
// built with the original library does: hang up, or speak its own protocol.
func knowsNoHandshake(err error) bool {
	var other *hello.NotHelloError
	if !errors.As(err, &other) {
		return false
	}
	switch other.Guess {
	case hello.PeerClosed, hello.PeerYamux, hello.PeerHTTP2:
		return true
	}
	return false
}

// dialPlugin connects, and speaks TLS where it is configured.
func dialPlugin(ctx context.Context, cfg *ClientConfig) (net.Conn, error) {
	addr := cfg.Reattach.Addr
	// Probes of the kernel notice a peer whose machine is gone, also while no
	// probe of ours can be sent because the connection is stuffed.
	dialer := net.Dialer{KeepAliveConfig: keepAliveProbes}
	conn, err := dialer.DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return nil, err
	}
	if cfg.TLSConfig == nil {
		return conn, nil
	}
	tlsConfig := cfg.TLSConfig.Clone()
	if tlsConfig.ServerName == "" {
		tlsConfig.ServerName, _, _ = net.SplitHostPort(addr.String())
	}
	if name, verify := tlsConfig.ServerName, tlsConfig.VerifyConnection; verify != nil {
		tlsConfig.VerifyConnection = func(state tls.ConnectionState) error {
			// crypto/tls leaves out a name that is an IP address, because it
			// does not send one.
			setDefault(&state.ServerName, name)
			return verify(state)
		}
	}
	if len(tlsConfig.NextProtos) == 0 {
		// A gRPC server of the original library insists on it, and nobody minds.
		tlsConfig.NextProtos = []string{"h2"}
	}
	secure := tls.Client(rpcmux.NewOverflowConn(conn), tlsConfig)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return secure, nil
}

var keepAliveProbes = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// shakeHands says hello and reads the answer. It closes conn on an error.
func shakeHands(ctx context.Context, conn net.Conn, cfg *ClientConfig) (net.Conn, *PeerInfo, error) {
	defer interruptOnDone(ctx, conn)()
	info, r, err := exchangeHello(conn, cfg)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to the handshake within %v", cfg.DialTimeout)
		}
		return nil, nil, err
	}
	return sniff.NewConn(conn, r), info, nil
}

func exchangeHello(conn net.Conn, cfg *ClientConfig) (*PeerInfo, *bufio.Reader, error) {
	if err := hello.WriteRequest(conn, helloRequest(cfg)); err != nil {
		return nil, nil, fmt.Errorf("send handshake: %w", err)
	}
	r := bufio.NewReader(conn)
	info, err := hello.ReadAnswer(r)
	if err != nil {
		return nil, nil, err
	}
	return info, r, nil
}

// helloRequest is what this host says of itself.
func helloRequest(cfg *ClientConfig) *hello.Request {
	protocols := make([]string, len(cfg.AllowedProtocols))
	for i, p := range cfg.AllowedProtocols {
		protocols[i] = string(p)
	}
	features := []string{hello.FeatureGoAway, hello.FeatureGRPCTunnel, hello.FeatureGRPCOnDemand, hello.FeatureRPCMux}
	if !cfg.wantsOutput() {
		features = append(features, hello.FeatureNoOutput)
	}
	return &hello.Request{
		Core:      CoreProtocolVersion,
		Cookie:    hello.Cookie{Key: cfg.MagicCookieKey, Value: cfg.MagicCookieValue},
		Versions:  slices.Sorted(maps.Keys(cfg.versions())),
		Protocols: protocols,
		Features:  features,

		MaxMessage: max(cfg.MaxMessageBytes, 0),
		Host:       hostName(),
	}
}

// hostName is who asks, for the plugin's log.
var hostName = sync.OnceValue(func() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d", host, os.Getpid())
})

// interruptOnDone makes reads and writes on conn fail once ctx ends. The
// returned function stops that and lifts the deadline.
func interruptOnDone(ctx context.Context, conn net.Conn) (stop func()) {
	interrupted := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	return func() {
		if !cancel() {
			<-interrupted
		}
		_ = conn.SetDeadline(time.Time{})
	}
}
