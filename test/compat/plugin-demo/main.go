// SPDX-License-Identifier: MPL-2.0

// Command plugin-demo is the plugin at the end of the demo: it serves both kinds.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/compat/old"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: old.Handshake(1),
		Plugins: map[string]plugin.Plugin{
			"greeter":    &old.GreeterPlugin{Impl: old.Speaker{}},
			"pingponger": &old.PingPongerPlugin{Impl: old.Speaker{}},
		},
	})
}
