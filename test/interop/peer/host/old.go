// SPDX-License-Identifier: MPL-2.0

//go:build old

package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// setRecent does nothing: releases before v1.5 have none of it.
func setRecent(*plugin.ClientConfig, hostapi.Client) {}

// idOf gives nothing: a client has no name for its plugin.
func idOf(*plugin.Client) string { return "" }
