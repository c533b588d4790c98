// SPDX-License-Identifier: MPL-2.0

// Command daemon asks every pricer that it can find what three teas cost. With serve it
// goes on until it is told to end; --help says what else it can do.
package main

import (
	"os"

	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/daemon"

	"example.com/pricing"
)

func main() {
	os.Exit(cli.Main(cli.Options{
		Name:      "pricing",
		Handshake: pricing.Handshake(),
		Kinds:     []daemon.Kind{daemon.NewKind[pricing.Pricer](pricing.Kind, &pricing.Plugin{})},
		OnceReady: ask,
	}))
}
