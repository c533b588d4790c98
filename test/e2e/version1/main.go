// SPDX-License-Identifier: MPL-2.0

// Command version1 is pluginzh as it was before there was gRPC: it serves version 1 of
// the contract and no other. A rollout from it to pluginzh has both versions in it.
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
	return "您好 " + name, nil
}

func (g greeter) Hi(times int) (string, error) {
	g.logger.Debug("message from greeter.Hi", "times", times)
	return fmt.Sprintf("大家好！=%d=", times), nil
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
	config := commons.ServeConfig(logger, plugin.PluginSet{
		commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{logger}},
	})
	delete(config.VersionedPlugins, commons.VersionGRPC)
	if cookie := os.Getenv("OTHER_COOKIE"); cookie != "" { // a plugin of another family
		config.MagicCookieValue = cookie
	}
	plugin.Serve(config)
}
