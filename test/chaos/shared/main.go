// SPDX-License-Identifier: MPL-2.0

// Command shared is the counter plugin as a shared object.
package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/chaos/counter"
)

// ReattachPlugins is what a host calls that has loaded this file. It panics if the
// ledger cannot be written.
func ReattachPlugins() *plugin.ServeConfig {
	config, err := counter.ServeConfig()
	if err != nil {
		panic(err)
	}
	return config
}

func main() {}
