// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// GRPCClient is the host's side of a gRPC session. It implements
// [ClientProtocol].
type GRPCClient struct {
	// Conn is the session's connection. Close closes it. Its GetState says nothing of a
	// session whose calls need no HTTP/2, as they do not between two peers of this library:
	// that stays IDLE. Ping tells whether the plugin answers.
	Conn *grpc.ClientConn
	// Plugins are the plugins that can be dispensed, by name.
	Plugins map[string]Plugin

	session     *grpcconn.Session // nil: this library has not made the client
	broker      *GRPCBroker
	pingTimeout time.Duration
}

// grpcClientConfig says how to reach a plugin and what to do with it.
type grpcClientConfig struct {
	config  ClientConfig // whose bounds, output, options and shared broker count
	plugins map[string]Plugin

	conn        grpcconn.Config // but for what config says
	broker      broker.Config   // Transport, TLS and Wait
	mux         *grpcMux        // carries the session, which owns it; nil: conn does
	multiplexer *multiplex.Host // instead of conn.Dial and broker.Transport; the client closes it
	panicked    panics.Func     // in what the broker serves

	logger  hclog.Logger
	doneCtx context.Context   // handed to the plugins' GRPCClient
	detach  func() (ask bool) // of grpcconn.Session; may be nil
	remote  bool              // the plugin is no child
}

// newGRPCClient starts a session. It does not wait for the connection.
func newGRPCClient(cfg grpcClientConfig) (*GRPCClient, error) {
	maxMessage := cfg.config.MaxMessageBytes
	cfg.conn.MaxReceive, cfg.conn.Options = maxMessage, cfg.config.GRPCDialOptions
	if cfg.multiplexer != nil {
		cfg.conn.Dial, cfg.broker.Transport = cfg.multiplexer.Dial, broker.Multiplexed(cfg.multiplexer.Session)
	}
	conn, err := grpcconn.New(cfg.conn)
	if err != nil {
		if cfg.multiplexer != nil {
			_ = cfg.multiplexer.Close()
		}
		return nil, fmt.Errorf("start gRPC client: %w", err)
	}
	session := grpcconn.NewSession(conn)
	cfg.broker.Logger = cfg.logger.Named("broker")
	cfg.broker.Conn = grpcconn.Config{MaxReceive: maxMessage, MaxSend: maxMessage}
	cfg.broker.ServerOptions = append(grpcconn.ServerBound(maxMessage), grpcconn.AnswerPanics(cfg.panicked)...)
	if cfg.mux == nil {
		cfg.broker.Host = &broker.Host{Conn: conn, Done: cfg.doneCtx, Lost: session.Lose}
	}
	if shared := cfg.config.Broker; shared != nil {
		cfg.broker.Group = shared.group
	}
	b := &GRPCBroker{engine: broker.New(cfg.broker)}
	session.Broker, session.Plugin, session.Detach, session.Remote = b, cfg.doneCtx, cfg.detach, cfg.remote
	if cfg.multiplexer != nil {
		session.Beneath = cfg.multiplexer
	}
	if cfg.mux != nil {
		session.Mux, session.Beneath = cfg.conn.Mux, cfg.mux
		session.Output = grpcconn.ReceiveOutput(cfg.mux.Host, cfg.remote, cfg.config.SyncStdout, cfg.config.SyncStderr)
		cfg.mux.start(session, b.engine)
	} else {
		session.Output = grpcstdio.Receive(conn, cfg.config.SyncStdout, cfg.config.SyncStderr, cfg.logger)
	}
	return &GRPCClient{Conn: conn, Plugins: cfg.plugins, session: session, broker: b, pingTimeout: cfg.config.PingTimeout}, nil
}

// Close ends the session. A child is asked to end as well; a remote plugin
// lives on. What the plugin wrote before is passed on first, unless that takes
// more than two seconds. Calls in flight fail with [ErrConnectionLost]. It may be
// called again, from any goroutine.
func (c *GRPCClient) Close() error {
	switch {
	case c.session != nil:
		return c.session.Close()
	case c.Conn != nil:
		return c.Conn.Close()
	}
	return nil
}

// ErrNotInvoked is what InvokeUnary returns of a call that it has done nothing of, and which the
// connection has to make.
var ErrNotInvoked = grpcmux.ErrNotInvoked

// InvokeUnary makes a call as conn.Invoke does, with the same errors, and reports whether the
// call was sent, so that the plugin may have run it. It returns [ErrNotInvoked] where conn has to
// make the call: one that is not Conn itself, so that no connection is passed by unseen, a call
// by HTTP/2, one with options of a kind that needs that, or any where ClientConfig has
// GRPCDialOptions. It is for those who route calls: it is cheaper than grpc.Peer is to learn
// whether a call may be made elsewhere.
func (c *GRPCClient) InvokeUnary(ctx context.Context, conn *grpc.ClientConn, method string, args, reply any, opts []grpc.CallOption) (sent bool, err error) {
	if c.session == nil || c.session.Mux == nil {
		return false, ErrNotInvoked
	}
	return c.session.Mux.Invoke(ctx, conn, method, args, reply, opts)
}

// engine is the session, and for a client that this library has not made what Conn can
// do of one.
func (c *GRPCClient) engine() *grpcconn.Session {
	if c.session != nil {
		return c.session
	}
	return &grpcconn.Session{Conn: c.Conn, Lost: context.Background()}
}

// Dispense returns a stub for the kind of that name.
func (c *GRPCClient) Dispense(name string) (interface{}, error) {
	switch kind := c.Plugins[name].(type) {
	case GRPCPlugin:
		session := c.engine()
		session.AwaitOutput()
		return kind.GRPCClient(session.Plugin, c.broker, c.Conn)
	case nil:
		return nil, fmt.Errorf("unknown plugin type: %s", name)
	default:
		return nil, fmt.Errorf("plugin %q doesn't support gRPC", name)
	}
}

// GRPCBroker returns the session's broker.
func (c *GRPCClient) GRPCBroker() *GRPCBroker { return c.broker }

// Ping asks the plugin for an answer. An error means that the session is not
// healthy.
func (c *GRPCClient) Ping() error {
	ctx := context.Background()
	if c.pingTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.pingTimeout)
		defer cancel()
	}
	return c.engine().Ping(ctx)
}

// PingContext asks the plugin for an answer until ctx ends. A plugin that says it is
// about to leave has answered.
func (c *GRPCClient) PingContext(ctx context.Context) error { return c.engine().Ping(ctx) }

// Done is closed by Close, when the connection of a plugin was lost that has shaken hands,
// or when the plugin's broker was lost for good under a host that brokers connections:
// calls may go on then, but callbacks do not. The loss of any other connection alone is
// no such thing, because it is replaced.
func (c *GRPCClient) Done() <-chan struct{} { return c.engine().Lost.Done() }

// Err is nil until Done is closed. Then it says why.
func (c *GRPCClient) Err() error { return context.Cause(c.engine().Lost) }

// What follows implements sessionClient.

func (c *GRPCClient) watchDrain(ctx context.Context) error { return c.session.WatchDrain(ctx) }

func (c *GRPCClient) awaitOutput(ctx context.Context) { c.session.FinishOutput(ctx) }
