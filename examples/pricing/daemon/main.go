// SPDX-License-Identifier: MPL-2.0

// Command daemon asks every pricer that it can find what three teas cost. With serve it
// goes on until it is told to end; --help says what else it can do.
package main

import (
	"os"

	"github.com/reattach/reattach/host/cli"

	"example.com/pricing/pricinghost"
)

func main() {
	o := pricinghost.Options("pricing")
	o.OnceReady = ask
	os.Exit(cli.Main(o))
}
