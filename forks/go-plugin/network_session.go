// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// drainQuiet is how long a session must be without a call before it is closed.
// It is more than the way of the notice to the host and of the host's last
// call back.
const drainQuiet = 250 * time.Millisecond

// hostSession is one host attached to a network plugin.
type hostSession struct {
	plugin  *networkPlugin
	conn    net.Conn
	agreed  hello.Agreement
	version servedVersion // zero: there is only the health to ask for
	logger  hclog.Logger
	// panicked says what becomes of a panic in a method.
	panicked panics.Func

	relay sessionRelay // nil: the plugin is this process

	before stdio.Barrier      // of net/rpc, and of gRPC with the feature mux
	rpc    netRPCSession      // of net/rpc
	grpc   *grpcserve.Session // of gRPC
	// ready ends when the fields above are set for good, so that the session can drain.
	ready    context.Context
	setReady context.CancelFunc
	quits    atomic.Bool // the host has asked for the end
	ending   sync.Once
	ended    func() // called once, at the end; set by whoever made the session
}

func (p *networkPlugin) newHostSession(conn net.Conn, agreed hello.Agreement, name string) *hostSession {
	about := []any{"peer", conn.RemoteAddr().String(), "protocol", agreed.Protocol, "version", agreed.Version}
	if name != "" {
		about = append(about, "host", name)
	}
	host := &hostSession{plugin: p, conn: conn, agreed: agreed, logger: p.about.With(about...)}
	host.ready, host.setReady = context.WithCancel(context.Background())
	if !p.config.ExitOnPanic {
		host.panicked = func(method string, value any) string {
			return p.panics.ReportTo(p.logger.With(about...))(method, value) // at a rate of its own
		}
	}
	for _, v := range p.served {
		// gRPC is also agreed with whoever asks for the health of a plugin that has
		// only net/rpc.
		if v.version == agreed.Version && (v.protocol == ProtocolGRPC || agreed.Protocol == hello.NetRPC) {
			host.version = v
		}
	}
	return host
}

// sessionRelay is a session's way to a plugin that is another process.
type sessionRelay interface {
	// joinGRPC makes the session of gRPC.
	joinGRPC(grpcserve.Host) (*grpcserve.Session, error)
	// newNetRPC makes the session of net/rpc. The caller calls release when it has ended.
	newNetRPC() (session netRPCSession, release func())
	// output is what the plugin writes.
	output() *stdio.Hub
	// leave tells the host that the plugin is about to leave, as far as gRPC does not.
	leave()
	// end is called when the session has ended.
	end()
}

// serve speaks the session's protocol until the host hangs up or the connection
// is closed. Then it ends the session, which may be after it has returned.
func (h *hostSession) serve() {
	h.logger.Debug("host attached")
	if h.grpc == nil {
		h.serveNetRPC()
		return
	}
	h.setReady()
	h.grpc.Serve(h.end)
}

// end is the one place where a session ends, whether it was served or not: it closes
// the connection and gives back what the session holds. err may be nil. Only the
// first call counts; others wait for it.
func (h *hostSession) end(err error) {
	h.ending.Do(func() {
		if err != nil {
			h.logger.Debug("session ended", "error", err)
		}
		_ = h.conn.Close()
		if h.relay != nil {
			h.relay.end()
		}
		h.setReady() // lets a drain that has seen it go on
		if h.grpc != nil {
			h.grpc.Leave()
		}
		h.ended()
		if h.quits.Load() && h.plugin.quit != nil {
			h.plugin.quit()
		}
	})
}

// quit ends the session because its host has asked for that, and a child with it. The
// host may take as long as wait to hang up by itself.
func (h *hostSession) quit(wait time.Duration) {
	h.quits.Store(true)
	if wait > 0 {
		time.AfterFunc(wait, func() { _ = h.conn.Close() })
		return
	}
	_ = h.conn.Close()
}

// netRPCSession is what a session over net/rpc is served by. Serve calls ended when the
// connection is closed, which may be after it has returned.
type netRPCSession interface {
	Serve(ended func(error))
	Drain(ctx context.Context, quiet time.Duration) (cut int)
}

func (h *hostSession) serveNetRPC() {
	session, release := h.newNetRPC()
	h.rpc = session
	h.setReady()
	session.Serve(func(err error) {
		release()
		h.end(err)
	})
}

// yamuxSession is a netRPCSession whose Serve waits for the end.
type yamuxSession struct {
	session interface {
		Serve() error
		Drain(ctx context.Context, quiet time.Duration) (cut int)
	}
}

// Serve implements netRPCSession.
func (s yamuxSession) Serve(ended func(error)) { ended(s.session.Serve()) }

// Drain implements netRPCSession.
func (s yamuxSession) Drain(ctx context.Context, quiet time.Duration) (cut int) {
	return s.session.Drain(ctx, quiet)
}

// newNetRPC makes the session. The caller calls release when it has ended.
func (h *hostSession) newNetRPC() (session netRPCSession, release func()) {
	if h.relay != nil {
		return h.relay.newNetRPC()
	}
	config := &netrpc.PluginConfig{
		Serving: netrpc.Serving{Panicked: h.panicked, Output: &h.before, MaxMessage: h.plugin.config.MaxMessageBytes, Around: h.plugin.around},
		Kinds:   h.version.plugins.netRPC,
		Quit:    func() { h.quit(0) },
		Yamux: func() *yamux.Config {
			cfg := netrpc.YamuxConfig(h.logger)
			if h.plugin.keepalive > 0 {
				cfg.KeepAliveInterval = h.plugin.keepalive
			}
			return cfg
		},
	}
	if h.agreed.Has(hello.FeatureMux) {
		config.Subscribe = h.subscribe
		config.MaxSend = commonBound(h.plugin.config.MaxMessageBytes, h.agreed.MaxMessage)
		config.MaxCalls = h.plugin.config.MaxCalls
		config.Watchdog, config.Silence = &h.plugin.watchdog, h.plugin.keepalive
		return netrpc.NewMuxPlugin(h.conn, config), func() {}
	}
	stdout, stderr := h.plugin.output.Split()
	h.before.Follow(stdout, stderr)
	config.Stdout, config.Stderr = stdout, stderr
	config.Draining, config.OpenTimeout = h.plugin.draining, h.plugin.config.HandshakeTimeout
	return yamuxSession{netrpc.NewYamuxPlugin(h.conn, config)}, func() {
		_ = stdout.Close()
		_ = stderr.Close()
	}
}

// subscribe gives a net/rpc session the plugin's output as one sequence.
func (h *hostSession) subscribe() stdio.Stream {
	output := h.output().Subscribe()
	h.before.Follow(output)
	return output
}

// output is what the session's plugin writes.
func (h *hostSession) output() stdio.Outputs {
	if h.relay != nil {
		return h.relay.output()
	}
	return h.plugin.output
}

// kinds is what the plugin serves in a session that is prepared.
func (h *hostSession) kinds() []hello.Kind {
	if h.relay != nil {
		return nil // The child knows.
	}
	if h.agreed.Protocol == hello.GRPC {
		return h.plugin.services[h.agreed.Version].Kinds()
	}
	kinds, _ := h.version.netRPC()
	return kinds
}

// drain lets the calls in flight finish and ends the session. The host has been
// told, if it listens, and calls elsewhere; the quiet time covers what it sent
// before it heard. The result is how many calls it cut off when ctx ended first.
func (h *hostSession) drain(ctx context.Context) (cut int) {
	defer h.conn.Close()
	if h.relay != nil {
		h.relay.leave()
	}
	select {
	case <-h.ready.Done():
	case <-ctx.Done():
		return 0
	}
	switch {
	case h.grpc != nil:
		return h.grpc.Drain(ctx, drainQuiet)
	case h.rpc != nil:
		return h.rpc.Drain(ctx, drainQuiet)
	}
	return 0 // it ended before it began
}
