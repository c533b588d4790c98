// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// RPCSession is a session that speaks net/rpc.
type RPCSession interface {
	// OpenRPC asks the plugin to serve a kind on a channel of its own, under the
	// service name "Plugin". The channel ends with the session at the latest. The
	// caller closes it.
	OpenRPC(kind string) (plugin.RPCChannel, error)
}

// GRPCSession is a session that speaks gRPC.
type GRPCSession interface {
	// ClientConn is the session's connection; the session closes it. It reports
	// false if the session does not speak gRPC.
	ClientConn() (*grpc.ClientConn, bool)
}

// GRPCUnarySession is what a GRPCSession may implement as well to make unary calls at less than
// its connection takes. Of a session that is no GRPCSession it is not used.
type GRPCUnarySession interface {
	// InvokeUnary makes a call as conn would, which is what ClientConn gave, as that of
	// [plugin.GRPCClient] does. It reports whether the plugin may have run the call, which
	// counts with an error. If that is [plugin.ErrNotInvoked], nothing was done, and conn makes
	// the call. An implementation makes no call of a connection that it does not know: a type
	// that embeds it may have a ClientConn of its own.
	InvokeUnary(ctx context.Context, conn *grpc.ClientConn, method string, req, reply any, opts []grpc.CallOption) (sent bool, err error)
}

// MuxBrokerSession is an RPCSession on which the plugin can be dialled: after
// an answer that names a broker id.
type MuxBrokerSession interface {
	// MuxBroker is the session's own broker.
	MuxBroker() *plugin.MuxBroker
}

// GRPCBrokerSession is the same for a GRPCSession.
type GRPCBrokerSession interface {
	// GRPCBroker is the session's own broker.
	GRPCBroker() *plugin.GRPCBroker
}
