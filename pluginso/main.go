// SPDX-License-Identifier: MPL-2.0

// Command pluginso is a greeter that is a shared object: built with
// -buildmode=plugin, a host loads it into its own process. The same source is
// also an ordinary plugin: built without the flag, it is an executable that a
// host starts, or that serves on the network.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// greeter implements commons.Greeter.
type greeter struct{ logger hclog.Logger }

func (g greeter) Greet(name string) (string, error) {
	g.logger.Debug("message from greeter.Greet")
	return "Hello " + name, nil
}

func (g greeter) Hi(times int) (string, error) {
	g.logger.Debug("message from greeter.Hi")
	return fmt.Sprintf("Hi there! =%d=", times), nil
}

// serves is what this plugin serves.
func serves(logger hclog.Logger) *plugin.ServeConfig {
	return commons.ServeConfig(logger, plugin.PluginSet{
		commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{logger}},
	})
}

// ReattachPlugins is what a host looks for that loads this plugin. It is called
// once.
func ReattachPlugins() *plugin.ServeConfig {
	return serves(hclog.New(&hclog.LoggerOptions{Name: "greeter-so", Level: hclog.Info, Output: os.Stderr}))
}

func main() {
	plugin.Serve(serves(hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true})))
}
