// SPDX-License-Identifier: MPL-2.0

//go:build !fork

package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// tune does nothing: upstream's remote timeouts cannot be set.
func tune(*plugin.ClientConfig, hostapi.Client) {}

// connectionLost is false: upstream does not tell a lost connection from an
// error of the plugin.
func connectionLost(error) bool { return false }
