// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"context"

	"github.com/reattach/reattach/commons/commonspb"
)

// pingPongerRPC is the host's side of a PingPonger over net/rpc.
type pingPongerRPC struct{ caller rpcCaller }

func (p *pingPongerRPC) Ping() (string, error) {
	return p.caller.call("Plugin.Ping", args{})
}

// WithValues gives a PingPonger whose calls carry the values of ctx.
func (p *pingPongerRPC) WithValues(ctx context.Context) any {
	return &pingPongerRPC{p.caller.with(ctx)}
}

// pingPongerRPCServer is the plugin's side.
type pingPongerRPCServer struct{ impl PingPonger }

// Ping serves Plugin.Ping {}. Arguments that a newer host may send are ignored.
func (s *pingPongerRPCServer) Ping(_ map[string]interface{}, answer *string) (err error) {
	*answer, err = s.impl.Ping()
	return err
}

// pingPongerGRPC is the host's side over gRPC, under the session's context.
type pingPongerGRPC struct {
	ctx    context.Context
	client commonspb.PingPongerClient
}

func (p *pingPongerGRPC) Ping() (string, error) {
	answer, err := p.client.Ping(p.ctx, &commonspb.PingRequest{})
	return answer.GetAnswer(), fromStatus(err)
}

// WithValues gives a PingPonger whose calls carry the values of ctx.
func (p *pingPongerGRPC) WithValues(ctx context.Context) any {
	return &pingPongerGRPC{valued{p.ctx, ctx}, p.client}
}

// pingPongerGRPCServer is the plugin's side over gRPC.
type pingPongerGRPCServer struct {
	commonspb.UnimplementedPingPongerServer
	impl PingPonger
}

func (s *pingPongerGRPCServer) Ping(context.Context, *commonspb.PingRequest) (*commonspb.PingResponse, error) {
	answer, err := s.impl.Ping()
	if err != nil {
		return nil, toStatus(err)
	}
	return &commonspb.PingResponse{Answer: answer}, nil
}
