// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/runner"
)

// shutdownWait is how long a plugin may take to answer that it ends.
const shutdownWait = 5 * time.Second

// GRPCClient is the host's side of a gRPC session. It implements
// [ClientProtocol].
type GRPCClient struct {
	// Conn is the session's connection. Close closes it.
	Conn *grpc.ClientConn
	// Plugins are the plugins that can be dispensed, by name.
	Plugins map[string]Plugin

	doneCtx     context.Context
	broker      *GRPCBroker
	controller  pluginpb.GRPCControllerClient
	mux         *grpcmux.ClientMuxer // nil without multiplexing
	pingTimeout time.Duration
	detach      func() (ask bool) // nil: the plugin is this host's to end

	stdio   *stdioReceiver     // nil: none is received
	output  *stdio.Pump        // the same
	end     context.CancelFunc // of the output
	closing func() error       // closes, once
	lost    context.Context    // ends when Done is closed
	lose    context.CancelCauseFunc
}

// grpcClientConfig says how to reach a plugin and what to do with it.
type grpcClientConfig struct {
	dial        func(context.Context) (net.Conn, error)
	creds       credentials.TransportCredentials // nil: plaintext
	dialOptions []grpc.DialOption
	plugins     map[string]Plugin

	brokers        brokerKind
	brokerWait     time.Duration                 // of brokerCore; zero: brokerWait
	sockets        listen.Sockets                // of brokerListeners
	addrTranslator runner.AddrTranslator         // of brokerListeners; nil: none
	announced      func(network, address string) // of brokerListeners: where the plugin accepts; nil: nobody asks
	mux            *grpcmux.ClientMuxer          // of brokerMux; the client closes it
	tls            *tls.Config                   // of brokered connections; nil: plaintext
	shared         *SharedBroker                 // what the broker joins; may be nil

	stdout, stderr io.Writer // nil: dropped
	noOutput       bool      // the plugin keeps none for this host

	// onDemand opens the broker's link when it is needed first. The plugin has
	// agreed to that, and gives the signs.
	onDemand bool
	drainSigns

	// maxMessage and maxSend bound each message, in bytes; zero does not. The plugin
	// has a say in the second.
	maxMessage, maxSend int

	// panicked says what becomes of a panic in what the broker serves.
	panicked   panics.Func
	brokerLost func(error) // of brokerCore.needed; set by newGRPCClient

	logger      hclog.Logger
	doneCtx     context.Context // handed to the plugins' GRPCClient
	pingTimeout time.Duration   // of Ping; zero: none

	// detach, if not nil, makes Close leave the plugin alone. It is called before
	// anything is closed, so that the session can know why it ends, and reports
	// whether the plugin is to be asked to end the session: it takes Shutdown for no
	// more than that.
	detach func() (ask bool)
}

// newGRPCClient starts a session. It does not wait for the connection.
func newGRPCClient(cfg grpcClientConfig) (*GRPCClient, error) {
	conn, err := dialGRPC(cfg.dial, cfg.creds, cfg.drainSigns, boundCalls(cfg.maxMessage, cfg.maxSend), cfg.dialOptions)
	if err != nil {
		if cfg.mux != nil {
			_ = cfg.mux.Close()
		}
		return nil, fmt.Errorf("start gRPC client: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lost, lose := context.WithCancelCause(context.Background())
	cfg.brokerLost = lose
	c := &GRPCClient{
		lost:        lost,
		lose:        lose,
		Conn:        conn,
		Plugins:     cfg.plugins,
		doneCtx:     cfg.doneCtx,
		broker:      cfg.newBroker(conn),
		controller:  pluginpb.NewGRPCControllerClient(conn),
		mux:         cfg.mux,
		pingTimeout: cfg.pingTimeout,
		detach:      cfg.detach,
		end:         cancel,
	}
	c.broker.maxMessage = cfg.maxMessage
	c.broker.serverOptions = append(c.broker.serverOptions, boundServed(cfg.maxMessage)...)
	c.broker.serverOptions = append(c.broker.serverOptions, panicInterceptors(cfg.panicked)...)
	c.closing = sync.OnceValue(c.close)
	if !cfg.noOutput {
		c.stdio = newStdioReceiver(ctx, &cfg, conn)
		c.output = stdio.StartPump(c.stdio.run)
	}
	return c, nil
}

// Close ends the session. A child is asked to end as well; a remote plugin
// lives on. What the plugin wrote before is passed on first, unless that takes
// more than two seconds. Calls in flight fail with [ErrConnectionLost]. It may be
// called again, from any goroutine.
func (c *GRPCClient) Close() error {
	switch {
	case c.closing != nil:
		return c.closing()
	case c.Conn != nil: // This library has not made the client.
		return c.Conn.Close()
	}
	return nil
}

func (c *GRPCClient) close() error {
	// The writers may block, so that the wait is bounded.
	reading, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	done, wait, asks := c.endsHow(reading)
	if asks {
		c.awaitStream(reading, done)
	}
	_ = c.broker.Close()
	if asks && c.shutDown(done, wait) {
		// What came before the answer is read from now on, however long that took.
		rest, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
		defer cancel()
		c.awaitOutput(rest)
	}
	c.end()
	c.lose(peererr.Lost(net.ErrClosed))
	err := c.Conn.Close()
	if c.mux != nil {
		_ = c.mux.Close()
	}
	return err
}

// endsHow says whether the plugin is asked to end, because it is this host's, or to
// end the session, because it takes Shutdown for no more than that; how long the
// answer may take; and what ends when nobody can answer.
func (c *GRPCClient) endsHow(reading context.Context) (done context.Context, wait time.Duration, asks bool) {
	if c.detach == nil {
		return c.doneCtx, shutdownWait, true
	}
	// doneCtx has ended, if it is the session's.
	return reading, stdio.FlushTimeout, c.detach()
}

// shutDown asks the plugin to end. It reports whether the output ends by itself
// now.
func (c *GRPCClient) shutDown(done context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(done, wait)
	defer cancel()
	// A plugin that ends does not always get to answer.
	_, err := c.controller.Shutdown(ctx, &pluginpb.Empty{})
	return status.Code(err) != codes.DeadlineExceeded
}

// awaitStream waits until the plugin was asked for its output, which is of no use
// after it was asked to end.
func (c *GRPCClient) awaitStream(ctx, done context.Context) {
	if c.stdio == nil {
		return
	}
	select {
	case <-c.stdio.opened:
	case <-done.Done():
	case <-ctx.Done():
	}
}

// awaitOutput waits until what has come of the plugin's output was passed on and
// there is no more, or until ctx ends. The output is not asked for again.
func (c *GRPCClient) awaitOutput(ctx context.Context) {
	if c.stdio != nil {
		c.stdio.final()
	}
	_ = c.output.Wait(ctx)
}

// Dispense returns a stub for the kind of that name.
func (c *GRPCClient) Dispense(name string) (interface{}, error) {
	raw, ok := c.Plugins[name]
	if !ok {
		return nil, fmt.Errorf("unknown plugin type: %s", name)
	}
	p, ok := raw.(GRPCPlugin)
	if !ok {
		return nil, fmt.Errorf("plugin %q doesn't support gRPC", name)
	}
	if c.detach == nil {
		// A child sends its output ahead of an answer to whoever has asked for it. Over
		// the network, it is kept for the host.
		ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
		defer cancel()
		c.awaitStream(ctx, c.doneCtx)
	}
	return p.GRPCClient(c.doneCtx, c.broker, c.Conn)
}

// Ping asks the plugin for an answer. An error means that the session is not
// healthy.
func (c *GRPCClient) Ping() error {
	ctx := context.Background()
	if c.pingTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.pingTimeout)
		defer cancel()
	}
	return c.pingContext(ctx)
}

// pingContext asks the health service. A plugin that says it is about to leave
// has answered.
func (c *GRPCClient) pingContext(ctx context.Context) error {
	_, err := grpc_health_v1.NewHealthClient(c.Conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: GRPCServiceName})
	return peererr.Clean(err)
}

// watchDrain blocks until the plugin says that it is about to leave, which
// gives nil, or until ctx or the session ends.
func (c *GRPCClient) watchDrain(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := grpc_health_v1.NewHealthClient(c.Conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: GRPCServiceName})
	if err != nil {
		return fmt.Errorf("watch the plugin's health: %w", err)
	}
	for {
		health, err := watch.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("watch the plugin's health: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("watch the plugin's health: %w", peererr.Clean(err))
		case health.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING:
			return nil
		}
	}
}
