// SPDX-License-Identifier: MPL-2.0

// Command upstream is a greeter that is built on the original go-plugin, and has never
// heard of networks: what basic expose makes a network plugin of.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/commons/commonspb"
)

// greeter serves the contract. It writes down which calls it has had.
type greeter struct {
	commonspb.UnimplementedGreeterServer
	plugin.NetRPCUnsupportedPlugin
}

// Greet implements commonspb.GreeterServer.
func (greeter) Greet(_ context.Context, r *commonspb.GreetRequest) (*commonspb.GreetResponse, error) {
	if r.Name == nil {
		return nil, status.Error(codes.InvalidArgument, "name is missing")
	}
	fmt.Fprintln(os.Stderr, "message from greeter.Greet")
	return &commonspb.GreetResponse{Greeting: "Unchanged hello " + r.GetName()}, nil
}

// Hi implements commonspb.GreeterServer.
func (greeter) Hi(_ context.Context, r *commonspb.HiRequest) (*commonspb.HiResponse, error) {
	fmt.Fprintf(os.Stderr, "message from greeter.Hi: times=%d\n", r.GetTimes())
	return &commonspb.HiResponse{Greeting: fmt.Sprintf("Unchanged hi (%d)", r.GetTimes())}, nil
}

// GRPCServer implements plugin.GRPCPlugin.
func (g greeter) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	commonspb.RegisterGreeterServer(s, g)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin. It is not used: this is no host.
func (greeter) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: "BASIC_PLUGIN", MagicCookieValue: "hello"},
		VersionedPlugins: map[int]plugin.PluginSet{2: {"greeter": greeter{}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}
