// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// RPCClient is the host's side of a net/rpc session.
type RPCClient struct {
	session *netrpc.Host // nil: there is none
	broker  *MuxBroker
	plugins PluginSet
}

// NewRPCClient starts a session on a connection. The client owns the
// connection: Close asks the plugin to end, and closes it.
func NewRPCClient(conn io.ReadWriteCloser, plugins map[string]Plugin) (*RPCClient, error) {
	session, err := netrpc.NewYamuxHost(conn, netrpc.HostConfig{})
	if err != nil {
		return nil, err
	}
	return newRPCClient(session, plugins), nil
}

func newRPCClient(session *netrpc.Host, plugins PluginSet) *RPCClient {
	return &RPCClient{session: session, broker: &MuxBroker{broker: session.Broker()}, plugins: plugins}
}

// SyncStreams copies what the plugin writes to its stdout and stderr, in the
// background, until the session ends. It is called once.
func (c *RPCClient) SyncStreams(stdout io.Writer, stderr io.Writer) error {
	c.session.ReceiveOutput(stdout, stderr)
	return nil
}

// Dispense returns a stub for the kind of that name.
func (c *RPCClient) Dispense(name string) (interface{}, error) {
	p, ok := c.plugins[name]
	if !ok {
		return nil, fmt.Errorf("unknown plugin type: %s", name)
	}
	client, err := c.session.Client(name)
	if err != nil {
		return nil, err
	}
	return p.Client(c.broker, client)
}

// OpenRPC asks the plugin to serve a kind on a channel of its own, under the
// service name "Plugin". The caller closes it.
func (c *RPCClient) OpenRPC(kind string) (RPCChannel, error) { return c.session.Open(kind) }

// MuxBroker returns the session's broker.
func (c *RPCClient) MuxBroker() *MuxBroker { return c.broker }

// Ping asks the plugin for an answer. An error means that the session is no
// longer healthy; errors.Is tells context.DeadlineExceeded (no answer in time)
// from [ErrConnectionLost].
func (c *RPCClient) Ping() error { return c.session.Ping() }

// PingContext asks the plugin for an answer until ctx ends.
func (c *RPCClient) PingContext(ctx context.Context) error { return c.session.PingContext(ctx) }

// Done is closed when the session's connection is.
func (c *RPCClient) Done() <-chan struct{} { return c.session.Done() }

// Close ends the session. A child is asked to end as well; the error says if
// it could not be asked, in which case it has to be killed. What the plugin
// wrote before is passed on first, unless that takes more than two seconds from the
// answer on.
func (c *RPCClient) Close() error {
	if c.session == nil {
		return nil
	}
	return c.session.Close()
}

func (c *RPCClient) watchDrain(ctx context.Context) error { return c.session.WatchDrain(ctx) }

func (c *RPCClient) awaitOutput(ctx context.Context) { c.session.AwaitOutput(ctx) }
