// SPDX-License-Identifier: MPL-2.0

// Program vault-single is the secrets engine of program vault, served as engines
// are that do not know multiplexing: a mount has a connection of its own.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/vault/sdk/plugin"

	"github.com/reattach/reattach/test/consumers/peer/vault/engine"
)

func main() {
	if err := plugin.Serve(engine.Options()); err != nil {
		fmt.Fprintln(os.Stderr, "serve the secrets engine:", err)
		os.Exit(1)
	}
}
