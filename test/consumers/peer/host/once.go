// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// once is a host of a plugin whose server can be made once. The mode says what the
// plugin does at the second time.
func once(mode string) system {
	return system{
		handshake: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ONCE", MagicCookieValue: mode},
		version:   1,
		protocol:  plugin.ProtocolGRPC,
		plugins:   plugin.PluginSet{"once": onceKind{}},
		autoMTLS:  true,
		converse:  count,
	}
}

// onceKind dispenses the connection with its broker.
type onceKind struct{ connPlugin }

type onceConn struct {
	*grpc.ClientConn
	broker *plugin.GRPCBroker
}

func (onceKind) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return onceConn{conn, broker}, nil
}

func (c onceConn) call(ctx context.Context, method, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Invoke(ctx, "/consumers.Once/"+method, wrapperspb.String(in), out)
	return out.GetValue(), err
}

// count makes calls that the plugin counts for each host, one that it refuses, and
// one that it answers by calling back.
func count(ctx context.Context, client plugin.ClientProtocol, out io.Writer, self string) error {
	conn, err := dispense[onceConn](client, "once")
	if err != nil {
		return err
	}
	say := func(what, answer string, err error) {
		fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprintf("%s: %s (%v)", what, answer, err), self, "MINE"))
	}
	for i := range 20 {
		answer, err := conn.call(ctx, "Count", fmt.Sprint(self, " word", i))
		say("count", answer, err)
	}
	answer, err := conn.call(ctx, "Count", self+" bad")
	say("refused", answer, err)
	answer, err = conn.callBack(ctx, self)
	if err != nil && strings.Contains(err.Error(), "share this plugin's only gRPC server") {
		// Only the fork says so, where it cannot tell whom the plugin means. That
		// another host is never called instead is what all this is about.
		answer, err = self, nil
	}
	say("called back, or refused because hosts share the server", answer, err)
	return nil
}

// callBack lets the plugin ask for this host's name.
func (c onceConn) callBack(ctx context.Context, self string) (string, error) {
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
		s := grpc.NewServer(opts...)
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "consumers.OnceHost", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
			MethodName: "Name",
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return wrapperspb.String(self), decode(new(wrapperspb.StringValue))
			},
		}}}, struct{}{})
		return s
	})
	return c.call(ctx, "CallBack", fmt.Sprint(id))
}
