// SPDX-License-Identifier: MPL-2.0

// Command driver measures plugins of the fork in every placement, and the host library.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/shims"
)

const (
	netRPC = plugin.ProtocolNetRPC
	gRPC   = plugin.ProtocolGRPC
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{
			{Name: "child-netrpc", Open: child(netRPC, false)},
			{Name: "child-grpc", Open: child(gRPC, false)},
			{Name: "child-gmux", Open: child(gRPC, true)},
			{Name: "network-netrpc", Open: network(netRPC)},
			{Name: "network-grpc", Open: network(gRPC)},
			{Name: "deadline-netrpc", Open: deadline},
			{Name: "unix-netrpc", Open: unix(netRPC)},
			{Name: "unix-grpc", Open: unix(gRPC)},
			{Name: "expose-netrpc", Open: exposed(netRPC, 0)},
			{Name: "expose-grpc", Open: exposed(gRPC, 0)},
			{Name: "far-netrpc", Open: far(netRPC)},
			{Name: "far-grpc", Open: far(gRPC)},
			{Name: "far-expose-netrpc", Open: exposed(netRPC, shims.Away)},
			{Name: "far-expose-grpc", Open: exposed(gRPC, shims.Away)},
			{Name: "mtls-netrpc", Open: mutual(netRPC)},
			{Name: "mtls-grpc", Open: mutual(gRPC)},
			{Name: "routed-1-netrpc", Open: routed{protocol: netRPC, endpoints: 1}.open, Remote: remote(netRPC)},
			{Name: "routed-3-netrpc", Open: routed{protocol: netRPC, endpoints: 3}.open},
			{Name: "routed-100-netrpc", Open: routed{protocol: netRPC, endpoints: 100}.open},
			{Name: "routed-1-grpc", Open: routed{protocol: gRPC, endpoints: 1}.open, Remote: remote(gRPC)},
			{Name: "routed-3-grpc", Open: routed{protocol: gRPC, endpoints: 3}.open},
			{Name: "routed-100-grpc", Open: routed{protocol: gRPC, endpoints: 100}.open},
			{Name: "busy-1", Open: routed{protocol: netRPC, endpoints: 1, busy: true}.open},
			{Name: "busy-3", Open: routed{protocol: netRPC, endpoints: 3, busy: true}.open},
			{Name: "fleet-netrpc", Memory: endpoints(netRPC), Fleet: crowd(netRPC), Kill: kill(netRPC), Idle: idle(netRPC)},
			{Name: "fleet-grpc", Memory: endpoints(gRPC), Fleet: crowd(gRPC), Kill: kill(gRPC), Idle: idle(gRPC)},
		},
		Serve: serve,
	}.Main()
}
