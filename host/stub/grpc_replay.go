// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/host/balancer"
)

// grpcRequest is a request as it travelled.
type grpcRequest struct {
	*sentMessage
	metadata metadata.MD
}

// prepare sends what the endpoint must have had before this call, and gives the lease
// that the call uses. When that is nil the lease was given back, and another endpoint is to
// be tried. The error is the call's.
func (c *grpcCall) prepare(ctx context.Context, lease balancer.Lease, conn *grpc.ClientConn) (balancer.Lease, error) {
	if !c.routes.replays.isDue(lease, c.calledMethod) {
		return lease, nil
	}
	waiting, cancel := context.WithTimeout(ctx, channelWait) // as over net/rpc: another endpoint may have time
	defer cancel()
	stub := c.routes.ctx // no more of c, which would be allocated for each call
	ready, err := c.routes.replays.prepare(waiting, lease, c.calledMethod, func(q recordedRequest) error {
		r := q.request.(grpcRequest)
		ctx := toldDeadline{metadata.NewOutgoingContext(stub, r.metadata), time.Now().Add(q.timeout)}
		mark := sentMark{conn: conn, method: q.method}
		err := conn.Invoke(ctx, q.method, r, r, mark.with([]grpc.CallOption{grpc.ForceCodecV2(r)})...)
		switch {
		case err != nil && !mark.sent():
			return notRunError{err}
		case stub.Err() != nil && (isContextError(err) || errors.Is(err, plugin.ErrConnectionLost)):
			return stoppedError{err}
		}
		return err
	})
	replay, answered := errors.AsType[*ReplayError](err)
	switch {
	case err == nil:
		return ready, nil
	case !answered:
		lease.Done(balancer.NotSent)
		c.avoid(lease.Endpoint(), err)
		if ctx.Err() != nil {
			return nil, c.notPicked(ctx, c.explain(context.Cause(ctx)))
		}
	default:
		lease.Done(replay.outcome)
		c.avoid(lease.Endpoint(), err)
		if !errors.Is(err, plugin.ErrConnectionLost) {
			c.retry.refused = err
		}
	}
	return nil, nil
}
