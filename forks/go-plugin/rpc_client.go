// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"io"
	"net"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// RPCClient is the host's side of a net/rpc session.
type RPCClient struct {
	broker  *MuxBroker
	control *rpc.Client
	plugins map[string]Plugin
	// host is the session with the feature rpc-mux, and nil without. Then these
	// streams carry the plugin's output.
	host           *rpcmux.Host
	listed         []PeerKind // in the handshake
	stdout, stderr net.Conn
	outputs        []*stdio.Pump // since SyncStreams
	// shared is what the broker joins; it may be nil.
	shared *SharedBroker
	// panicked says what becomes of a panic in what the broker serves.
	panicked panics.Func

	// detach, if not nil, ends a session with a plugin that is not this host's
	// to end: Close calls it first, and sends Quit only if it says so, to a plugin
	// that ends no more than the session.
	detach func() (ask bool)
	// pingTimeout bounds Ping; zero waits for ever.
	pingTimeout time.Duration
	// maxMessage bounds each message, in bytes; zero does not.
	maxMessage int
	// maxSend is the same for what is sent with the feature rpc-mux, where the
	// plugin has a say.
	maxSend int
	// why is the reason that the session ended, for the errors of calls.
	why func() error
}

// NewRPCClient starts a session on a connection. The client owns the
// connection: Close asks the plugin to end, and closes it.
func NewRPCClient(conn io.ReadWriteCloser, plugins map[string]Plugin) (*RPCClient, error) {
	return newRPCClient(conn, &RPCClient{plugins: plugins}, yamuxConfig(nil))
}

// newRPCClient opens the streams of a session and completes client. It closes
// conn on an error.
func newRPCClient(conn io.ReadWriteCloser, client *RPCClient, cfg *yamux.Config) (*RPCClient, error) {
	mux, err := yamux.Client(conn, cfg)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start net/rpc session: %w", err)
	}
	var streams [3]net.Conn
	for i, name := range [...]string{"control", "stdout", "stderr"} {
		if streams[i], err = mux.Open(); err != nil {
			_ = mux.Close()
			return nil, fmt.Errorf("open %s stream: %w", name, err)
		}
	}
	client.control = newNetRPCClient(streams[0], client.why, client.maxMessage)
	client.stdout, client.stderr = streams[1], streams[2]
	client.broker = newMuxBroker(mux, client.shared.arrivals())
	client.broker.serving = rpcServing{panicked: client.panicked, maxMessage: client.maxMessage}
	go client.broker.Run()
	return client, nil
}

// SyncStreams copies what the plugin writes to its stdout and stderr, in the
// background, until the session ends. It is called once.
func (c *RPCClient) SyncStreams(stdout io.Writer, stderr io.Writer) error {
	if c.host != nil {
		c.receiveMuxOutput(stdout, stderr)
		return nil
	}
	c.outputs = []*stdio.Pump{c.receive(stdout, c.stdout), c.receive(stderr, c.stderr)}
	return nil
}

func (c *RPCClient) receive(dst io.Writer, stream net.Conn) *stdio.Pump {
	return stdio.StartPump(func() {
		stdio.Copy(stdio.NewSink(dst, nil), stream)
		_ = stream.Close()
	})
}

// awaitOutput waits until what has come of the plugin's output was passed on and
// there is no more, or until ctx ends.
func (c *RPCClient) awaitOutput(ctx context.Context) {
	for _, output := range c.outputs {
		_ = output.Wait(ctx)
	}
}

// Dispense returns a stub for the kind of that name.
func (c *RPCClient) Dispense(name string) (interface{}, error) {
	p, ok := c.plugins[name]
	if !ok {
		return nil, fmt.Errorf("unknown plugin type: %s", name)
	}
	client, err := c.stub(name)
	if err != nil {
		return nil, err
	}
	return p.Client(c.broker, client)
}

// stub returns a client for a kind that the plugin serves in this session.
func (c *RPCClient) stub(name string) (*rpc.Client, error) {
	if c.host != nil {
		channel, err := c.openMux(name)
		if err != nil {
			return nil, err
		}
		return NewChannelClient(channel), nil
	}
	conn, err := c.openStream(name)
	if err != nil {
		return nil, err
	}
	return newNetRPCClient(conn, c.why, c.maxMessage), nil
}

// openStream asks the plugin to serve a kind and returns the stream on which it
// does. The caller closes it.
func (c *RPCClient) openStream(name string) (net.Conn, error) {
	id, err := c.dispense(name)
	if err != nil {
		return nil, err
	}
	return c.broker.Dial(id)
}

// dispense asks the plugin to serve a kind and returns the id under which it
// does.
func (c *RPCClient) dispense(name string) (id uint32, err error) {
	err = c.control.Call("Dispenser.Dispense", name, &id)
	return id, peererr.Clean(err)
}

// Ping asks the plugin for an answer. An error means that the session is no
// longer healthy; errors.Is tells context.DeadlineExceeded (no answer in time)
// from [ErrConnectionLost].
func (c *RPCClient) Ping() error {
	ctx := context.Background()
	if c.pingTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.pingTimeout)
		defer cancel()
	}
	return c.pingContext(ctx)
}

func (c *RPCClient) pingContext(ctx context.Context) error {
	if c.host == nil {
		return c.controlCall(ctx, "Control.Ping")
	}
	moved := c.host.Moved()
	err := c.controlCall(ctx, "Control.Ping")
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && c.host.Err() == nil && c.host.Moved() != moved {
		return nil // A long message is in the way, and on its way.
	}
	return err
}

// watchDrain blocks until the plugin says that it is about to leave.
func (c *RPCClient) watchDrain(ctx context.Context) error {
	return c.controlCall(ctx, "Control.GoAway")
}

// controlCall makes one of the calls that carry nothing but their name. When
// ctx ends first, the answer is dropped; the call itself ends with the session
// at the latest.
func (c *RPCClient) controlCall(ctx context.Context, method string) error {
	// Sending alone can block, on a connection whose other end has stopped
	// reading.
	answer := make(chan error, 1)
	go func() { answer <- c.control.Call(method, true, &struct{}{}) }()
	select {
	case err := <-answer:
		return peererr.Clean(err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// Close ends the session. A child is asked to end as well; the error says if
// it could not be asked, in which case it has to be killed. What the plugin
// wrote before is passed on first, unless that takes more than two seconds from the
// answer on.
func (c *RPCClient) Close() error {
	if c.control == nil {
		return nil // There is no session.
	}
	asked, err := c.quit()
	// What came before the answer is read from now on, however long that took.
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	if asked && err == nil && c.host == nil {
		c.awaitOutput(ctx) // With rpc-mux, it came before the answer.
	}
	// The broker's session carries the other streams. What has come on them can
	// be read afterwards.
	closed := c.broker.Close()
	c.awaitOutput(ctx)
	return errors.Join(err, closed)
}

// quit asks the plugin to end, if it is this host's, or to end the session, if it
// takes Quit for no more than that. The error says that a child could not be
// asked.
func (c *RPCClient) quit() (asked bool, err error) {
	wait := shutdownWait
	if c.detach != nil {
		if !c.detach() {
			return false, nil
		}
		wait = stdio.FlushTimeout
	}
	// A plugin that hangs does not answer, and yamux would notice it only after
	// 40 s.
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	err = c.controlCall(ctx, "Control.Quit")
	if errors.Is(err, ErrConnectionLost) || c.detach != nil {
		err = nil // A plugin that ends does not always get to answer.
	}
	return true, err
}

// yamuxConfig is upstream's configuration with yamux's own messages sent to
// the logger; nil silences them.
func yamuxConfig(logger hclog.Logger) *yamux.Config {
	cfg := yamux.DefaultConfig()
	if logger == nil {
		cfg.LogOutput = io.Discard
		return cfg
	}
	cfg.LogOutput = nil
	// yamux reports an ordinary hang-up as an error.
	cfg.Logger = logger.Named("yamux").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
	return cfg
}
