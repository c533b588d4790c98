// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/reattach/reattach/host/balancer"
)

// GRPC is a routed stub that speaks gRPC: what plugin.GRPCPlugin's GRPCClient
// wants.
type GRPC struct {
	// Conn never connects. It sends each call and each stream through the
	// connection of a session that is ready then; call options, metadata and
	// deadline are the caller's. A unary call without a deadline gets the one
	// of its method.
	Conn *grpc.ClientConn
	// Broker takes callbacks from whichever endpoint has the call. Its Dial
	// goes to the endpoint that answered last. Nil without Config.Broker.
	Broker *plugin.GRPCBroker

	routes *grpcRoutes
}

// NewGRPC returns a stub for all kinds of a plugin. The caller closes it.
func NewGRPC(config Config) (*GRPC, error) {
	r := &grpcRoutes{callConfig: callConfig{Config: config, start: time.Now()}, atOnce: endedContext()}
	r.ctx, r.end = context.WithCancelCause(context.Background())
	if config.State != nil {
		r.replays = config.State.replaysOf("")
	}
	r.settle()
	conn, err := grpc.NewClient("passthrough:///routed",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(r.unary),
		grpc.WithStreamInterceptor(r.stream))
	if err != nil {
		return nil, fmt.Errorf("make routed connection: %w", err)
	}
	stub := &GRPC{Conn: conn, routes: r}
	if config.Broker != nil {
		stub.Broker = config.Broker.GRPCBroker(r.lastBroker)
	}
	return stub, nil
}

// Close ends the stub. Calls in flight end by themselves; those that wait for
// an endpoint, and later ones, fail with codes.Canceled.
func (g *GRPC) Close() error { return g.CloseWithError(nil) }

// CloseWithError is Close for who owns the stub in its callers' place: calls that are not
// under way fail with a [Fault] of [ReasonUnavailable] that matches err, if it is not nil.
func (g *GRPC) CloseWithError(err error) error {
	g.routes.end(err)
	closed := g.Conn.Close()
	if g.Broker != nil {
		closed = errors.Join(closed, g.Broker.Close())
	}
	return closed
}

// grpcRoutes holds the interceptors of one stub.
type grpcRoutes struct {
	callConfig
	ctx    context.Context // ends with the stub
	end    context.CancelCauseFunc
	atOnce context.Context     // has ended: a Pick that must not wait
	latest atomic.Pointer[any] // the session that answered last
	// replays are what each endpoint must have had; nil: there is no state.
	replays *replays
}

// grpcCall is a call or a stream on its way.
type grpcCall struct {
	callState
	routes *grpcRoutes
}

// begin begins a call. It fails if the stub is closed.
func (c *grpcCall) begin(r *grpcRoutes, cc *grpc.ClientConn, fullMethod string) error {
	c.callState, c.routes = r.newState(fullMethod), r
	if cc.GetState() == connectivity.Shutdown {
		return c.closed()
	}
	return nil
}

// closed is the error of a call whose stub was closed.
func (c *grpcCall) closed() *Fault { return c.fault(closedFault(c.routes.ctx, errClosed)) }

// closedFault says why a call failed whose stub was closed: by its caller, unless ctx, which
// ended with it, has another cause.
func closedFault(ctx context.Context, byCaller error) Fault {
	if cause := context.Cause(ctx); cause != context.Canceled && cause != nil {
		return Fault{Reason: ReasonUnavailable, Err: cause}
	}
	return Fault{Reason: ReasonCaller, Err: byCaller}
}

// errClosed matches what a closed rpc.Client gives, so that callers need to know
// one error.
var errClosed = fmt.Errorf("%w: %w", errStubClosed, rpc.ErrShutdown)

// observe reports the end of the call.
func (c *grpcCall) observe(endpoint string, err error) {
	if f, ok := Cause(err); ok {
		endpoint = f.Endpoint
	}
	c.routes.observe(&c.callState, endpoint, err)
}

// next picks an endpoint and returns its connection. The error is the call's.
func (c *grpcCall) next(ctx context.Context) (balancer.Lease, *grpc.ClientConn, error) {
	for {
		lease, waited, err := c.pick(ctx)
		if err != nil {
			return nil, nil, c.notPicked(ctx, err)
		}
		if session, ok := lease.Session().(GRPCSession); ok {
			if conn, ok := session.ClientConn(); ok {
				if !Hand(lease) {
					lease.Done(balancer.NotSent)
					continue
				}
				ready, err := c.prepare(ctx, lease, conn)
				if err != nil {
					return nil, nil, err
				}
				if ready == nil {
					continue
				}
				if waited || c.routes.replays != nil { // else it is as good as nothing
					c.handed = c.routes.now() - c.began
				}
				c.attempt()
				return ready, conn, nil
			}
		}
		c.avoid(lease.Endpoint(), fmt.Errorf("session of %s (%T) does not speak gRPC", lease.Endpoint(), lease.Session()))
		lease.Done(balancer.NotSent)
	}
}

// pick waits for an endpoint as long as the stub is open, if none is ready. It reports whether
// that may have taken a while since the call began.
func (c *grpcCall) pick(ctx context.Context) (lease balancer.Lease, waited bool, err error) {
	if c.retry == nil { // the usual case, which need not watch for the stub's end
		if lease, err = c.routes.Router.Pick(c.routes.atOnce, protocolGRPC, nil); err == nil {
			return lease, false, nil
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.routes.ctx, func() { cancel(errStubClosed) })()
	lease, err = c.callState.next(ctx, c.routes.Router, protocolGRPC)
	return lease, true, err
}

// notPicked is the error of a call that no endpoint took, or took again.
func (c *grpcCall) notPicked(ctx context.Context, cause error) error {
	switch {
	case c.routes.ctx.Err() != nil:
		return c.closed()
	case errors.Is(ctx.Err(), context.Canceled):
		return c.fault(Fault{Reason: ReasonCaller, Err: ctx.Err()})
	}
	return c.fault(Fault{Reason: ReasonUnavailable, Err: cause})
}

// cutShort is the error of a call, or of a stream that could not be opened, whose
// context ended first.
func (c *grpcCall) cutShort(ctx context.Context, lease balancer.Lease, sent bool) error {
	<-ctx.Done() // at once: the plugin may have been quicker to notice the deadline
	outcome := balancer.Abandoned
	if deadline, ok := ctx.Deadline(); ok && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		outcome = c.options.unanswered(deadline.Sub(c.routes.start.Add(c.began + c.handed)))
	}
	if !sent && outcome == balancer.Abandoned {
		outcome = balancer.NotSent
	}
	lease.Done(outcome)
	return c.fault(endedBy(ctx, lease.Endpoint(), sent))
}

// endedBy tells a method's timeout from what the caller did.
func endedBy(ctx context.Context, endpoint string, sent bool) Fault {
	if errors.Is(context.Cause(ctx), ErrTimeout) {
		return Fault{Reason: ReasonTimeout, Endpoint: endpoint, MayHaveRun: sent}
	}
	return Fault{Reason: ReasonCaller, Endpoint: endpoint, MayHaveRun: sent, Err: ctx.Err()}
}

// answered remembers whose answer came last.
func (r *grpcRoutes) answered(lease balancer.Lease) {
	session := lease.Session()
	if last := r.latest.Load(); last == nil || *last != session {
		kept := session // in the usual case nothing is allocated
		r.latest.Store(&kept)
	}
}

// lastBroker is the broker of the session that answered last.
func (r *grpcRoutes) lastBroker() *plugin.GRPCBroker {
	last := r.latest.Load()
	if last == nil {
		return nil
	}
	if s, ok := (*last).(GRPCBrokerSession); ok {
		return s.GRPCBroker()
	}
	return nil
}
