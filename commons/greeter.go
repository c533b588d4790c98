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

// GreeterKind is the name that Greeter is dispensed by.
const GreeterKind = "greeter"

// Greeter greets. Implementations in a plugin are called from many goroutines at
// once. A Greeter that a host dispensed may be used likewise; its errors are those
// that the implementation returned, or tell that the call did not arrive.
type Greeter interface {
	// Greet answers a greeting for one name.
	Greet(name string) (string, error)
	// Hi answers a greeting for everybody, marked with times. A peer older than
	// this argument leaves it zero.
	Hi(times int) (string, error)
}

// GreeterPlugin carries a Greeter between processes, over either protocol.
type GreeterPlugin struct {
	// Impl is what a plugin serves. A host leaves it nil.
	Impl Greeter
}

var (
	_ plugin.Plugin     = (*GreeterPlugin)(nil)
	_ plugin.GRPCPlugin = (*GreeterPlugin)(nil)

	errNoGreeter = errors.New("greeter: this plugin has no implementation to serve")
)

// Server gives the receiver whose methods net/rpc calls.
func (p *GreeterPlugin) Server(*plugin.MuxBroker) (interface{}, error) {
	if p.Impl == nil {
		return nil, errNoGreeter
	}
	return &greeterRPCServer{impl: p.Impl}, nil
}

// Client gives a Greeter that calls the plugin through c.
func (p *GreeterPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &greeterRPC{rpcCaller{client: c}}, nil
}

// GRPCServer registers the Greeter service on s.
func (p *GreeterPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if p.Impl == nil {
		return errNoGreeter
	}
	commonspb.RegisterGreeterServer(s, &greeterGRPCServer{impl: p.Impl})
	return nil
}

// GRPCClient gives a Greeter that calls the plugin through c. Its calls end when
// ctx does, which is when the session with the plugin ends.
func (p *GreeterPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (interface{}, error) {
	return &greeterGRPC{ctx: ctx, client: commonspb.NewGreeterClient(c)}, nil
}
