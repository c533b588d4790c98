// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// dialGRPC returns a connection that dial makes, and makes again when it was
// lost. It starts connecting right away and does not wait for it. bound is what
// boundCalls gives. The later
// options win over this library's own.
func dialGRPC(dial func(context.Context) (net.Conn, error), creds credentials.TransportCredentials, drain drainSigns, bound grpc.DialOption, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	losses := &lossCounter{drain: drain}
	own := []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: conn, reader: idleread.NewReader(conn), losses: losses}, nil
		}),
		grpc.WithTransportCredentials(creds),
		bound,
		// A remote plugin's connection cannot be made again, so that it must
		// not be given up for want of calls.
		grpc.WithIdleTimeout(0),
		grpc.WithChainUnaryInterceptor(losses.call),
		grpc.WithChainStreamInterceptor(losses.stream),
	}
	// The target is not looked at: the dialer knows where to go.
	conn, err := grpc.NewClient("passthrough:///unused", append(own, opts...)...)
	if err != nil {
		return nil, err
	}
	conn.Connect()
	return conn, nil
}
