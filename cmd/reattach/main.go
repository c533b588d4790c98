// SPDX-License-Identifier: MPL-2.0

// Command reattach uses any plugin, whatever it serves, and begins new ones: it generates
// what carries a contract, and writes modules to start from.
package main

import (
	"os"

	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/cli/kube"
	"github.com/reattach/reattach/host/tracing"
)

func main() { os.Exit(cli.Main(program())) }

// program is the command line.
func program() cli.Options {
	s := new(settings)
	return cli.Options{
		Name:        "reattach",
		Short:       "Use any plugin wherever it runs, and begin new ones",
		Environment: &s.Variables,
		Finders:     []cli.Finder{new(kube.Finder)},
		Tracer:      tracing.FromEnv,
		AnyPlugin:   true,
		Settle:      s.settle,
		Extend:      s.extend,
	}
}
