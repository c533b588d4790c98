// SPDX-License-Identifier: MPL-2.0

// Command so is the plugin as a shared object. It is built with -buildmode=plugin, and
// just like the program that loads it.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
)

// ReattachPlugins is what a host looks for that loads this plugin.
func ReattachPlugins() *plugin.ServeConfig {
	return &plugin.ServeConfig{
		HandshakeConfig: glue.Handshake(),
		Plugins:         plugin.PluginSet{greet.Kind: &glue.RPC{Impl: new(greet.Plain)}},
	}
}

func main() {
	fmt.Fprintln(os.Stderr, errors.New("so: this is a shared object for a host to load"))
	os.Exit(1)
}
