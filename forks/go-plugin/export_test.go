// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// What the tests, which use the package from outside, need of its inside.

const (
	DrainQuiet    = drainQuiet
	MinMaxMessage = minMaxMessage
)

var (
	ErrNoLatest      = errNoLatest
	ErrNotAsked      = errNotAsked
	GRPCPlugins      = grpcPlugins
	NewRPCHostClient = newRPCClient
	// NewCarryingClient is what MuxBroker.DialClient makes of a connection.
	NewCarryingClient = netrpc.NewCarryingClient
)

// NetRPC is what a net/rpc plugin serves of the set.
func (s PluginSet) NetRPC(b *netrpc.Broker) func(kind string) (any, error) { return s.netRPC(b) }

// GRPCClientConfig is grpcClientConfig as far as tests set it.
type GRPCClientConfig struct {
	Config      ClientConfig
	Plugins     PluginSet
	Conn        grpcconn.Config
	Broker      broker.Config
	Multiplexed bool
	// Mux is a connection for the feature mux; nil: none. Draining is called when the plugin
	// says that it is about to leave.
	Mux      net.Conn
	Draining func()
	Detach   func() (ask bool)
}

// NewGRPCClient starts a session that ends with the test.
func NewGRPCClient(t testing.TB, c GRPCClientConfig) (*GRPCClient, error) {
	cfg := grpcClientConfig{
		config: c.Config, plugins: c.Plugins, conn: c.Conn, broker: c.Broker,
		logger: hclog.NewNullLogger(), doneCtx: t.Context(), detach: c.Detach,
	}
	if c.Multiplexed {
		multiplexTest(t, &cfg)
	}
	if c.Mux == nil {
		return newGRPCClient(cfg)
	}
	cfg.mux, cfg.remote = newGRPCMux(c.Mux, c.Draining, func(error) {}), true
	grpcconn.OverMux(&cfg.conn, cfg.mux.Host, c.Mux)
	cfg.broker.Transport, cfg.broker.TLS = broker.Streams(cfg.mux.Dial), nil
	return newGRPCClient(cfg)
}

func (c *GRPCClient) WatchDrain(ctx context.Context) error { return c.watchDrain(ctx) }

func (c *GRPCClient) Broker() *GRPCBroker { return c.broker }

// AttachLegacy attaches as a Client does to a plugin that says no hello.
func AttachLegacy(ctx context.Context, cfg *ClientConfig) (*Session, error) {
	return attachLegacy(ctx, cfg.withDefaults(), hello.PeerUnknown)
}

// HelloRequest is what a host with that configuration says first.
func HelloRequest(cfg *ClientConfig) *hello.Request {
	full := cfg.withDefaults()
	return helloRequest(&full)
}

// NewSession makes a session on a connection whose plugin has answered.
func NewSession(cfg *ClientConfig, conn net.Conn, info *PeerInfo) (*Session, error) {
	return newSession(cfg.withDefaults(), conn, info)
}

// HostSession is a plugin's side of a session.
type HostSession = hostSession

// NewHostSession makes the plugin's side of a session on a connection.
func NewHostSession(opts *ServeConfig, conn net.Conn, agreed hello.Agreement) (*HostSession, error) {
	server, err := newNetworkServer(opts, nil, hclog.NewNullLogger(), stdio.NewHub(outputBuffer), nil)
	if err != nil {
		return nil, err
	}
	host := server.newHostSession(conn, agreed, "")
	host.ended = func() {}
	return host, nil
}

// Serve serves the session to its end.
func (s *HostSession) Serve() {
	ended := make(chan struct{})
	s.ended = func() { close(ended) }
	go s.serve()
	<-ended
}

func (s *HostSession) Drain(ctx context.Context) int { return s.drain(ctx) }

// DialChild connects to a child once more.
func (c *Client) DialChild(ctx context.Context) (net.Conn, error) {
	return c.plugin.(*localPlugin).reached.dial(ctx)
}

// Unused closes the connection to a child as its end does.
func (c *Client) Unused() { c.plugin.(*localPlugin).unused() }

// Connected says whether there is a connection to the child.
func (c *Client) Connected() bool { return c.plugin.(*localPlugin).connected() != nil }

// stuckClient does not close before it is freed.
type stuckClient struct {
	sessionClient
	freed <-chan struct{}
}

func (c stuckClient) Close() error {
	<-c.freed
	return c.sessionClient.Close()
}

// AskStuck asks a child to end whose connection does not close before freed is closed.
func (c *Client) AskStuck(wait time.Duration, freed <-chan struct{}) error {
	p := c.plugin.(*localPlugin)
	p.client = stuckClient{p.client, freed}
	return p.askToEnd(wait)
}

// Cut loses a session's connection.
func (s *Session) Cut() { _ = s.conn.Conn.Close() }

// WaitForEnd has Kill wait for a child that was asked to end as long as that takes. A test
// that looks at how the child ended says nothing on a busy machine if it was killed.
func (c *Client) WaitForEnd() { c.plugin.(*localPlugin).grace = time.Hour }
