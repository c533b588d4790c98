// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
)

// target is what New connects to. It is not looked at: the dialer knows where to go.
const target = passthrough + ":///unused"

const passthrough = "passthrough" // gRPC's own, which resolves a name to itself

// tellClosed has told be called when the ClientConn is closed that has begun to connect.
// gRPC has no other word of it that comes before it has dialled as well: its resolver goes
// with the ClientConn.
func tellClosed(told func()) grpc.DialOption {
	return grpc.WithResolvers(toldBuilder{resolver.Get(passthrough), told})
}

type toldBuilder struct {
	resolver.Builder
	told func()
}

// Build implements resolver.Builder.
func (b toldBuilder) Build(to resolver.Target, cc resolver.ClientConn, opts resolver.BuildOptions) (resolver.Resolver, error) {
	r, err := b.Builder.Build(to, cc, opts)
	if err != nil {
		return nil, err
	}
	return toldResolver{r, b.told}, nil
}

type toldResolver struct {
	resolver.Resolver
	told func()
}

// Close implements resolver.Resolver.
func (r toldResolver) Close() {
	r.Resolver.Close()
	r.told()
}
