// SPDX-License-Identifier: MPL-2.0

// Command plugin serves a desk, as a child or on the network. SKEW_PROTOCOL is netrpc or
// grpc.
package main

import (
	"os"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/skew/desk"
)

// build is what it answers with. The linker sets it, for a child's environment is its host's.
var build = "unnamed"

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: desk.Handshake(),
		Plugins:         desk.Set(os.Getenv("SKEW_PROTOCOL"), desk.New(build)),
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}
