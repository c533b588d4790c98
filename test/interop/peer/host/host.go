// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

// Host takes the commands of the tests. Every method is one command, and runs
// in a goroutine of its own; an error goes back as text.
type Host struct {
	mu      sync.Mutex
	clients map[string]*client
}

func newHost() *Host { return &Host{clients: map[string]*client{}} }

func (h *Host) client(name string) (*client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.clients[name]
	if !ok {
		return nil, fmt.Errorf("no client is called %q", name)
	}
	return c, nil
}

// Library answers which go-plugin the host was built with.
func (h *Host) Library(_ hostapi.None, out *hostapi.Outcome) error {
	*out = hostapi.Outcome{Text: store.Library(), N: int64(os.Getpid())}
	return nil
}

// New makes a client.
func (h *Host) New(spec hostapi.Client, _ *hostapi.None) error {
	c, err := newClient(spec)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[spec.Name] = c
	return nil
}

// Start starts the plugin, or reattaches to it, and answers its address.
func (h *Host) Start(n hostapi.Named, out *hostapi.Outcome) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	addr, err := c.plugin.Start()
	if err != nil {
		return err
	}
	out.Text = addr.Network() + " " + addr.String()
	return nil
}

// Connect asks the client for its ClientProtocol.
func (h *Host) Connect(n hostapi.Named, out *hostapi.Connection) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	out.Serial, err = c.connect()
	return err
}

// Dispense makes a stub for the later commands.
func (h *Host) Dispense(k hostapi.Kind, _ *hostapi.None) error {
	c, err := h.client(k.Name)
	if err != nil {
		return err
	}
	session, err := c.session()
	if err != nil {
		return err
	}
	raw, err := session.Dispense(k.Kind)
	if err != nil {
		return err
	}
	stub, ok := raw.(store.Stub)
	if !ok {
		return fmt.Errorf("dispensed a %T", raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stub = stub
	return nil
}

// Ping pings on the session.
func (h *Host) Ping(n hostapi.Named, _ *hostapi.None) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	session, err := c.session()
	if err != nil {
		return err
	}
	return session.Ping()
}

// Close closes the session.
func (h *Host) Close(n hostapi.Named, _ *hostapi.None) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	session, err := c.session()
	if err != nil {
		return err
	}
	return session.Close()
}

// Kill kills the client.
func (h *Host) Kill(n hostapi.Named, _ *hostapi.None) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	c.plugin.Kill()
	return nil
}

// State answers what the client says of its plugin.
func (h *Host) State(n hostapi.Named, out *hostapi.State) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	*out = hostapi.State{
		Exited:   c.plugin.Exited(),
		ID:       idOf(c.plugin),
		Version:  c.plugin.NegotiatedVersion(),
		Protocol: string(c.plugin.Protocol()),
	}
	if stub, err := c.dispensed(); err == nil {
		out.ContextDone = stub.Context().Err() != nil
	}
	return nil
}

// ReattachConfig answers how to reattach to the client's plugin.
func (h *Host) ReattachConfig(n hostapi.Named, out *hostapi.Reattach) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	r := c.plugin.ReattachConfig()
	if r == nil {
		return fmt.Errorf("client %q has no reattach config", n.Name)
	}
	*out = hostapi.Reattach{
		Protocol: string(r.Protocol),
		Version:  r.ProtocolVersion,
		Network:  r.Addr.Network(),
		Address:  r.Addr.String(),
		Pid:      r.Pid,
		Test:     r.Test,
	}
	return nil
}

// Output answers what the plugin has printed.
func (h *Host) Output(n hostapi.Named, out *hostapi.Output) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	o := c.stdout
	o.mu.Lock()
	*out = hostapi.Output{
		Stdout: o.head.String(), Bytes: o.bytes,
		Lines: o.lines, Missing: o.missing, Torn: o.torn,
		Notices: o.notices, Missed: o.missed, NoticeBytes: o.noticeBytes,
	}
	o.mu.Unlock()
	out.Stderr, out.RawStderr = c.stderr.start(), c.raw.start()
	return nil
}

// CleanupClients ends the managed clients.
func (h *Host) CleanupClients(hostapi.None, *hostapi.None) error {
	plugin.CleanupClients()
	return nil
}

// Release lets the writes of a stalled output go on.
func (h *Host) Release(n hostapi.Named, _ *hostapi.None) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	c.stdout.release()
	c.stderr.release()
	return nil
}

// Logs answers what the library has logged.
func (h *Host) Logs(n hostapi.Named, out *hostapi.Logs) error {
	c, err := h.client(n.Name)
	if err != nil {
		return err
	}
	out.Lines = c.logs.all()
	return nil
}
