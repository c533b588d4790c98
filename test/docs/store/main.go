// SPDX-License-Identifier: MPL-2.0

// Command store is the executable of somebody else that pages name: a plugin with a
// cookie and a version of its own, which knows nothing of networks.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

type greeter struct{}

func (greeter) Greet(name string) (string, error) { return "stored for " + name, nil }

func (greeter) Hi(int) (string, error) { return "stored", nil }

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 5, MagicCookieKey: "STORE_PLUGIN", MagicCookieValue: "hello"},
		VersionedPlugins: map[int]plugin.PluginSet{5: {commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{}}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}
