// SPDX-License-Identifier: MPL-2.0

// Program vault is a secrets engine that is written with Vault's SDK and serves
// any number of mounts over one connection.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/vault/sdk/plugin"

	"github.com/reattach/reattach/test/consumers/peer/vault/engine"
)

func main() {
	if err := plugin.ServeMultiplex(engine.Options()); err != nil {
		fmt.Fprintln(os.Stderr, "serve the secrets engine:", err)
		os.Exit(1)
	}
}
