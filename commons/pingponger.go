// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"context"
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons/commonspb"
)

// PingPongerKind is the name that PingPonger is dispensed by.
const PingPongerKind = "pingponger"

// PingPonger answers a ping. It is safe for use by many goroutines, on both sides,
// as Greeter is.
type PingPonger interface {
	// Ping answers that the plugin is there.
	Ping() (string, error)
}

// PingPongerPlugin carries a PingPonger between processes, over either protocol.
type PingPongerPlugin struct {
	// Impl is what a plugin serves. A host leaves it nil.
	Impl PingPonger
}

var (
	_ plugin.Plugin     = (*PingPongerPlugin)(nil)
	_ plugin.GRPCPlugin = (*PingPongerPlugin)(nil)

	errNoPingPonger = errors.New("pingponger: this plugin has no implementation to serve")
)

// Server gives the receiver whose methods net/rpc calls.
func (p *PingPongerPlugin) Server(*plugin.MuxBroker) (interface{}, error) {
	if p.Impl == nil {
		return nil, errNoPingPonger
	}
	return &pingPongerRPCServer{impl: p.Impl}, nil
}

// Client gives a PingPonger that calls the plugin through c.
func (p *PingPongerPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &pingPongerRPC{rpcCaller{client: c}}, nil
}

// GRPCServer registers the PingPonger service on s.
func (p *PingPongerPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.Impl == nil {
		return errNoPingPonger
	}
	commonspb.RegisterPingPongerServer(s, &pingPongerGRPCServer{impl: p.Impl})
	return nil
}

// GRPCClient gives a PingPonger that calls the plugin through c. Its calls end when
// ctx does, which is when the session with the plugin ends.
func (p *PingPongerPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (interface{}, error) {
	return &pingPongerGRPC{ctx: ctx, client: commonspb.NewPingPongerClient(c)}, nil
}
