// SPDX-License-Identifier: MPL-2.0

// Command basic uses plugins wherever they run: executables in a directory, which it
// starts and stops, shared objects, and network plugins, which it leaves be.
package main

import (
	"os"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/cli/kube"
	"github.com/reattach/reattach/host/tracing"
)

func main() { os.Exit(cli.Main(program())) }

// program is the command line with the interfaces of package commons.
func program() cli.Options {
	greeted := new(greeted)
	return cli.Options{
		Name:        "basic",
		Handshake:   commons.Handshake(),
		Versions:    commons.Versions,
		Kinds:       kinds(),
		PluginDir:   "./bin",
		OnceReady:   greeted.greet,
		Environment: greeted,
		Tracer:      tracing.FromEnv,
		Finders:     []cli.Finder{new(kube.Finder)},
	}
}
