// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/commons/commonspb"
)

// greeterGRPC is the host's side of a Greeter over gRPC. The interface has no
// context of its own, so calls run under the session's.
type greeterGRPC struct {
	ctx    context.Context
	client commonspb.GreeterClient
}

func (g *greeterGRPC) Greet(name string) (string, error) {
	answer, err := g.client.Greet(g.ctx, &commonspb.GreetRequest{Name: &name})
	return answer.GetGreeting(), fromStatus(err)
}

func (g *greeterGRPC) Hi(times int) (string, error) {
	answer, err := g.client.Hi(g.ctx, &commonspb.HiRequest{Times: int64(times)})
	return answer.GetGreeting(), fromStatus(err)
}

// WithValues gives a Greeter whose calls carry the values of ctx.
func (g *greeterGRPC) WithValues(ctx context.Context) any {
	return &greeterGRPC{valued{g.ctx, ctx}, g.client}
}

// greeterGRPCServer is the plugin's side.
type greeterGRPCServer struct {
	commonspb.UnimplementedGreeterServer
	impl Greeter
}

func (s *greeterGRPCServer) Greet(_ context.Context, r *commonspb.GreetRequest) (*commonspb.GreetResponse, error) {
	if r.Name == nil {
		return nil, status.Errorf(codes.InvalidArgument, "Greet: argument %q is missing", "name")
	}
	greeting, err := s.impl.Greet(r.GetName())
	if err != nil {
		return nil, toStatus(err)
	}
	return &commonspb.GreetResponse{Greeting: greeting}, nil
}

func (s *greeterGRPCServer) Hi(_ context.Context, r *commonspb.HiRequest) (*commonspb.HiResponse, error) {
	times := int(r.GetTimes())
	if int64(times) != r.GetTimes() {
		return nil, status.Errorf(codes.InvalidArgument, "Hi: argument %q: %d is too large here", "times", r.GetTimes())
	}
	greeting, err := s.impl.Hi(times)
	if err != nil {
		return nil, toStatus(err)
	}
	return &commonspb.HiResponse{Greeting: greeting}, nil
}
