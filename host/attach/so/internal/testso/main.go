// SPDX-License-Identifier: MPL-2.0

// Command testso is the shared object that the tests load.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach/dialertest/served"
)

// ReattachPlugins is what a host looks for.
func ReattachPlugins() *plugin.ServeConfig { return served.Config(nil) }

func main() {}
