// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/forward"
	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/netrpc"
	"github.com/hashicorp/go-plugin/internal/relay"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// childDialTimeout bounds how long a child may take to accept one more connection.
const childDialTimeout = 5 * time.Second

// relaySession is what a session of a relay has beside one of a plugin.
type relaySession struct {
	session *hostSession
	*relayedHost

	mu sync.Mutex // guards child and what is made for it

	broker  *broker.Broker  // of gRPC
	refused context.Context // ends when the host needs callbacks and cannot have them
	user    *brokerUser     // of the child's broker, once there is a child of gRPC
	told    acceptedIDs     // by the host, to that user
	calls   calls.Gauge

	leaving context.Context // ends when the host is to leave
	depart  context.CancelFunc
}

// relay implements relayMaker.
func (h *relayedHost) relay(session *hostSession) (sessionRelay, error) {
	r := &relaySession{session: session, relayedHost: h}
	r.leaving, r.depart = context.WithCancel(context.Background())
	if h.child == nil {
		return r, nil
	}
	return r, h.child.add(session)
}

// useBroker lets the host and the child broker connections with each other. The caller
// holds the lock.
func (r *relaySession) useBroker() {
	if r.broker == nil || r.child == nil || r.child.broker == nil || r.user != nil {
		return
	}
	r.user = &brokerUser{engine: r.broker, calls: r.calls.Count, host: r.host.Name, told: &r.told}
	r.refused, r.user.refuse = context.WithCancelCause(context.Background())
	r.child.broker.add(r.user)
}

func (r *relaySession) leave() { r.depart() }

// chosen returns the session's child, and chooses it first where that has waited.
func (r *relaySession) chosen(ctx context.Context) (*Relayed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child != nil {
		return r.child, nil
	}
	var ended *Relayed // when it was to be used; nothing was sent to it
	for {
		child, err := r.choose(ctx, r.host)
		if err != nil {
			return nil, err
		}
		if err := child.add(r.session); err == nil {
			r.child = child
			r.useBroker()
			return child, nil
		} else if child == ended {
			return nil, err
		}
		ended = child
	}
}

// now returns the session's child, nil if it was not chosen yet.
func (r *relaySession) now() *Relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.child
}

func (r *relaySession) end() {
	r.depart()
	r.mu.Lock()
	child, user := r.child, r.user
	r.mu.Unlock()
	if user != nil {
		user.refuse(nil)
		child.broker.remove(user)
	}
	if child != nil {
		child.remove(r.session)
	}
}

// output is what the child writes.
func (r *relaySession) output() *stdio.Hub {
	ctx, cancel := context.WithTimeout(context.Background(), r.session.plugin.config.HandshakeTimeout)
	defer cancel()
	if child, err := r.chosen(ctx); err == nil {
		return child.output
	}
	none := stdio.NewHub(0)
	none.Close()
	return none
}

// joinGRPC makes a session whose calls are the child's.
func (r *relaySession) joinGRPC(host grpcserve.Host) (*grpcserve.Session, error) {
	cfg := r.session.plugin.grpcConfig(nil)
	cfg.Options, cfg.Codec = append(cfg.Options, grpc.UnknownServiceHandler(r.forward)), forward.Codec()
	cfg.Health = func(own *health.Server) grpc_health_v1.HealthServer { return &relayHealth{own, r} }
	cfg.NewServer = nil
	if host.Mux == nil {
		// A goroutine that is made for a call grows its stack to what handing one on needs. The
		// one worker keeps its own; a second call at the same time gets a new goroutine.
		// grpc-go has marked the option as experimental.
		cfg.Options = append(cfg.Options, grpc.NumStreamWorkers(1))
	}
	cfg.Plugins = []grpcserve.Plugin{{Register: func(b *broker.Broker, _ *grpc.Server) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.broker = b
		b.OnAccepted(r.told.accept)
		r.useBroker()
		return nil
	}}}
	service, err := grpcserve.New(cfg, &host)
	if err != nil {
		return nil, err
	}
	return service.Join(host, r.session.conn), nil
}

// forward makes one call at the child. When the child's connection was lost, so is the
// host's: no answer is better than one that the plugin did not give.
func (r *relaySession) forward(_ any, in grpc.ServerStream) error {
	child, err := r.chosen(in.Context())
	switch {
	case err != nil:
		return status.Error(codes.Unavailable, err.Error())
	case child.conn == nil:
		return status.Error(codes.Unimplemented, "the plugin speaks net/rpc, not gRPC")
	}
	child.calls.Begin()
	defer child.calls.End()
	r.calls.Begin()
	defer r.calls.End()
	ctx, cancel := context.WithCancelCause(in.Context())
	defer cancel(nil)
	defer context.AfterFunc(r.refused, func() { cancel(context.Cause(r.refused)) })()
	err = forward.Calls{To: child.conn, IsUnary: isUnary}.Handle(ctx, in)
	if errors.Is(err, ErrConnectionLost) {
		// The host comes again at once, and is not to be given the same child if that has
		// ended: its socket ends before it does.
		child.awaitEnd()
		_ = r.session.conn.Close()
	}
	if errors.Is(context.Cause(ctx), errSecondBroker) {
		return errSecondBroker
	}
	return err
}

func isUnary(ctx context.Context, _ string) bool { return grpcmux.IsUnary(ctx) }

// relayHealth answers for the child, so that a host notices one that hangs.
type relayHealth struct {
	*health.Server
	relay *relaySession
}

// Check implements grpc_health_v1.HealthServer.
func (h *relayHealth) Check(ctx context.Context, asked *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	own, err := h.Server.Check(ctx, asked)
	child := h.relay.now()
	if child == nil || child.conn == nil || own.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		return own, err
	}
	answer, childErr := grpc_health_v1.NewHealthClient(child.conn).Check(ctx, asked)
	if status.Code(childErr) == codes.Unimplemented {
		return own, err
	}
	return answer, childErr
}

// newNetRPC makes a session between the host and the child, with a connection of its own.
func (r *relaySession) newNetRPC() (session netRPCSession, release func()) {
	h := r.session
	ctx, cancel := context.WithTimeout(context.Background(), childDialTimeout)
	defer cancel()
	conn, err := r.child.dial(ctx)
	if err != nil {
		return &failedSession{h, err}, func() {}
	}
	stdout, stderr := r.child.output.Split()
	yamuxOf := func() *yamux.Config {
		cfg := netrpc.YamuxConfig(h.logger)
		cfg.KeepAliveInterval = hostKeepalive
		return cfg
	}
	carried, err := relay.NewNetRPC(h.conn, conn, relay.NetRPCConfig{
		Plugin: &netrpc.PluginConfig{
			Quit:   func() { _ = h.conn.Close() },
			Yamux:  yamuxOf,
			Stdout: stdout, Stderr: stderr,
			Draining: r.leaving.Done(), OpenTimeout: h.plugin.config.HandshakeTimeout,
		},
		Stdout: r.local().config.SyncStdout, Stderr: r.local().config.SyncStderr,
		Calls: &r.child.calls, PingTimeout: r.local().config.PingTimeout, Yamux: yamuxOf,
	})
	release = func() {
		_ = stdout.Close()
		_ = stderr.Close()
	}
	if err != nil {
		return &failedSession{h, err}, release
	}
	return yamuxSession{carried}, release
}

func (r *relaySession) local() *localPlugin { return r.child.local }

// failedSession is one that did not come about.
type failedSession struct {
	host *hostSession
	err  error
}

// Serve implements netRPCSession.
func (s *failedSession) Serve(ended func(error)) {
	_ = s.host.conn.Close()
	ended(s.err)
}

// Drain implements netRPCSession.
func (*failedSession) Drain(context.Context, time.Duration) int { return 0 }
