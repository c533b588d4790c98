// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"

	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/balancer"
)

// stream is a grpc.StreamClientInterceptor. A stream stays with the endpoint
// on which it was opened: it is tried elsewhere only while it could not be
// opened, which is before its first message.
func (r *grpcRoutes) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, fullMethod string, _ grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	c := new(grpcCall)
	if err := c.begin(r, cc, fullMethod); err != nil {
		return nil, err
	}
	if c.options.Replay { // There is no one request of a stream, nor one answer, to replay.
		once := *c.calledMethod
		once.options.Replay = false
		c.calledMethod = &once
	}
	c.trace = r.Tracing.begin(ctx, protocolGRPC, fullMethod)
	s, endpoint, err := c.openStream(ctx, desc, fullMethod, opts)
	if err != nil {
		c.observe(endpoint, err)
		return nil, err
	}
	return s, nil
}

func (c *grpcCall) openStream(ctx context.Context, desc *grpc.StreamDesc, fullMethod string, opts []grpc.CallOption) (s grpc.ClientStream, endpoint string, err error) {
	// Only the wait for an endpoint is bounded.
	waitCtx, cancel := context.WithTimeoutCause(ctx, c.options.Timeout, ErrTimeout)
	defer cancel()
	for {
		lease, conn, err := c.next(waitCtx)
		if err != nil {
			return nil, "", err
		}
		if again, s, err := c.openOn(ctx, lease, conn, desc, fullMethod, opts); !again {
			return s, lease.Endpoint(), err
		}
	}
}

// openOn opens the stream on one endpoint. If that fails it gives the lease back, also where
// credentials of the caller's panic.
func (c *grpcCall) openOn(ctx context.Context, lease balancer.Lease, conn *grpc.ClientConn, desc *grpc.StreamDesc, fullMethod string, opts []grpc.CallOption) (again bool, _ grpc.ClientStream, err error) {
	panicked := true
	defer func() {
		if panicked {
			lease.Done(balancer.Abandoned)
		}
	}()
	routed := &routedStream{call: c, ctx: ctx, lease: lease, mark: sentMark{conn: conn, method: fullMethod}}
	routed.ClientStream, err = conn.NewStream(c.trace.attempt(ctx, lease.Endpoint()), desc, fullMethod, routed.mark.with(opts, grpc.OnFinish(routed.finish))...)
	panicked = false
	if err != nil {
		again, err = c.attempted(ctx, lease, routed.mark.sent(), err)
		return again, nil, err
	}
	routed.begin()
	return false, routed, nil
}
