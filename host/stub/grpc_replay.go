// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/host/balancer"
)

// grpcRequest is a request as it travelled.
type grpcRequest struct {
	message  []byte
	codec    string // its content's subtype
	metadata metadata.MD
}

// record keeps the request of a call that was accepted, if its method says so.
func (c *grpcCall) record(ctx context.Context, lease balancer.Lease, req any, opts []grpc.CallOption) error {
	if c.routes.replays == nil || !c.options.Replay {
		return nil
	}
	codec := codecOf(opts)
	encoded, err := codec.Marshal(req)
	if err != nil {
		return fmt.Errorf("keep the request of %s for other endpoints: %w", c.method, err)
	}
	defer encoded.Free()
	md, _ := metadata.FromOutgoingContext(ctx)
	c.routes.replays.accepted(lease, c.calledMethod, grpcRequest{encoded.Materialize(), codec.Name(), md.Copy()})
	return nil
}

// codecOf gives the codec of a call.
func codecOf(opts []grpc.CallOption) encoding.CodecV2 {
	for _, o := range opts {
		if forced, ok := o.(grpc.ForceCodecV2CallOption); ok {
			return forced.CodecV2
		}
	}
	return encoding.GetCodecV2(proto.Name)
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
	ready, err := c.routes.replays.prepare(waiting, lease, c.calledMethod, func(q recordedRequest) error {
		r := q.request.(grpcRequest)
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(c.routes.ctx, r.metadata), q.timeout)
		defer cancel()
		return conn.Invoke(ctx, q.method, r.message, nil,
			grpc.ForceCodecV2(sentCodec(r.codec)), grpc.WaitForReady(false))
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

// sentCodec sends messages that are encoded already, and drops answers. It is named after
// the codec that they were encoded with.
type sentCodec string

// Marshal implements encoding.CodecV2.
func (sentCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal implements encoding.CodecV2.
func (sentCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// Name implements encoding.CodecV2.
func (c sentCodec) Name() string { return string(c) }
