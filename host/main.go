// SPDX-License-Identifier: MPL-2.0

// Command basic greets through every plugin it is pointed at: executables in a
// directory, which it starts and stops, and network addresses, which it leaves be.
package main

import (
	"os"

	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/greeting"
	"github.com/reattach/reattach/host/visit"
)

func main() {
	os.Exit(cli.Main(func(c cli.Config) []visit.Kind {
		return []visit.Kind{
			greeting.Greeter(c.GreetName),
			greeting.PingPonger(),
		}
	}))
}
