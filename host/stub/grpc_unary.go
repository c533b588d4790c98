// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/balancer"
)

// unary is a grpc.UnaryClientInterceptor.
func (r *grpcRoutes) unary(ctx context.Context, fullMethod string, req, reply any, cc *grpc.ClientConn, _ grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var c grpcCall // on the stack
	if err := c.begin(r, cc, fullMethod); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.options.Timeout, ErrTimeout)
		defer cancel()
	}
	c.trace = r.Tracing.begin(ctx, protocolGRPC, fullMethod)
	endpoint, err := c.invoke(ctx, fullMethod, req, reply, opts)
	c.observe(endpoint, err)
	return err
}

// invoke makes the call, on as many endpoints as it takes.
func (c *grpcCall) invoke(ctx context.Context, fullMethod string, req, reply any, opts []grpc.CallOption) (endpoint string, err error) {
	for {
		lease, conn, err := c.next(ctx)
		if err != nil {
			return "", err
		}
		if again, err := c.invokeOn(ctx, lease, conn, fullMethod, req, reply, opts); !again {
			return lease.Endpoint(), err
		}
	}
}

// invokeOn makes the call on one endpoint, and gives the lease back, also where a codec of
// the caller's panics.
func (c *grpcCall) invokeOn(ctx context.Context, lease balancer.Lease, conn *grpc.ClientConn, fullMethod string, req, reply any, opts []grpc.CallOption) (again bool, _ error) {
	panicked := true
	defer func() {
		if panicked {
			lease.Done(balancer.Abandoned)
		}
	}()
	var sent bool
	var err error
	if turn, ok := lease.(*turnLease); ok {
		sent, err = c.invokeKept(ctx, turn, conn, fullMethod, req, reply, opts)
	} else {
		sent, err = invokeUnary(c.trace.attempt(ctx, lease.Endpoint()), lease, conn, fullMethod, req, reply, opts)
	}
	panicked = false
	return c.attempted(ctx, lease, sent, err)
}

// invokeUnary makes the call in the cheapest way. sent counts with an error, and tells whether
// the plugin may have run the call.
func invokeUnary(ctx context.Context, lease balancer.Lease, conn *grpc.ClientConn, fullMethod string, req, reply any, opts []grpc.CallOption) (sent bool, err error) {
	if s, ok := lease.Session().(GRPCUnarySession); ok {
		if sent, err = s.InvokeUnary(ctx, conn, fullMethod, req, reply, opts); err != plugin.ErrNotInvoked {
			return sent, err
		}
	}
	mark := sentMark{conn: conn, method: fullMethod}
	err = conn.Invoke(ctx, fullMethod, req, reply, mark.with(opts)...)
	return err != nil && mark.sent(), err
}

// sentMark tells whether an attempt came as far as a transport: gRPC names the peer of
// a call only if its last attempt had a stream there. An attempt is replaced by another
// one only if the plugin surely did not look at it (a stream that was refused, or is
// behind a GOAWAY), or by a retry policy, which hosts may give a connection.
type sentMark struct {
	peer   peer.Peer
	conn   *grpc.ClientConn
	method string
	own    [2]grpc.CallOption // what with adds
}

// with adds what an attempt needs to the options of a call. A session's connection is
// never made again, so the attempt does not wait for that; next does.
func (m *sentMark) with(opts []grpc.CallOption, more ...grpc.CallOption) []grpc.CallOption {
	m.own = [...]grpc.CallOption{grpc.Peer(&m.peer), grpc.WaitForReady(false)}
	if len(opts)+len(more) == 0 {
		return m.own[:] // without another allocation
	}
	return slices.Concat(opts, m.own[:], more)
}

// sent errs on the side of true.
func (m *sentMark) sent() bool {
	return m.peer.Addr != nil || m.conn.GetMethodConfig(m.method).RetryPolicy != nil
}

// attempted gives the lease of an attempt back that ended with err, and says whether
// the call is to be sent again, or with which error it ends. sent counts with an error, and errs
// on the side of true.
func (c *grpcCall) attempted(ctx context.Context, lease balancer.Lease, sent bool, err error) (again bool, _ error) {
	switch {
	case err == nil:
	case errors.Is(err, plugin.ErrConnectionLost): // Without that, Unavailable may be the caller's credentials'.
		lease.Done(lostOutcome(c.routes.ctx, sent))
		if c.lost(lease.Endpoint(), sent, err) {
			return true, nil
		}
		return false, c.fault(Fault{Reason: ReasonLost, Endpoint: lease.Endpoint(), Err: err})
	case isContextError(err) && hasExpired(ctx):
		return false, c.cutShort(ctx, lease, sent)
	case !sent: // gRPC itself has not taken it, as when it cannot be encoded or has no credentials
		lease.Done(balancer.NotSent)
		c.attempts--
		c.notSent()
		return false, c.fault(Fault{Reason: ReasonArguments, Err: withStatus(err)})
	}
	c.routes.answered(lease)
	lease.Done(balancer.Answered)
	return false, err
}

// lostOutcome is the outcome of an attempt whose session ended. Once the stub, which ctx ends
// with, was closed, that says nothing of the endpoint: this side ends its sessions as well.
func lostOutcome(ctx context.Context, sent bool) balancer.Outcome {
	switch {
	case !sent:
		return balancer.NotSent
	case ctx.Err() != nil:
		return balancer.Abandoned
	}
	return balancer.Lost
}

// unknownError is an error with the status that gRPC's callers see of one that has none, such as
// an interceptor's.
type unknownError struct{ error }

// GRPCStatus gives that status.
func (e unknownError) GRPCStatus() *status.Status { return status.New(codes.Unknown, e.Error()) }

// Unwrap gives the error.
func (e unknownError) Unwrap() error { return e.error }

func withStatus(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	return unknownError{err}
}

func isContextError(err error) bool {
	code := status.Code(err)
	return code == codes.DeadlineExceeded || code == codes.Canceled
}

// hasExpired reports whether ctx has ended, or is about to: the plugin knows
// the deadline as well and may be quicker to say so.
func hasExpired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) <= 0
}
