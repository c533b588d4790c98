// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
)

// ErrIncompatible is matched by errors of starting or attaching that last until
// one of the two programs is replaced: there is no common version or protocol,
// or what was started is no plugin. A refusal from the network is a
// [*RefusedError] instead.
var ErrIncompatible = errors.New("host and plugin do not fit together")

// incompatibleError matches ErrIncompatible and has a text of its own.
type incompatibleError string

func incompatiblef(format string, args ...any) error {
	return incompatibleError(fmt.Sprintf(format, args...))
}

func (e incompatibleError) Error() string { return string(e) }

func (e incompatibleError) Is(target error) bool { return target == ErrIncompatible }
