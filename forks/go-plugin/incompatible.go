// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

var (
	// ErrIncompatible is matched by errors of starting or attaching that last
	// until one of the two programs is replaced: there is no common version or
	// protocol, or what was started is no plugin. A refusal from the network is
	// a [*RefusedError] instead.
	ErrIncompatible = peererr.ErrIncompatible

	// ErrSaidNothing is matched by the error of starting a child that closed
	// its stdout without having said where it serves. Most likely it has ended;
	// Client.Err then says how.
	ErrSaidNothing = errors.New("the child ended before it served")
)
