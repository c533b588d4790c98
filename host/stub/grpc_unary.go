// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
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
	c, err := r.newCall(cc, fullMethod)
	if err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.options.Timeout, ErrTimeout)
		defer cancel()
	}
	endpoint, err := c.invoke(ctx, fullMethod, req, reply, opts)
	if f, ok := Cause(err); ok {
		endpoint = f.Endpoint
	}
	c.observe(endpoint, err)
	return err
}

// sentMark is a call option that tells whether a call came as far as a
// transport: gRPC names the peer of a call only if its last attempt had a stream
// there. An attempt is replaced by another one only if the plugin surely did not
// look at it (a stream that was refused, or is behind a GOAWAY), or by a retry
// policy, which hosts may give a connection.
type sentMark struct{ peer peer.Peer }

func (m *sentMark) option() grpc.CallOption { return grpc.Peer(&m.peer) }

func (m *sentMark) reset() { m.peer = peer.Peer{} }

// sent errs on the side of true.
func (m *sentMark) sent(conn *grpc.ClientConn, fullMethod string) bool {
	return m.peer.Addr != nil || conn.GetMethodConfig(fullMethod).RetryPolicy != nil
}

// invoke makes the call, on as many endpoints as it takes.
func (c *grpcCall) invoke(ctx context.Context, fullMethod string, req, reply any, opts []grpc.CallOption) (endpoint string, err error) {
	var mark sentMark
	// A session's connection is never made again, so nobody must wait for
	// that. Waiting is done in next.
	opts = append(opts[:len(opts):len(opts)], mark.option(), grpc.WaitForReady(false))
	for {
		lease, conn, err := c.next(ctx)
		if err != nil {
			return "", err
		}
		endpoint := lease.Endpoint()
		mark.reset()
		err = conn.Invoke(ctx, fullMethod, req, reply, opts...)
		switch {
		case err == nil:
			c.routes.answered(lease)
			lease.Done(balancer.Answered)
			return endpoint, nil
		case errors.Is(err, plugin.ErrConnectionLost):
			if err := c.lost(lease, mark.sent(conn, fullMethod), err); err != nil {
				return endpoint, err
			}
		case isContextError(err) && hasExpired(ctx):
			return endpoint, c.cutShort(ctx, lease, mark.sent(conn, fullMethod))
		default:
			c.routes.answered(lease)
			lease.Done(balancer.Answered)
			return endpoint, err
		}
	}
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
