// SPDX-License-Identifier: MPL-2.0

// Command basic uses plugins wherever they run: executables in a directory, which it
// starts and stops, shared objects, and network plugins, which it leaves be.
package main

import (
	"context"
	"io"
	"os"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/greeting"
	"github.com/reattach/reattach/host/visit"
)

func main() {
	os.Exit(cli.Main(cli.Host{
		Handshake: commons.Handshake(),
		Versions:  commons.Versions,
		Kinds:     greeting.Kinds(),
		Visits: func(c cli.Config) []visit.Kind {
			return []visit.Kind{greeting.Greeter(c.GreetName), greeting.PingPonger()}
		},
		Greet: func(c cli.Config, w io.Writer) func(context.Context, *daemon.Daemon, string) {
			return greeting.Hello(c.GreetName, w)
		},
	}))
}
