// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// Relayed is a child that a relay serves to hosts of the network. All methods may be
// called from any goroutine.
type Relayed struct {
	client *Client
	local  *localPlugin
	conn   *grpc.ClientConn // of gRPC
	broker *relayedBroker   // of gRPC
	output *stdio.Hub
	calls  calls.Gauge

	mu       sync.Mutex // guards these
	sessions map[*hostSession]struct{}
	leaving  bool // no session joins any more
}

// StartRelayed starts the child that config.Cmd or config.RunnerFunc describes, and
// connects to it. Of Plugins and VersionedPlugins only the versions count, and
// AllowedProtocols may be nil for both. What the child writes to its stdout and stderr
// goes to SyncStdout and SyncStderr, and to the hosts that it serves. The start is given up
// when ctx ends. The caller calls Kill.
func StartRelayed(ctx context.Context, config *ClientConfig) (*Relayed, error) {
	r := &Relayed{output: stdio.NewHub(outputBuffer), sessions: map[*hostSession]struct{}{}}
	cfg := *config
	cfg.relayed = true
	if cfg.AllowedProtocols == nil {
		cfg.AllowedProtocols = []Protocol{ProtocolGRPC, ProtocolNetRPC}
	}
	cfg.SyncStdout = &sharedOutput{r.output, stdio.Stdout, config.SyncStdout}
	cfg.SyncStderr = &sharedOutput{r.output, stdio.Stderr, config.SyncStderr}
	r.client = NewClient(&cfg)
	local, ok := r.client.plugin.(*localPlugin)
	if !ok || cfg.Reattach != nil {
		return nil, errors.New("a relay starts its child: set Cmd or RunnerFunc")
	}
	r.local = local
	stop := context.AfterFunc(ctx, r.client.Kill)
	client, err := r.client.Client()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		// Servers of other languages need not answer for their health.
		if err = client.Ping(); status.Code(err) == codes.Unimplemented {
			err = nil
		}
	}
	if err != nil {
		r.client.Kill()
		return nil, err
	}
	if c, ok := client.(*GRPCClient); ok {
		r.conn, r.broker = c.Conn, newRelayedBroker(c.broker.engine)
	}
	context.AfterFunc(local.context(), func() {
		for _, host := range r.hosts() {
			_ = host.conn.Close() // What it has asked for is lost.
		}
		r.output.Close()
	})
	return r, nil
}

// Client is the handle of the process. Its protocol client belongs to the relay.
func (r *Relayed) Client() *Client { return r.client }

// Calls is how many calls of hosts are being run, and how many have begun since the
// child was started.
func (r *Relayed) Calls() (inFlight int, begun uint64) { return r.calls.Count(), r.calls.Begun() }

// Leave tells the hosts that the child is about to leave, lets their calls finish, and
// ends their sessions. When ctx ends first, the calls that are left are cut off, and
// Leave returns how many. The relay must choose another child for new hosts by then: those
// for which it has chosen this one already, and which are late, are refused and come again.
func (r *Relayed) Leave(ctx context.Context) (cut int) {
	r.mu.Lock()
	r.leaving = true
	r.mu.Unlock()
	var all wait.Group
	hosts := r.hosts()
	cuts := make([]int, len(hosts))
	for i, host := range hosts {
		all.Go(func() { cuts[i] = host.drain(ctx) })
	}
	all.Wait()
	for _, n := range cuts {
		cut += n
	}
	return cut
}

// Kill ends the child, as [Client.Kill] does, and the sessions of its hosts.
func (r *Relayed) Kill() { r.client.Kill() }

// errReplaced is what a host is told that comes while its child leaves. Served all the same,
// its calls would be cut off with the child.
var errReplaced = errors.New("the plugin's process is being replaced: try again")

// add counts a session in. It fails when the child leaves, or has ended.
func (r *Relayed) add(host *hostSession) error {
	r.mu.Lock()
	if r.leaving {
		r.mu.Unlock()
		return errReplaced
	}
	r.sessions[host] = struct{}{}
	r.mu.Unlock()
	if err := r.client.Err(); err != nil {
		r.remove(host)
		return err
	}
	return nil
}

func (r *Relayed) remove(host *hostSession) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, host)
}

func (r *Relayed) hosts() []*hostSession {
	r.mu.Lock()
	defer r.mu.Unlock()
	hosts := make([]*hostSession, 0, len(r.sessions))
	for host := range r.sessions {
		hosts = append(hosts, host)
	}
	return hosts
}

// endNotice bounds the wait for the end of a child whose connection was lost.
const endNotice = 2 * time.Second

// awaitEnd is called when the connection to the child was lost, and returns when it is
// known that the child has ended. It gives up on one that lives.
func (r *Relayed) awaitEnd() {
	timer := time.NewTimer(endNotice)
	defer timer.Stop()
	select {
	case <-r.client.Done():
	case <-timer.C:
	}
}

// dial connects to the child once more.
func (r *Relayed) dial(ctx context.Context) (net.Conn, error) {
	reached := r.local.reached // which does not change any more
	conn, err := reached.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the child: %w", err)
	}
	if reached.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, reached.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with the child: %w", err)
	}
	return secure, nil
}

// sharedOutput gives what the child writes to the hosts, and then to a writer.
type sharedOutput struct {
	hub *stdio.Hub
	ch  stdio.Channel
	w   io.Writer // may be nil
}

// Write implements io.Writer.
func (o *sharedOutput) Write(p []byte) (int, error) {
	o.hub.Write(o.ch, p)
	if o.w == nil {
		return len(p), nil
	}
	return o.w.Write(p)
}
