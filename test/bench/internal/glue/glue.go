// SPDX-License-Identifier: MPL-2.0

// Package glue carries the contract over go-plugin. It is compiled against the original
// library and against the fork, so that both carry the same.
package glue

import (
	"context"
	"fmt"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/greet/greetpb"
)

// Handshake is what hosts and plugins agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BENCH_PLUGIN", MagicCookieValue: "bench"}
}

// Set is what a plugin serves over a protocol. A host leaves impl nil.
func Set(protocol plugin.Protocol, impl greet.Worker) (plugin.PluginSet, error) {
	switch protocol {
	case plugin.ProtocolNetRPC:
		return plugin.PluginSet{greet.Kind: &RPC{Impl: impl}}, nil
	case plugin.ProtocolGRPC:
		return plugin.PluginSet{greet.Kind: &GRPC{Impl: impl}}, nil
	}
	return nil, fmt.Errorf("protocol %q is unknown", protocol)
}

// RPC carries a Worker over net/rpc.
type RPC struct{ Impl greet.Worker }

// Server implements plugin.Plugin.
func (p *RPC) Server(*plugin.MuxBroker) (any, error) { return &greet.Receiver{Impl: p.Impl}, nil }

// Client implements plugin.Plugin.
func (*RPC) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &greet.Caller{Client: c}, nil
}

// GRPC carries a Streamer over gRPC.
type GRPC struct {
	plugin.NetRPCUnsupportedPlugin
	Impl greet.Worker
}

// GRPCServer implements plugin.GRPCPlugin.
func (p *GRPC) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	greetpb.RegisterGreeterServer(s, &greetpb.Server{Impl: p.Impl})
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (*GRPC) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return greetpb.NewCaller(ctx, c), nil
}
