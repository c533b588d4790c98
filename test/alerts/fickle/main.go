// SPDX-License-Identifier: MPL-2.0

// Command fickle is a greeter that fails as the name asks it to, for alerts.
package main

import (
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// greeter answers with an error to "error", and panics at "panic". It does not answer at
// all where the environment has FICKLE_STALLS, though the process answers pings.
type greeter struct{ stalls bool }

func (g greeter) Greet(name string) (string, error) {
	switch {
	case g.stalls:
		select {}
	case name == "error":
		return "", errors.New("sold out")
	case name == "panic":
		panic("nobody expects this")
	}
	return "hello " + name, nil
}

func (greeter) Hi(int) (string, error) { return "hi", nil }

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true})
	commons.Serve(logger, plugin.PluginSet{
		commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{stalls: os.Getenv("FICKLE_STALLS") != ""}},
	})
}
