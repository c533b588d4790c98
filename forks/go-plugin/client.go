// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
)

// Client is a host's handle of one plugin: a child process that it starts and
// ends, a process that another client started, or a remote plugin that it only
// attaches to. All methods may be called from any goroutine.
//
// The owner calls Kill when it is done, or [CleanupClients] for clients with
// ClientConfig.Managed.
type Client struct{ plugin clientPlugin }

// clientPlugin is one sort of plugin that a Client can stand for.
type clientPlugin interface {
	// start reaches the plugin, once; later calls return the same result.
	start() (net.Addr, error)
	// open returns the protocol client, and makes it first where needed.
	open() (ClientProtocol, error)
	// kill gives the plugin up and waits until nothing of it is left here.
	kill()
	// context ends when the plugin has ended, or was given up if it is a remote one. The
	// cause says why.
	context() context.Context
	exited() bool
	id() string
	negotiated() (Protocol, int) // and the app version; zero before start
	attached() (*Session, error) // makes it first where needed
	reattachConfig() *ReattachConfig
}

// NewClient returns a client that has done nothing yet. Mistakes in the
// configuration are reported by Start.
func NewClient(config *ClientConfig) (c *Client) {
	cfg := config.withDefaults()
	c = new(Client)
	if cfg.Reattach.remote() {
		c.plugin = newRemotePlugin(cfg)
	} else {
		c.plugin = newLocalPlugin(cfg)
	}
	if cfg.Managed {
		managed.add(c)
	}
	return c
}

// Start starts the child, or attaches, and returns the plugin's address. Only
// the first call does so; later ones return its result. They try again where the
// first could not reattach, or a RunnerFunc could not start anything.
func (c *Client) Start() (addr net.Addr, err error) { return c.plugin.start() }

// Client returns the protocol client, and starts the plugin if Start was not
// called. For a plugin on this machine it is the same value every time. For a
// remote plugin whose session was lost it is a new one on a new session.
func (c *Client) Client() (ClientProtocol, error) { return c.plugin.open() }

// Kill ends a process of this machine: it is asked to end and killed if it
// does not answer within five seconds, or has not ended two seconds later. A
// start under way is given up. A remote plugin is detached from and lives on.
// Kill returns when the process has ended and its last log line was written. It
// does not wait for ever for a writer or a logger of the host that takes nothing,
// nor for a process that the system does not end. It may be called again.
func (c *Client) Kill() {
	if c.plugin != nil { // NewClient has made it.
		c.plugin.kill()
	}
}

// Exited reports whether the process has ended. For a remote plugin it reports
// whether there was a session and there is none now.
func (c *Client) Exited() bool { return c.plugin != nil && c.plugin.exited() }

// Done is closed when a plugin on this machine has ended and its last output
// was read. For a remote plugin, whose sessions come and go, it is closed by
// Kill; [Session.Done] tells of one session.
func (c *Client) Done() <-chan struct{} {
	if c.plugin == nil {
		return nil
	}
	return c.plugin.context().Done()
}

// Err is nil until Done is closed. Then it says why a plugin on this machine
// ended: it matches [ErrConnectionLost], and wraps an *exec.ExitError if the
// process did not exit with 0. For a remote plugin it is [ErrDetached].
func (c *Client) Err() error {
	if c.plugin == nil {
		return nil
	}
	return context.Cause(c.plugin.context())
}

// ID is the process id of a child, what a Runner says it is, or the address of
// a remote plugin. It is empty before Start, after Kill, and for a plugin in test
// mode.
func (c *Client) ID() string {
	if c.plugin == nil {
		return ""
	}
	return c.plugin.id()
}

// Protocol starts the plugin if needed and returns what it speaks, or
// ProtocolInvalid if it could not be started.
func (c *Client) Protocol() Protocol {
	if _, err := c.Start(); err != nil {
		return ProtocolInvalid
	}
	protocol, _ := c.plugin.negotiated()
	return protocol
}

// NegotiatedVersion is the app version that both sides agreed on. It is valid
// after Start.
func (c *Client) NegotiatedVersion() int {
	if c.plugin == nil {
		return 0
	}
	_, version := c.plugin.negotiated()
	return version
}

// ReattachConfig returns what another host needs to reattach to this plugin,
// or nil before Start. A host that used RunnerFunc adds its own ReattachFunc.
func (c *Client) ReattachConfig() *ReattachConfig {
	if c.plugin == nil {
		return nil
	}
	return c.plugin.reattachConfig()
}

// Session returns the current session with the plugin, and attaches or starts it
// first if there is none. With a plugin on this machine there is one in its life, which
// Close ends together with the plugin. A plugin on this machine that speaks gRPC and
// does not shake hands has none, which is an error.
func (c *Client) Session() (*Session, error) { return c.plugin.attached() }
