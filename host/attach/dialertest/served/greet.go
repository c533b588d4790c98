// SPDX-License-Identifier: MPL-2.0

package served

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/commons/commonspb"
)

// RPCSession and GRPCSession are what stubs ask of a session.
type (
	RPCSession interface {
		OpenRPC(kind string) (plugin.RPCChannel, error)
	}
	GRPCSession interface {
		ClientConn() (*grpc.ClientConn, bool)
	}
)

// callTimeout bounds one greeting over gRPC.
const callTimeout = 20 * time.Second

// Greeter opens the kind "greeter" of a session, over whatever that speaks. greet may be
// called from many goroutines; the caller ends it.
func Greeter(session any) (greet func(name string) (string, error), end func() error, err error) {
	if s, ok := session.(GRPCSession); ok {
		if cc, ok := s.ClientConn(); ok {
			client := commonspb.NewGreeterClient(cc)
			return func(name string) (string, error) {
				ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
				defer cancel()
				reply, err := client.Greet(ctx, &commonspb.GreetRequest{Name: &name})
				return reply.GetGreeting(), err
			}, func() error { return nil }, nil
		}
	}
	s, ok := session.(RPCSession)
	if !ok {
		return nil, nil, fmt.Errorf("a %T can neither open net/rpc channels nor give a gRPC connection", session)
	}
	channel, err := s.OpenRPC(commons.GreeterKind)
	if err != nil {
		return nil, nil, fmt.Errorf("open greeter: %w", err)
	}
	client := plugin.NewChannelClient(channel)
	return func(name string) (greeting string, err error) {
		err = client.Call("Plugin.Greet", map[string]any{"name": name}, &greeting)
		return greeting, err
	}, client.Close, nil
}
