// SPDX-License-Identifier: MPL-2.0

//go:build !(cgo && (linux || darwin || freebsd))

package so

import (
	"errors"

	"github.com/hashicorp/go-plugin"
)

// Supported says whether this program can load shared objects.
const Supported = false

var errUnsupported = errors.New("in-process shared objects are off: this host was built without cgo (CGO_ENABLED=0), " +
	"or for a system that Go has no plugins for; build it with CGO_ENABLED=1, or run the plugin as a child or on the network")

// open is never called.
func open(string, []difference) (*plugin.ServeConfig, error) { return nil, errUnsupported }
