// SPDX-License-Identifier: MPL-2.0

package grpcconn

import "google.golang.org/grpc"

// Windows of connections to a process on the same machine, in bytes. gRPC measures the
// way of any other connection to find its windows, which costs a ping there and back for
// each small message. On one machine there is nothing to measure: these are as large as
// keeps a socket busy, and no larger than what gRPC would come to.
const (
	localWindow     = 1 << 20 // of a stream
	localConnWindow = 16 << 20
)

// LocalOptions are those of a host's connection to a plugin on the same machine.
func LocalOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithInitialWindowSize(localWindow), grpc.WithInitialConnWindowSize(localConnWindow)}
}

// LocalServerOptions are those of the plugin.
func LocalServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.InitialWindowSize(localWindow), grpc.InitialConnWindowSize(localConnWindow)}
}
