// SPDX-License-Identifier: MPL-2.0

// Command plugin-first is the demo's first plugin: a greeter without Hi.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/compat/old"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: old.Handshake(1),
		Plugins:         map[string]plugin.Plugin{"greeter": &old.FirstPlugin{Impl: old.Speaker{}}},
	})
}
