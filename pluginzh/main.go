// SPDX-License-Identifier: MPL-2.0

// Command pluginzh is a greeter that speaks Chinese, and answers pings.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/tracing"
)

// greeter implements commons.Greeter and commons.PingPonger.
type greeter struct{ logger hclog.Logger }

func (g greeter) Greet(name string) (string, error) {
	g.logger.Debug("message from greeter.Greet")
	return "您好 " + name, nil
}

func (g greeter) Hi(times int) (string, error) {
	g.logger.Debug("message from greeter.Hi", "times", times)
	return fmt.Sprintf("大家好！=%d=", times), nil
}

func (g greeter) Ping() (string, error) {
	g.logger.Debug("message from greeter.Ping")
	return "pong!", nil
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true})
	g := greeter{logger}
	provider, stop, err := tracing.Start(tracing.Options{Logger: logger})
	defer stop()
	if err != nil {
		logger.Error("no traces", "error", err)
	}
	config := commons.ServeConfig(logger, plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: g},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: g},
	})
	config.Around = tracing.Around(provider)
	plugin.Serve(config)
}
