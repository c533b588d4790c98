// SPDX-License-Identifier: MPL-2.0

// Command plugin is a greeter that speaks English.
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
	g.logger.Debug("message from greeter.Hi", "times", times)
	return fmt.Sprintf("Hi there! =%d=", times), nil
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true})
	commons.Serve(logger, plugin.PluginSet{
		commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{logger}},
	})
}
