// SPDX-License-Identifier: MPL-2.0

// Command daemon keeps calculators attached, and calls them: --help says how.
package main

import (
	"os"

	"github.com/reattach/reattach/host/cli"

	"example.com/calculator/calculatorhost"
)

func main() { os.Exit(cli.Main(calculatorhost.Options("calculator"))) }
