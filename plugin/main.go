// SPDX-License-Identifier: MPL-2.0

// Command plugin is a greeter that speaks English.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/tracing"
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
	provider, stop, err := tracing.Start(tracing.Options{Logger: logger})
	defer stop()
	if err != nil {
		logger.Error("no traces", "error", err)
	}
	config := commons.ServeConfig(logger, plugin.PluginSet{
		commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{logger}},
	})
	config.Around = tracing.Around(provider)
	plugin.Serve(config)
}
