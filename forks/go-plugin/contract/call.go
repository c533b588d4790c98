// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"context"
	"fmt"
	"net/rpc"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin"
)

// Caller makes the calls of a stub, over one of the protocols.
type Caller interface {
	// Call sends in to a method and sets out from its answer. It ends when ctx does.
	Call(ctx context.Context, method string, in, out proto.Message) error
	// open begins a call with a stream.
	open(ctx context.Context, method string, request proto.Message, in, out bool) (Stream, error)
	peer() *Peer
}

// RPC returns a Caller over net/rpc.
func RPC(broker *plugin.MuxBroker, client *rpc.Client) Caller { return &rpcCaller{broker, client} }

type rpcCaller struct {
	broker *plugin.MuxBroker
	client *rpc.Client
}

func (c *rpcCaller) Call(ctx context.Context, method string, in, out proto.Message) error {
	if !encodesItself(in) || !encodesItself(out) {
		return c.callKnown(ctx, method, in, out)
	}
	return plugin.CallContext(ctx, c.client, "Plugin."+method, in, out)
}

func (c *rpcCaller) peer() *Peer { return RPCPeer(c.broker) }

// GRPC returns a Caller of the service of that full name, over gRPC.
func GRPC(service string, broker *plugin.GRPCBroker, conn *grpc.ClientConn) Caller {
	return &grpcCaller{service, broker, conn}
}

type grpcCaller struct {
	service string
	broker  *plugin.GRPCBroker
	conn    *grpc.ClientConn
}

func (c *grpcCaller) peer() *Peer { return GRPCPeer(c.broker) }

func (c *grpcCaller) Call(ctx context.Context, method string, in, out proto.Message) error {
	return c.conn.Invoke(ctx, "/"+c.service+"/"+method, in, out)
}

// Do makes a call of a stub. The Conv has converted its arguments; what did not fit keeps
// the call from being sent. answer checks what came.
func (e *Errors) Do(ctx context.Context, caller Caller, method string, c *Conv, in, out proto.Message) error {
	if err := c.Err(); err != nil {
		return fmt.Errorf("%s: arguments: %w", method, err)
	}
	if err := caller.Call(ctx, method, in, out); err != nil {
		return e.Decode(err)
	}
	if missing := lacks(out, "result"); missing != nil {
		return fmt.Errorf("%s: %w", method, missing)
	}
	return nil
}

// Check says of the results of a method whether they fitted.
func Check(method string, c *Conv) error {
	if err := c.Err(); err != nil {
		return fmt.Errorf("%s: results: %w", method, err)
	}
	return nil
}

// Pass makes a call whose messages travel as they are.
func (e *Errors) Pass(ctx context.Context, caller Caller, method string, in, out proto.Message) error {
	return e.Decode(caller.Call(ctx, method, in, out))
}

// Give sets the answer of such a call to what the implementation gave.
func (e *Errors) Give(answer, given proto.Message, err error) error {
	if err != nil {
		return e.EncodeStatus(err)
	}
	proto.Merge(answer, given) // nothing of a nil message
	return nil
}
