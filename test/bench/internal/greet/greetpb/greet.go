// SPDX-License-Identifier: MPL-2.0

package greetpb

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/reattach/reattach/test/bench/internal/greet"
)

// MaxMessage is the bound on one message, in bytes: that of the fork.
const MaxMessage = 64 << 20

// Server serves a Worker by gRPC.
type Server struct {
	UnimplementedGreeterServer
	Impl greet.Worker
}

// Greet implements GreeterServer.
func (s *Server) Greet(_ context.Context, r *GreetRequest) (*GreetResponse, error) {
	greeting, err := s.Impl.Greet(r.GetName())
	if err != nil {
		return nil, err
	}
	return &GreetResponse{Greeting: greeting}, nil
}

// deadline is how long a call may take. Calls without one are not what anybody
// should make, and the host library gives one to those.
const deadline = 30 * time.Second

// Caller is a greet.Streamer that calls by gRPC.
type Caller struct {
	ctx    context.Context
	client GreeterClient
}

// NewCaller makes one whose calls end with ctx.
func NewCaller(ctx context.Context, c grpc.ClientConnInterface) *Caller {
	return &Caller{ctx, NewGreeterClient(c)}
}

// Greet implements greet.Greeter.
func (c *Caller) Greet(name string) (string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	answer, err := c.client.Greet(ctx, &GreetRequest{Name: name})
	return answer.GetGreeting(), err
}
