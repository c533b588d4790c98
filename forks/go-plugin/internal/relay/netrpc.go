// SPDX-License-Identifier: MPL-2.0

// Package relay carries the net/rpc sessions of network hosts to a plugin that runs as a
// child, without knowing what the two say to each other: yamux frame by frame.
package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// frameBuffer is how much is read of a connection at once, in bytes.
const frameBuffer = 64 << 10

// NetRPC is a session over net/rpc between a network host and a child. Each side has a
// yamux session of its own with the relay for control, stdout and stderr. All other
// streams are between the two: their frames pass as they are, with their windows, so
// that ids of brokers and calls mean what they always do.
type NetRPC struct {
	host, child *side
	plugin      *netrpc.YamuxPlugin // towards the host
	client      *netrpc.Host        // towards the child
	traffic     *traffic
	calls       *calls.Gauge
}

// NetRPCConfig says what a session needs.
type NetRPCConfig struct {
	// Plugin is how the host is served: its output, when it is to leave, and what a Quit
	// does. Kinds are the child's.
	Plugin *netrpc.PluginConfig
	// Stdout and Stderr get what the child writes on this session's streams.
	Stdout, Stderr io.Writer
	// Calls counts the calls of all sessions of the child, beside the session's own.
	Calls *calls.Gauge
	// PingTimeout bounds how long the child may take to answer a ping.
	PingTimeout time.Duration
	// Yamux configures the relay's sessions.
	Yamux func() *yamux.Config
}

// NewNetRPC begins a session. It owns both connections from then on, and closes child on
// an error. The caller calls Serve.
func NewNetRPC(host, child net.Conn, config NetRPCConfig) (*NetRPC, error) {
	n := &NetRPC{host: newSide(host), child: newSide(child), calls: new(calls.Gauge)}
	n.traffic = newTraffic(n.calls, config.Calls)
	// The child reads these first, before any stream of the host's.
	client, err := netrpc.NewYamuxHost(n.child.own, netrpc.HostConfig{PingTimeout: config.PingTimeout, Yamux: config.Yamux})
	if err != nil {
		return nil, fmt.Errorf("begin a session with the child: %w", err)
	}
	n.client = client
	client.ReceiveOutput(config.Stdout, config.Stderr)
	plugin := *config.Plugin
	plugin.Remote = client
	n.plugin = netrpc.NewYamuxPlugin(n.host.own, &plugin)
	return n, nil
}

// Serve carries the session until either side hangs up, and closes both connections.
func (n *NetRPC) Serve() error {
	ended := make(chan error)
	parts := []func() error{
		func() error { return n.carry(n.host, n.child, true) },
		func() error { return n.carry(n.child, n.host, false) },
		n.plugin.Serve,
	}
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	err := <-ended
	for _, s := range []*side{n.host, n.child} {
		_ = s.own.Close()
	}
	for range parts[1:] {
		<-ended
	}
	_ = n.client.Abandon()
	n.traffic.close()
	return err
}

// carry passes frames on in one direction. What is for the relay goes to its own session.
func (n *NetRPC) carry(from, to *side, ofHost bool) (err error) {
	defer func() {
		from.own.end()
		_ = to.conn.Close()
	}()
	r := bufio.NewReaderSize(from.conn, frameBuffer)
	var out []byte
	for {
		start := len(out)
		var h header
		if h, out, err = appendFrame(out, r); err != nil {
			return err
		}
		frame := out[start:]
		switch {
		case isOwn(h):
			err, out = from.own.deliver(frame), out[:start]
		case h.kind == typePing && h.flags&flagACK != 0, h.kind == typeGoAway:
			err = from.own.deliver(frame) // Either may have asked.
		default:
			err = n.traffic.see(h, frame[headerSize:], ofHost)
		}
		if err != nil {
			return err
		}
		if len(out) == 0 || len(out) < frameBuffer && isWhole(r) {
			continue
		}
		if err := to.write(out); err != nil {
			return err
		}
		if out = out[:0]; cap(out) > 2*frameBuffer {
			out = nil
		}
	}
}

// Drain lets the calls in flight finish, until there has been none for quiet. It returns
// how many it cut off when ctx ended first. The caller closes the connection.
func (n *NetRPC) Drain(ctx context.Context, quiet time.Duration) (cut int) {
	if n.calls.WaitQuiet(ctx, quiet) != nil {
		cut = n.calls.Count()
	}
	n.plugin.FlushOutput()
	return cut
}
